//! A connection of a test, whatever carries it: a socket in plain, or a stream in a tunnel.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::TunnelStream;
use crate::engine::streams::{DatagramLink, Link};

/// To the engine both are a stream that was accepted on a port.
pub enum Carried {
    /// A socket of its own.
    Plain(TcpStream),
    /// In TLS.
    Tunneled(Box<TunnelStream>),
}

impl Carried {
    /// For a data thread.
    pub fn into_link(self) -> io::Result<Link> {
        match self {
            Self::Plain(stream) => Ok(Link::Tcp(stream.into_std()?)),
            Self::Tunneled(stream) => Ok(stream.into_blocking()?.into_link()),
        }
    }

    /// For a data thread, of a stream that carries datagrams. There are none on a plain TCP connection.
    pub fn into_datagrams(self) -> io::Result<DatagramLink> {
        match self {
            Self::Plain(_) => Err(io::ErrorKind::Unsupported.into()),
            Self::Tunneled(stream) => Ok(stream.into_blocking()?.into_datagrams()),
        }
    }
}

/// The socket below, for its options and what the kernel counts.
impl AsFd for Carried {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Plain(stream) => stream.as_fd(),
            Self::Tunneled(stream) => stream.tcp().as_fd(),
        }
    }
}

impl AsyncRead for Carried {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tunneled(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Carried {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tunneled(stream) => Pin::new(stream.as_mut()).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tunneled(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tunneled(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}
