//! Datagrams over a byte stream, each behind its length: echo through a tunnel. Never waits.

use std::io;
use std::net::TcpStream;
use std::os::fd::{AsFd as _, BorrowedFd};

use crate::engine::tunnel::Blocking;

/// A way for datagrams that is no socket of ours.
pub trait Channel: Send {
    /// What becomes readable when a datagram may be there.
    fn descriptor(&self) -> BorrowedFd<'_>;
    /// Takes the next datagram; what does not fit is cut off. `WouldBlock`: none is there. `UnexpectedEof`: none comes
    /// any more.
    fn receive(&mut self, into: &mut [u8]) -> io::Result<usize>;
    /// Sends one, or none of it: `WouldBlock` when the way is full, and the datagram is lost like any other.
    fn send(&mut self, datagram: &[u8]) -> io::Result<()>;
}

/// What [`Framed`] runs over: a stream whose calls do not wait.
pub trait Stream: Send {
    /// Its socket.
    fn socket(&self) -> &TcpStream;
    /// Reads some bytes; 0 at the end.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize>;
    /// Takes all of these bytes, or none.
    fn send(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// Datagrams behind a u16 length.
#[derive(Debug)]
pub struct Framed<S> {
    stream: S,
    /// Read and not yet taken, from `at` on.
    read: Vec<u8>,
    at: usize,
    /// A frame on its way out.
    frame: Vec<u8>,
}

const LENGTH: usize = 2;
/// One read: a few of the longest frames, many of the shortest.
const READ: usize = 16 * 1024;

impl<S: Stream> Framed<S> {
    /// Around a stream, which is told not to wait.
    pub fn new(stream: S) -> io::Result<Self> {
        stream.socket().set_nonblocking(true)?;
        // Each datagram for itself: bundled ones would be measured late.
        stream.socket().set_nodelay(true)?;
        Ok(Self { stream, read: Vec::new(), at: 0, frame: Vec::new() })
    }

    /// The next whole frame's payload, if it is there.
    fn whole(&self) -> Option<&[u8]> {
        let (length, rest) = self.read.get(self.at..)?.split_first_chunk::<LENGTH>()?;
        rest.get(..usize::from(u16::from_be_bytes(*length)))
    }

    fn more(&mut self) -> io::Result<()> {
        self.read.drain(..self.at);
        self.at = 0;
        let held = self.read.len();
        self.read.resize(held + READ, 0);
        let got = self.stream.read(self.read.get_mut(held..).unwrap_or_default());
        self.read.truncate(held + got.as_ref().map_or(0, |got| *got));
        if got? == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

impl<S: Stream> Channel for Framed<S> {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.stream.socket().as_fd()
    }

    fn receive(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(payload) = self.whole() {
                let kept = payload.len().min(into.len());
                for (to, from) in into.iter_mut().zip(payload) {
                    *to = *from;
                }
                self.at += LENGTH + payload.len();
                return Ok(kept);
            }
            // At most a frame and one read are held: what is not whole needs more, and then it is taken.
            self.more()?;
        }
    }

    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        let length =
            u16::try_from(datagram.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        self.frame.clear();
        self.frame.extend_from_slice(&length.to_be_bytes());
        self.frame.extend_from_slice(datagram);
        self.stream.send(&self.frame)
    }
}

impl Stream for Blocking {
    fn socket(&self) -> &TcpStream {
        self.tcp()
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        Self::read(self, into)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        // A frame fits its batch, which is taken as a whole.
        Self::send(self, bytes).map(drop)
    }
}
