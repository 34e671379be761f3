//! What the host says about itself: addresses, clock, memory.

use std::ffi::CStr;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ptr;
use std::time::Duration;

/// One address of one interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// Name of the interface, bytes that are no UTF-8 replaced.
    pub interface: String,
    /// The address.
    pub address: IpAddr,
}

/// Every IPv4 and IPv6 address of this host, with its interface. Asks the kernel over netlink: a sandbox has to
/// allow `AF_NETLINK`.
pub fn interface_addresses() -> io::Result<Vec<InterfaceAddress>> {
    let mut list: *mut libc::ifaddrs = ptr::null_mut();
    // SAFETY: `list` is a valid place for the one pointer getifaddrs(3) writes.
    if unsafe { libc::getifaddrs(&raw mut list) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut found = Vec::new();
    let mut next = list;
    // SAFETY: the call succeeded, so `list` is null or the head of a null-terminated list that lives until
    // freeifaddrs(3) below; `as_ref` yields `None` at its end.
    while let Some(entry) = unsafe { next.as_ref() } {
        // SAFETY: `ifa_addr` is null or points to a socket address of the family it names, in the same allocation.
        if let Some(address) = unsafe { ip_address(entry.ifa_addr) } {
            // SAFETY: `ifa_name` is a null-terminated string in the same allocation.
            let name = unsafe { CStr::from_ptr(entry.ifa_name) };
            found.push(InterfaceAddress { interface: name.to_string_lossy().into_owned(), address });
        }
        next = entry.ifa_next;
    }
    // SAFETY: `list` comes from getifaddrs(3), is freed once, and nothing borrowed from it is left.
    unsafe { libc::freeifaddrs(list) };
    Ok(found)
}

/// Gives back to the system what was freed and is not used again. Of the C libraries we run on, glibc alone keeps more
/// than it needs: the ends of its heaps are rarely free after many allocations of many sizes. Takes about a millisecond.
pub fn release_free_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim(3) takes no pointer and may be called by any thread at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// # Safety
/// `address` is null or points to a socket address that is as large as the family it names requires.
unsafe fn ip_address(address: *const libc::sockaddr) -> Option<IpAddr> {
    // SAFETY: null or valid, says the caller.
    let family = i32::from(unsafe { address.as_ref() }?.sa_family);
    if family == libc::AF_INET {
        // SAFETY: the family says it is a sockaddr_in; read without assuming its alignment.
        let v4 = unsafe { ptr::read_unaligned(address.cast::<libc::sockaddr_in>()) };
        Some(Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr)).into())
    } else if family == libc::AF_INET6 {
        // SAFETY: the family says it is a sockaddr_in6; read without assuming its alignment.
        let v6 = unsafe { ptr::read_unaligned(address.cast::<libc::sockaddr_in6>()) };
        Some(Ipv6Addr::from(v6.sin6_addr.s6_addr).into())
    } else {
        None
    }
}

/// Whether the kernel's clock is kept in step by somebody (NTP, PTP). Reads only; needs no right.
pub fn clock_is_synchronised() -> io::Result<bool> {
    kernel_clock().map(|clock| clock.synchronised)
}

/// What the kernel says of its clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelClock {
    /// Somebody keeps it in step.
    pub synchronised: bool,
    /// The most it can be off. Grows while nobody keeps it in step.
    pub max_error: Duration,
}

/// Asks the kernel about its clock. Reads only; needs no right.
pub fn kernel_clock() -> io::Result<KernelClock> {
    // SAFETY: `timex` is plain data for which all zeros is a valid value.
    let mut state: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: `state` is valid for writing; `modes` is 0, so nothing is changed.
    match unsafe { libc::adjtimex(&raw mut state) } {
        -1 => Err(io::Error::last_os_error()),
        answer => Ok(KernelClock {
            synchronised: answer != libc::TIME_ERROR && state.status & libc::STA_UNSYNC == 0,
            max_error: Duration::from_micros(state.maxerror.try_into().unwrap_or(0)),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_the_kernel_lists() {
        let found = interface_addresses().unwrap();
        let has = |interface: &str, address: IpAddr| {
            found.iter().any(|one| one.interface == interface && one.address == address)
        };
        assert!(has("lo", Ipv4Addr::LOCALHOST.into()), "{found:?}");
        // Address, index, prefix length, scope, flags, name; the file is missing when IPv6 is off.
        let listed = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
        for line in listed.lines() {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let address = Ipv6Addr::from_bits(u128::from_str_radix(fields[0], 16).unwrap());
            assert!(has(fields[5], address.into()), "{address} of {} is not in {found:?}", fields[5]);
        }
    }

    /// Asked twice: reading changes nothing.
    #[test]
    fn asking_for_the_clock_state_needs_no_right_and_changes_nothing() {
        assert_eq!(clock_is_synchronised().unwrap(), clock_is_synchronised().unwrap());
    }
}
