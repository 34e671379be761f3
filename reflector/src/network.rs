//! Where a reflector stands in the network, and what counts as one source.
//!
//! In: addresses. Out: `lan`, `wan`, `hybrid` or `unknown`, and keys for limits per source. Everything but
//! [`detect`] is pure.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use crate::config::DeploymentMode;
use crate::engine::sys;

/// Where we stand. Without an explicit byte limit this decides whether bytes may cost money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// Private addresses only.
    Lan,
    /// Global addresses only.
    Wan,
    /// Both.
    Hybrid,
    /// Cannot tell; treated as `wan` wherever it matters.
    Unknown,
}

impl Position {
    /// The name on the wire and in status.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lan => "lan",
            Self::Wan => "wan",
            Self::Hybrid => "hybrid",
            Self::Unknown => "unknown",
        }
    }

    /// Whether traffic may be metered: everywhere but on a `lan`.
    pub const fn may_be_metered(self) -> bool {
        !matches!(self, Self::Lan)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The position as configured, or as the host's addresses show it. Called at start and when it is asked for anew.
/// Addresses that cannot be listed mean `unknown`, never an error: that is the careful answer.
pub fn detect(mode: DeploymentMode) -> Position {
    let addresses =
        || sys::interface_addresses().map(|all| all.into_iter().map(|found| found.address).collect());
    position(mode, addresses)
}

/// The pure half of [`detect`]; the addresses are asked for only when the configuration leaves it open.
fn position(mode: DeploymentMode, addresses: impl FnOnce() -> io::Result<Vec<IpAddr>>) -> Position {
    match mode {
        DeploymentMode::Wan => Position::Wan,
        DeploymentMode::Lan => Position::Lan,
        DeploymentMode::Hybrid => Position::Hybrid,
        DeploymentMode::Auto => match addresses() {
            Ok(addresses) => classify(&addresses),
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "list addresses: set network.deployment_mode"
                );
                Position::Unknown
            }
        },
    }
}

/// The position a host with these addresses has.
///
/// Loopback and link-local addresses say little (every host has them), so they count only when there is nothing
/// else. Shared addresses (100.64.0.0/10: carrier NAT, overlay networks) say nothing at all.
pub fn classify(addresses: &[IpAddr]) -> Position {
    let has = |scope| addresses.iter().any(|address| self::scope(*address) == scope);
    match (has(Scope::Private), has(Scope::Global)) {
        (true, true) => Position::Hybrid,
        (true, false) => Position::Lan,
        (false, true) => Position::Wan,
        (false, false) if has(Scope::Silent) => Position::Unknown,
        (false, false) if has(Scope::Local) => Position::Lan,
        (false, false) => Position::Unknown,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Loopback, link-local.
    Local,
    /// RFC 1918, unique-local.
    Private,
    Global,
    /// Shared, multicast, reserved, unspecified.
    Silent,
}

fn scope(address: IpAddr) -> Scope {
    match normalise(address) {
        IpAddr::V4(v4) if v4.is_loopback() || v4.is_link_local() => Scope::Local,
        IpAddr::V4(v4) if v4.is_private() => Scope::Private,
        IpAddr::V4(v4) if v4_is_silent(v4) => Scope::Silent,
        IpAddr::V6(v6) if v6.is_loopback() || v6.is_unicast_link_local() => Scope::Local,
        IpAddr::V6(v6) if v6.is_unique_local() => Scope::Private,
        IpAddr::V6(v6) if v6.is_unspecified() || v6.is_multicast() => Scope::Silent,
        IpAddr::V4(_) | IpAddr::V6(_) => Scope::Global,
    }
}

fn v4_is_silent(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    first == 0 || first >= 224 || (first == 100 && second & 0xc0 == 64)
}

/// True for loopback, link-local, private and unique-local addresses: whoever may read what names peers.
pub fn is_local(address: IpAddr) -> bool {
    matches!(scope(address), Scope::Local | Scope::Private)
}

/// An IPv4 address in IPv6 clothes (`::ffff:192.0.2.1`, what a dual-stack socket reports) becomes plain IPv4.
/// Everything that compares addresses compares normalised ones.
pub fn normalise(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// The same for a socket's address. That of an interface, link-local, keeps its interface: without it nobody is reached.
pub fn normalise_socket(address: SocketAddr) -> SocketAddr {
    match (address, normalise(address.ip())) {
        (SocketAddr::V6(v6), IpAddr::V6(ip)) => SocketAddrV6::new(ip, v6.port(), 0, v6.scope_id()).into(),
        (_, ip) => SocketAddr::new(ip, address.port()),
    }
}

/// What limits per source count by: an IPv4 address, or an IPv6 /64, because whoever has one address of a /64 has
/// all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceKey(IpAddr);

impl SourceKey {
    /// The address, or the first one of the /64.
    pub fn address(&self) -> IpAddr {
        self.0
    }
}

/// The source an address belongs to.
pub fn source_key(address: IpAddr) -> SourceKey {
    match normalise(address) {
        IpAddr::V4(v4) => SourceKey(v4.into()),
        IpAddr::V6(v6) => SourceKey(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into()),
    }
}

impl fmt::Display for SourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(v4) => v4.fmt(f),
            IpAddr::V6(v6) => write!(f, "{v6}/64"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(addresses: &[&str]) -> Position {
        classify(&addresses.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>())
    }

    /// P10
    #[test]
    fn addresses_tell_the_position() {
        for (addresses, position) in [
            (&["127.0.0.1", "::1", "192.168.7.5", "fe80::1"][..], Position::Lan),
            (&["127.0.0.1", "10.0.0.1", "fd12::1"], Position::Lan),
            (&["172.31.255.255"], Position::Lan),
            (&["172.32.0.0"], Position::Wan),
            (&["127.0.0.1", "198.51.100.4", "fe80::1"], Position::Wan),
            (&["2001:db8::4", "fe80::1"], Position::Wan),
            (&["192.168.7.5", "2001:db8::4"], Position::Hybrid),
            (&["198.51.100.4", "fd12::1"], Position::Hybrid),
            (&["127.0.0.1", "::1"], Position::Lan),
            (&["127.0.0.1", "169.254.3.4", "fe80::1"], Position::Lan),
            (&["127.0.0.1", "100.64.0.1"], Position::Unknown),
            (&["100.127.255.255", "192.168.7.5"], Position::Lan),
            (&["100.128.0.1"], Position::Wan),
            (&["224.0.0.1", "0.0.0.0", "::", "ff02::1"], Position::Unknown),
            (&["::ffff:192.168.7.5"], Position::Lan),
            (&[], Position::Unknown),
        ] {
            assert_eq!(of(addresses), position, "{addresses:?}");
        }
    }

    /// P10
    #[test]
    fn a_configured_position_needs_no_addresses() {
        for (mode, expected) in [
            (DeploymentMode::Lan, Position::Lan),
            (DeploymentMode::Wan, Position::Wan),
            (DeploymentMode::Hybrid, Position::Hybrid),
            (DeploymentMode::Auto, Position::Unknown),
        ] {
            assert_eq!(position(mode, || Err(io::ErrorKind::Unsupported.into())), expected);
        }
        assert_eq!(position(DeploymentMode::Auto, || Ok(vec![[10, 0, 0, 1].into()])), Position::Lan);
    }

    #[test]
    fn unknown_is_metered_like_wan() {
        let metered =
            [Position::Lan, Position::Wan, Position::Hybrid, Position::Unknown].map(Position::may_be_metered);
        assert_eq!(metered, [false, true, true, true]);
    }

    #[test]
    fn this_host_has_a_position() {
        let addresses = sys::interface_addresses().unwrap();
        assert!(addresses.iter().any(|found| found.address.is_loopback()), "{addresses:?}");
        detect(DeploymentMode::Auto);
    }

    #[test]
    fn a_source_is_an_ipv4_address_or_a_64() {
        let key = |text: &str| source_key(text.parse().unwrap());
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
        assert_ne!(key("192.0.2.2"), key("192.0.2.1"));
        assert_eq!(key("2001:db8:1:2::1").to_string(), "2001:db8:1:2::/64");
        assert_eq!(key("192.0.2.1").to_string(), "192.0.2.1");
    }

    #[test]
    fn only_local_addresses_are_local() {
        for local in
            ["127.9.9.9", "::1", "10.1.1.1", "172.16.0.1", "192.168.0.1", "169.254.1.1", "fe80::1", "fd00::1"]
        {
            assert!(is_local(local.parse().unwrap()), "{local}");
        }
        for foreign in ["8.8.8.8", "100.64.0.1", "2001:db8::1", "::ffff:8.8.8.8", "172.32.0.1", "0.0.0.0"] {
            assert!(!is_local(foreign.parse().unwrap()), "{foreign}");
        }
    }

    proptest! {
        /// A mapped address is the same source as the plain one, and mapping twice changes nothing.
        #[test]
        fn mapped_addresses_are_their_plain_selves(bits: u32) {
            let v4 = Ipv4Addr::from(bits);
            let mapped = IpAddr::V6(v4.to_ipv6_mapped());
            prop_assert_eq!(normalise(mapped), IpAddr::V4(v4));
            prop_assert_eq!(source_key(mapped), source_key(v4.into()));
            prop_assert_eq!(is_local(mapped), is_local(v4.into()));
        }
    }
}
