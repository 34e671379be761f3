//! The socket of an echo session on a data port: unconnected, so that a stray datagram makes the kernel send nothing, and
//! with a filter, so that what others send costs us nothing.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

use crate::engine::door::filter::only_from;
use crate::engine::sys;

/// Room for a burst at the largest rate while the thread is away. The kernel may give less.
pub const QUEUE_BYTES: usize = 1 << 20;

/// Binds and filters. Port 0: the kernel's choice.
pub fn open(at: SocketAddr, peer: IpAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(at), Type::DGRAM, Some(Protocol::UDP))?;
    if at.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Before the bind: nothing may slip in.
    socket.attach_filter(&only_from(&[peer]))?;
    socket.bind(&at.into())?;
    let socket = UdpSocket::from(socket);
    prepare(&socket)?;
    Ok(socket)
}

/// What every socket of echo has: no waiting, stamps, room.
pub fn prepare(socket: &UdpSocket) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    // Without stamps the user's clock has to do, and without room for a burst one is lost: neither is an error.
    if let Err(error) = sys::enable_receive_stamps(socket) {
        tracing::debug!(%error, "ask for receive stamps");
    }
    if let Err(error) = socket2::SockRef::from(socket).set_recv_buffer_size(QUEUE_BYTES) {
        tracing::debug!(%error, "ask for a larger receive queue");
    }
    Ok(())
}

/// An error that says nothing about the next datagram: ICMP about one that was sent before, or a signal.
pub(super) fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::Interrupted | Kind::ConnectionRefused | Kind::HostUnreachable | Kind::NetworkUnreachable
    )
}
