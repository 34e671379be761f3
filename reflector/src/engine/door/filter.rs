//! A socket filter that lets through datagrams of some addresses only (pure): a classic BPF program, run by the kernel
//! before a datagram is queued.

use std::net::IpAddr;

use socket2::SockFilter;

/// Loads are relative to the network header, wherever a filter starts (`SKF_NET_OFF`).
const NETWORK_HEADER: u32 = (-0x10_0000_i32).cast_unsigned();
const IPV4_SOURCE: u32 = 12;
const IPV6_SOURCE: u32 = 8;

const LOAD_WORD: u16 = 0x20;
const LOAD_BYTE: u16 = 0x30;
const SHIFT_RIGHT: u16 = 0x74;
const JUMP: u16 = 0x05;
const IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

/// Everything, or nothing, of a datagram.
const TAKE: SockFilter = SockFilter::new(RETURN, 0, 0, u32::MAX);
const DROP: SockFilter = SockFilter::new(RETURN, 0, 0, 0);

/// Instructions the kernel takes (`BPF_MAXINSNS`).
const LONGEST: usize = 4096;

/// Takes datagrams of these addresses, normalised, and drops all others. With more than fit it takes everything: whoever
/// reads looks the address up anyway.
pub(in crate::engine) fn only_from(sources: &[IpAddr]) -> Vec<SockFilter> {
    let v4: Vec<SockFilter> = sources.iter().filter_map(of_v4).flatten().collect();
    let v6: Vec<SockFilter> = sources.iter().filter_map(of_v6).flatten().collect();
    // A dual-stack socket gets both: the version is in the upper half of the first byte.
    let mut program = vec![
        SockFilter::new(LOAD_BYTE, 0, 0, NETWORK_HEADER),
        SockFilter::new(SHIFT_RIGHT, 0, 0, 4),
        SockFilter::new(IF_EQUAL, 1, 0, 4),
        SockFilter::new(JUMP, 0, 0, u32::try_from(v4.len() + 2).unwrap_or(u32::MAX)),
        SockFilter::new(LOAD_WORD, 0, 0, NETWORK_HEADER + IPV4_SOURCE),
    ];
    program.extend(v4);
    program.push(DROP);
    program.extend(v6);
    program.push(DROP);
    if program.len() > LONGEST { vec![TAKE] } else { program }
}

/// The word is loaded already.
fn of_v4(source: &IpAddr) -> Option<Vec<SockFilter>> {
    let IpAddr::V4(v4) = source else { return None };
    Some(vec![SockFilter::new(IF_EQUAL, 0, 1, v4.to_bits()), TAKE])
}

/// Four words; the first that differs jumps behind the last.
fn of_v6(source: &IpAddr) -> Option<Vec<SockFilter>> {
    let IpAddr::V6(v6) = source else { return None };
    let mut steps = Vec::with_capacity(9);
    for (nth, word) in (0_u8..4).zip(v6.octets().chunks_exact(4)) {
        let word = u32::from_be_bytes(word.try_into().unwrap_or_default());
        steps.push(SockFilter::new(LOAD_WORD, 0, 0, NETWORK_HEADER + IPV6_SOURCE + 4 * u32::from(nth)));
        steps.push(SockFilter::new(IF_EQUAL, 0, 7 - 2 * nth, word));
    }
    steps.push(TAKE);
    Some(steps)
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, UdpSocket};
    use std::time::Duration;

    use super::*;

    /// What arrives of one datagram from each of these, at a socket bound to `at`.
    fn arrives(at: &str, sources: &[&str], allowed: &[&str]) -> Vec<String> {
        let allowed: Vec<IpAddr> = allowed.iter().map(|text| text.parse().unwrap()).collect();
        let here: SocketAddr = at.parse().unwrap();
        let domain = socket2::Domain::for_address(here);
        let socket = socket2::Socket::new(domain, socket2::Type::DGRAM, None).unwrap();
        if here.is_ipv6() {
            socket.set_only_v6(false).unwrap();
        }
        socket.bind(&here.into()).unwrap();
        socket.attach_filter(&only_from(&allowed)).unwrap();
        let socket = UdpSocket::from(socket);
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let port = socket.local_addr().unwrap().port();
        for source in sources {
            let from: IpAddr = source.parse().unwrap();
            let to = if from.is_ipv4() { "127.0.0.1".parse() } else { "::1".parse() };
            // On loopback a datagram is queued, or dropped, before send returns.
            UdpSocket::bind((from, 0)).unwrap().send_to(b"?", SocketAddr::new(to.unwrap(), port)).unwrap();
        }
        let mut found = Vec::new();
        while let Ok((_, from)) = socket.recv_from(&mut [0]) {
            found.push(from.ip().to_canonical().to_string());
        }
        found
    }

    /// E3
    #[test]
    fn the_kernel_drops_what_nobody_expects() {
        let sources = ["127.0.0.2", "127.0.0.3", "127.0.0.4"];
        assert_eq!(arrives("127.0.0.1:0", &sources, &[]), Vec::<String>::new());
        assert_eq!(arrives("127.0.0.1:0", &sources, &["127.0.0.3"]), ["127.0.0.3"]);
        assert_eq!(
            arrives("127.0.0.1:0", &sources, &["127.0.0.4", "2001:db8::1", "127.0.0.2"]),
            ["127.0.0.2", "127.0.0.4"]
        );
    }

    /// E12: one socket for both families, as `[::]` has it.
    #[test]
    fn both_families_are_told_apart_on_one_socket() {
        let sources = ["127.0.0.2", "::1", "127.0.0.3"];
        assert_eq!(arrives("[::]:0", &sources, &["127.0.0.3"]), ["127.0.0.3"]);
        assert_eq!(arrives("[::]:0", &sources, &["2001:db8::1", "::1"]), ["::1"]);
        assert_eq!(arrives("[::]:0", &sources, &["::1", "127.0.0.2"]), ["127.0.0.2", "::1"]);
        assert_eq!(arrives("[::]:0", &sources, &["::2", "::1:0:1"]), Vec::<String>::new());
    }

    #[test]
    fn more_addresses_than_a_filter_holds_are_all_let_through() {
        let many: Vec<IpAddr> = (0..600_u128).map(|n| IpAddr::V6(n.into())).collect();
        assert_eq!(only_from(&many).len(), 1);
    }
}
