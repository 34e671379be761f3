//! Facts about this host and the path a connection takes, as a peer asks for them with `get_path_meta`.
//!
//! A fact that cannot be read is left out or zero, never guessed: `/proc` may be hidden by a sandbox. Readers are
//! thin; the parsers below them are pure.

use std::fs;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};

use rustix::net::netdevice;

use crate::link::message::PathMeta;
use crate::network::normalise;

use super::sys::{self, InterfaceAddress};

/// Set by the release build.
const BUILD_HASH: Option<&str> = option_env!("REFLECTOR_BUILD_HASH");

/// Collects the facts for a connection that arrived at `local_addr`. A handful of small reads from memory of the kernel,
/// no lock and no disk: cheap enough to be made for every question of a known peer, one at a time per connection.
pub fn collect(local_addr: IpAddr) -> PathMeta {
    let load_avg = load_avg();
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (memory_used_mb, memory_total_mb) = read("/proc/meminfo", memory).unwrap_or((0, 0));
    PathMeta {
        cpu_load: load_avg[0] / f64::from(u32::try_from(cpus).unwrap_or(u32::MAX)),
        memory_used_mb,
        memory_total_mb,
        load_avg,
        mtu: mtu(local_addr),
        // A kernel that does not answer is not known to be in step.
        time_synced: sys::clock_is_synchronised().unwrap_or(false),
        build_version: env!("CARGO_PKG_VERSION").to_owned(),
        build_hash: build_hash().to_owned(),
    }
}

/// The commit this binary was built from; `unknown` for a build from a plain checkout.
pub const fn build_hash() -> &'static str {
    match BUILD_HASH {
        Some(hash) => hash,
        None => "unknown",
    }
}

/// Load averages over 1, 5 and 15 minutes; zeros when hidden.
pub fn load_avg() -> [f64; 3] {
    read("/proc/loadavg", loads).unwrap_or_default()
}

fn read<T>(path: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
    parse(&fs::read_to_string(path).ok()?)
}

/// MTU of the interface that carries `local_addr`.
fn mtu(local_addr: IpAddr) -> Option<u32> {
    let interface = interface_of(local_addr)?;
    read(&format!("/sys/class/net/{interface}/mtu"), |text| text.trim().parse().ok())
}

/// Name of the interface that carries `local_addr`.
pub(super) fn interface_of(local_addr: IpAddr) -> Option<String> {
    let addresses = sys::interface_addresses().ok()?;
    carrier(&addresses, local_addr).map(str::to_owned)
}

/// Bits per second of the interface that carries `local_addr`; `None` for one that does not say, as most virtual ones.
pub fn link_speed(local_addr: IpAddr) -> Option<u64> {
    let addresses = sys::interface_addresses().ok()?;
    let interface = carrier(&addresses, local_addr)?;
    let megabits: u64 = read(&format!("/sys/class/net/{interface}/speed"), |text| text.trim().parse().ok())?;
    megabits.checked_mul(1_000_000).filter(|speed| *speed > 0)
}

/// An address of ours with a port, to bind to. A link-local one is bound on its interface or not at all.
pub fn at(local_addr: IpAddr, port: u16) -> SocketAddr {
    match local_addr {
        IpAddr::V6(ip) if ip.is_unicast_link_local() => {
            let scope = interface_of(local_addr).and_then(|name| index_of(&name)).unwrap_or(0);
            SocketAddrV6::new(ip, port, 0, scope).into()
        }
        _ => SocketAddr::new(local_addr, port),
    }
}

/// Asked of the kernel: /sys may show another network than ours.
fn index_of(interface: &str) -> Option<u32> {
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).ok()?;
    netdevice::name_to_index(&socket, interface).ok()
}

/// Bytes of memory that the kernel lets the receive buffer of a TCP socket grow to; `None` where a sandbox hides it.
pub fn largest_receive_buffer() -> Option<u64> {
    read("/proc/sys/net/ipv4/tcp_rmem", |text| text.split_ascii_whitespace().nth(2)?.parse().ok())
}

/// The interface that has this address. On loopback the kernel answers for all of 127.0.0.0/8, of which only one
/// address is listed.
fn carrier(addresses: &[InterfaceAddress], local_addr: IpAddr) -> Option<&str> {
    let wanted = normalise(local_addr);
    let exact = addresses.iter().find(|found| normalise(found.address) == wanted);
    let loopback = || addresses.iter().find(|found| wanted.is_loopback() && found.address.is_loopback());
    let interface = exact.or_else(loopback)?.interface.as_str();
    // An alias label (`eth0:1`) is an address of `eth0`.
    interface.split(':').next()
}

fn loads(text: &str) -> Option<[f64; 3]> {
    let mut numbers = text.split_whitespace().map(|number| number.parse::<f64>().ok());
    Some([numbers.next()??, numbers.next()??, numbers.next()??])
}

/// Used and total memory in MiB. Used is what is not available: caches that can be dropped are free.
fn memory(text: &str) -> Option<(u64, u64)> {
    let kib = |name: &str| {
        let rest = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    let (total, available) = (kib("MemTotal")?, kib("MemAvailable")?);
    Some((total.saturating_sub(available) / 1024, total / 1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(interface: &str, address: &str) -> InterfaceAddress {
        InterfaceAddress { interface: interface.to_owned(), address: address.parse().unwrap() }
    }

    /// E10
    #[test]
    fn mtu_is_the_one_of_the_interface_that_carries_the_address() {
        let host = [
            at("lo", "127.0.0.1"),
            at("eth0", "192.0.2.5"),
            at("eth1:2", "198.51.100.5"),
            at("eth0", "2001:db8::5"),
            at("lo", "::1"),
        ];
        for (local, interface) in [
            ("192.0.2.5", Some("eth0")),
            ("::ffff:192.0.2.5", Some("eth0")),
            ("198.51.100.5", Some("eth1")),
            ("2001:db8::5", Some("eth0")),
            ("127.0.0.9", Some("lo")),
            ("::1", Some("lo")),
            ("192.0.2.6", None),
        ] {
            assert_eq!(carrier(&host, local.parse().unwrap()), interface, "{local}");
        }
    }

    /// E10: each address of this host has the MTU that the kernel says its interface has.
    #[test]
    fn every_address_of_this_host_has_its_mtu() {
        for found in sys::interface_addresses().unwrap() {
            let expected = fs::read_to_string(format!("/sys/class/net/{}/mtu", found.interface)).unwrap();
            assert_eq!(
                mtu(found.address).map(|mtu| mtu.to_string()).as_deref(),
                Some(expected.trim()),
                "{found:?}"
            );
        }
    }

    /// E10
    #[test]
    fn clock_state_is_what_the_kernel_says() {
        let synced = sys::clock_is_synchronised().unwrap();
        assert_eq!(collect([127, 0, 0, 1].into()).time_synced, synced);
    }

    #[test]
    fn facts_of_this_host_are_plausible() {
        let meta = collect([127, 0, 0, 1].into());
        assert!(meta.memory_total_mb > 16 && meta.memory_used_mb > 0, "{meta:?}");
        assert!(meta.memory_used_mb < meta.memory_total_mb, "{meta:?}");
        assert!(
            meta.load_avg.iter().all(|load| load.is_finite()) && meta.cpu_load <= meta.load_avg[0],
            "{meta:?}"
        );
        assert_eq!(meta.build_version, env!("CARGO_PKG_VERSION"));
        assert!(!meta.build_hash.is_empty());
    }

    #[test]
    fn proc_files_are_read_as_the_kernel_writes_them() {
        let meminfo = "MemTotal:        8153600 kB\nMemFree:          100000 kB\nMemAvailable:    6105600 kB\nSwapTotal: 5 kB\n";
        assert_eq!(memory(meminfo), Some((2000, 7962)));
        assert_eq!(memory("MemTotal: 5 kB\n"), None);
        assert_eq!(memory("MemTotal: 5 kB\nMemAvailable: 9 kB\n"), Some((0, 0)));
        assert_eq!(loads("0.52 1.25 2.00 1/345 6789\n"), Some([0.52, 1.25, 2.0]));
        for broken in ["", "1.0 2.0", "a b c"] {
            assert_eq!(loads(broken), None, "{broken:?}");
        }
    }
}
