//! Echo through a tunnel, by calls that never wait.

use std::io;
use std::net::TcpStream;
use std::os::fd::AsFd as _;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags};

use crate::engine::streams::{DatagramLink, Datagrams};

/// A tunnelled stream of datagrams.
pub struct Tunnelled {
    datagrams: Box<dyn Datagrams>,
    socket: Arc<TcpStream>,
    /// Something was kept back because the socket was full.
    kept: bool,
}

impl Tunnelled {
    /// Around a stream, which is told not to wait. A UDP socket is none.
    pub fn new(link: DatagramLink) -> io::Result<Self> {
        let DatagramLink::Over(datagrams, socket) = link else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        socket.set_nonblocking(true)?;
        // Each datagram for itself: bundled ones would be measured late.
        socket.set_nodelay(true)?;
        Ok(Self { datagrams, socket, kept: false })
    }

    /// What to wait for.
    pub(super) fn poll(&self) -> PollFd<'_> {
        let flags = if self.kept { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
        PollFd::from_borrowed_fd(self.socket.as_fd(), flags)
    }

    /// Takes the next datagram; what does not fit is cut off, though not in the length. `WouldBlock`: none is there.
    /// `UnexpectedEof`: none comes any more.
    pub(super) fn receive(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.kept {
            self.flush()?;
        }
        self.datagrams.receive(into)
    }

    /// Sends one. `WouldBlock`: the way is full, and the datagram is lost like any other.
    pub(super) fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        if self.kept {
            self.flush()?;
            if self.kept {
                return Err(io::ErrorKind::WouldBlock.into());
            }
        }
        self.datagrams.send(datagram)?;
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.kept = match self.datagrams.flush() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => true,
            other => other.map(|()| false)?,
        };
        Ok(())
    }
}
