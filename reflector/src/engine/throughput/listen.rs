//! Sockets of a data port: TCP and UDP on the same number, and further UDP sockets beside the first.

use std::io;
use std::net::{IpAddr, SocketAddr};

use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, ip_mtu, ipv6_mtu, set_ip_mtu_discover, set_ipv6_mtu_discover,
};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, UdpSocket};

use crate::engine::door::MAX_DATAGRAM;
use crate::engine::door::udp::Connected;
use crate::engine::path;

/// Connections that may wait: more than any test opens at once.
const BACKLOG: i32 = 256;

/// Without a range the kernel chooses a TCP port; whose UDP twin is taken is tried again this often.
const ATTEMPTS: u16 = 32;

/// What may have slipped in between bind and connect: far more than a socket's queue gets in that time.
const SLIPPED_IN: usize = 1024;

/// Both sockets of a port, up and listening.
pub(super) struct Pair {
    pub(super) tcp: TcpListener,
    pub(super) udp: UdpSocket,
    pub(super) local: SocketAddr,
}

/// Takes the first port, from the `skip`th on, whose TCP and UDP sides are both free on this address.
pub(super) fn first_free(address: IpAddr, ports: Option<(u16, u16)>, skip: u16) -> io::Result<Pair> {
    let Some((first, last)) = ports else {
        return attempt((0..ATTEMPTS).map(|_| 0), address);
    };
    let count = last.saturating_sub(first).saturating_add(1);
    let begin = skip % count.max(1);
    let order = (begin..count).chain(0..begin).map(|offset| first.saturating_add(offset));
    attempt(order, address)
}

fn attempt(ports: impl Iterator<Item = u16>, address: IpAddr) -> io::Result<Pair> {
    let mut problem = io::Error::from(io::ErrorKind::AddrInUse);
    for port in ports {
        match pair(path::at(address, port)) {
            Ok(pair) => return Ok(pair),
            Err(error) => problem = error,
        }
        // Any other error would be the same on the next port.
        if problem.kind() != io::ErrorKind::AddrInUse {
            break;
        }
    }
    Err(problem)
}

fn pair(at: SocketAddr) -> io::Result<Pair> {
    let tcp = socket(at, Type::STREAM, Protocol::TCP)?;
    // Connections of the last test may be in TIME_WAIT; a listener is still in the way.
    tcp.set_reuse_address(true)?;
    tcp.bind(&at.into())?;
    let local = tcp.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
    let udp = socket(local, Type::DGRAM, Protocol::UDP)?;
    // Exclusive until it is ours: with reuse set before, the bind would succeed beside a foreign socket.
    udp.bind(&local.into())?;
    udp.set_reuse_address(true)?;
    tcp.listen(BACKLOG)?;
    Ok(Pair { tcp: TcpListener::from_std(tcp.into())?, udp: UdpSocket::from_std(udp.into())?, local })
}

/// A further UDP socket on a data port of ours.
pub(super) fn another_udp(local: SocketAddr) -> io::Result<UdpSocket> {
    UdpSocket::from_std(beside(local)?)
}

/// One that takes only what `remote` sends, for echo. Needs no runtime.
pub(super) fn connected_udp(local: SocketAddr, remote: SocketAddr) -> io::Result<Connected> {
    let socket = beside(local)?;
    socket.connect(remote)?;
    // Between bind and connect it caught anybody's; what is not of `remote` is of nobody or comes again.
    let (mut early, mut buffer) = (Vec::new(), vec![0; MAX_DATAGRAM + 1]);
    for _ in 0..SLIPPED_IN {
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) if from == remote => early.extend(buffer.get(..length).map(<[u8]>::to_vec)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            // Somebody else's, or an ICMP answer to something the port sent before: the next read goes on.
            Ok(_) | Err(_) => {}
        }
    }
    Ok(Connected { socket, early })
}

fn beside(local: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let udp = socket(local, Type::DGRAM, Protocol::UDP)?;
    udp.set_reuse_address(true)?;
    udp.bind(&local.into())?;
    Ok(udp.into())
}

/// Marks what a socket sends, whichever family it is of.
pub(super) fn set_tos(socket: &SockRef<'_>, tos: u8) -> io::Result<()> {
    if socket.local_addr()?.is_ipv6() {
        socket.set_tclass_v6(tos.into())
    } else {
        socket.set_tos_v4(tos.into())
    }
}

/// What a client that asked for `dont_fragment` is to be sent: whole datagrams, or none. [`InvalidInput`](io::ErrorKind):
/// datagrams this long do not fit on the way to it.
pub(super) fn forbid_fragments(udp: &UdpSocket, length: u32) -> io::Result<()> {
    let room = match udp.local_addr()? {
        SocketAddr::V4(_) => {
            set_ip_mtu_discover(udp, Ipv4PathMtuDiscovery::DO)?;
            ip_mtu(udp)?.saturating_sub(20 + 8)
        }
        SocketAddr::V6(_) => {
            set_ipv6_mtu_discover(udp, Ipv6PathMtuDiscovery::DO)?;
            ipv6_mtu(udp)?.saturating_sub(40 + 8)
        }
    };
    if length > room {
        let why = format!("datagrams of {length} bytes need fragments, {room} fit: ask for shorter ones");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    Ok(())
}

/// Asks for a byte buffer in both directions; the kernel gives what it allows.
pub(super) fn set_window(socket: &SockRef<'_>, bytes: u32) -> io::Result<()> {
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    socket.set_recv_buffer_size(bytes)?;
    socket.set_send_buffer_size(bytes)
}

fn socket(at: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(at), kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    if at.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use rustix::net::sockopt::{ip_mtu_discover, ipv6_mtu_discover};

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// E5
    #[tokio::test]
    async fn a_port_that_somebody_holds_on_either_side_is_skipped() {
        let neighbour = first_free(HERE, None, 0).unwrap();
        let taken = neighbour.local.port();
        let range = Some((taken, taken.saturating_add(20)));
        drop(neighbour.udp);
        let beside_tcp = first_free(HERE, range, 0).unwrap().local.port();
        assert_ne!(beside_tcp, taken);
        drop(neighbour.tcp);
        let shared = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        shared.set_reuse_address(true).unwrap();
        shared.bind(&SocketAddr::new(HERE, taken).into()).unwrap();
        assert_ne!(first_free(HERE, range, 0).unwrap().local.port(), taken, "even one that would share");
        drop(shared);
        assert_eq!(first_free(HERE, range, 0).unwrap().local.port(), taken);
    }

    #[tokio::test]
    async fn without_fragments_a_datagram_goes_as_a_whole_or_is_refused() {
        for here in [HERE, IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)] {
            let (ours, theirs) = (first_free(here, None, 0).unwrap(), first_free(here, None, 0).unwrap());
            ours.udp.connect(theirs.local).await.unwrap();
            forbid_fragments(&ours.udp, 1448).unwrap();
            let asked = match here {
                IpAddr::V4(_) => ip_mtu_discover(&ours.udp).unwrap() == Ipv4PathMtuDiscovery::DO,
                IpAddr::V6(_) => ipv6_mtu_discover(&ours.udp).unwrap() == Ipv6PathMtuDiscovery::DO,
            };
            assert!(asked, "{here}: the kernel does not cut");
            // Longer than loopback takes in one piece.
            let refused = forbid_fragments(&ours.udp, 65_536).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::InvalidInput, "{here}: {refused}");
        }
    }

    #[tokio::test]
    async fn a_full_range_says_so() {
        let held = first_free(HERE, None, 0).unwrap();
        let port = held.local.port();
        let error = first_free(HERE, Some((port, port)), 7).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
