//! What a TCP stream runs over: a socket of its own, or a connection somebody else encrypts.

use std::io;
use std::net::{TcpStream, UdpSocket};
use std::sync::Arc;

/// A byte stream that is not a plain socket, such as a tunnelled one. One stream uses it in one direction only.
///
/// Both calls wait at most for the socket's timeouts, which are [`PATIENCE`](super::PATIENCE) while a stream runs:
/// nothing moved in that time is `WouldBlock` (or `TimedOut`), which is tried again.
pub trait Bytes: Send + 'static {
    /// Receives and throws away up to `max` payload bytes, at least one. `Ok(0)`: the peer has closed.
    fn read_discard(&mut self, max: usize) -> io::Result<usize>;
    /// Bytes that came off the socket and wait in here to be read: they have crossed the network too.
    fn waiting(&self) -> usize {
        0
    }
    /// Sends up to `count` payload bytes of whatever content and says how many were taken for good: buffered ones count
    /// once, when they are accepted.
    fn write(&mut self, count: usize) -> io::Result<usize>;
}

/// Datagrams that are not a socket's own, such as tunnelled ones. Calls wait as those of [`Bytes`] do.
pub trait Datagrams: Send + 'static {
    /// Receives one, puts as much of its beginning as fits into `beginning` and says how long it was. Empty ones are
    /// skipped; a peer that has closed is `UnexpectedEof`.
    fn receive(&mut self, beginning: &mut [u8]) -> io::Result<usize>;
    /// Sends one as a whole, now or with the next [`flush`](Self::flush). `WouldBlock`: not sent.
    fn send(&mut self, datagram: &[u8]) -> io::Result<()>;
    /// Gets going what `send` may have kept back. `WouldBlock`: not all yet; later calls go on with it.
    fn flush(&mut self) -> io::Result<()>;
}

/// Where a UDP stream's datagrams go.
pub enum DatagramLink {
    /// A connected socket: the fast path.
    Udp(UdpSocket),
    /// Something over this socket, which is kept for options, `TCP_INFO` and `shutdown(2)`.
    Over(Box<dyn Datagrams>, Arc<TcpStream>),
}

impl std::fmt::Debug for DatagramLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Udp(socket) => f.debug_tuple("Udp").field(socket).finish(),
            Self::Over(_, socket) => f.debug_tuple("Over").field(socket).finish_non_exhaustive(),
        }
    }
}

impl From<UdpSocket> for DatagramLink {
    fn from(socket: UdpSocket) -> Self {
        Self::Udp(socket)
    }
}

/// Where a TCP stream's bytes go.
pub enum Link {
    /// A connected socket: the fast path.
    Tcp(TcpStream),
    /// Something over this socket, which is kept for options, `TCP_INFO` and `shutdown(2)`.
    Over(Box<dyn Bytes>, Arc<TcpStream>),
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(socket) => f.debug_tuple("Tcp").field(socket).finish(),
            Self::Over(_, socket) => f.debug_tuple("Over").field(socket).finish_non_exhaustive(),
        }
    }
}

impl From<TcpStream> for Link {
    fn from(socket: TcpStream) -> Self {
        Self::Tcp(socket)
    }
}
