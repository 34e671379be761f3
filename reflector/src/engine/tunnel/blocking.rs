//! The same connection on a plain thread: a sink that drops what it decrypts, a source that encrypts one hot record
//! over and over, and datagrams behind a length.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use rustix::net::SendFlags;

use crate::engine::streams::{Bytes, DatagramLink, Link};

use super::datagrams::Framed;
use super::tls::{BATCH, Fault, Got, RECORD, Tls};

/// What a source sends, small enough to stay in the nearest cache. iperf3 sends a repeated pattern too; nobody looks at it.
static PATTERN: [u8; RECORD] = [0x61; RECORD];

/// A data connection of a data thread. Timeouts and `shutdown(2)` of the socket end its calls.
pub struct Blocking {
    tcp: Arc<TcpStream>,
    tls: Tls,
}

impl Blocking {
    pub(super) fn new(tcp: TcpStream, mut tls: Tls) -> io::Result<Self> {
        tcp.set_nonblocking(false)?;
        tls.widen();
        Ok(Self { tcp: Arc::new(tcp), tls })
    }

    /// The socket, for its options, what the kernel counts, and to end a call of another thread.
    pub fn tcp(&self) -> &Arc<TcpStream> {
        &self.tcp
    }

    /// As the threads of a test take it.
    pub fn into_link(self) -> Link {
        let socket = Arc::clone(&self.tcp);
        Link::Over(Box::new(self), socket)
    }

    /// As the threads of a test take one that carries datagrams.
    pub fn into_datagrams(self) -> DatagramLink {
        let socket = Arc::clone(&self.tcp);
        DatagramLink::Over(Box::new(Framed::new(self)), socket)
    }

    /// Ciphertext read from the socket since it was accepted.
    pub const fn ciphertext_received(&self) -> u64 {
        self.tls.ciphertext_received()
    }

    /// Waits for payload. 0: the peer said it is done.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut at = 0;
        self.read_with(buffer.len(), |bytes| {
            if let Some(to) = buffer.get_mut(at..at + bytes.len()) {
                to.copy_from_slice(bytes);
                at += bytes.len();
            }
        })
    }

    fn read_with(&mut self, max: usize, mut take: impl FnMut(&[u8])) -> io::Result<usize> {
        if max == 0 {
            return Ok(0);
        }
        loop {
            match self.tls.read(max, &mut take)? {
                Got::Plaintext(count) => return Ok(count),
                Got::Closed => return Ok(0),
                Got::Nothing => {}
            }
            match (&*self.tcp).read(self.tls.room())? {
                0 => return Err(Fault::Truncated.into()),
                count => self.tls.feed(count),
            }
        }
    }

    /// Sends these bytes, or the first of them. What was taken and the socket has no room for leaves with the next call.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.flush()?;
        let now = bytes.get(..bytes.len().min(BATCH)).unwrap_or_default();
        self.tls.write(now)?;
        self.flush_or_keep()?;
        Ok(now.len())
    }

    /// Says that nothing more comes.
    pub fn close(&mut self) -> io::Result<()> {
        self.tls.close()?;
        self.flush()?;
        self.tcp.shutdown(std::net::Shutdown::Write)
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        while !self.tls.outgoing().is_empty() {
            match (&*self.tcp).write(self.tls.outgoing())? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => self.tls.wrote(written),
            }
        }
        Ok(())
    }

    fn flush_or_keep(&mut self) -> io::Result<()> {
        match self.flush() {
            Err(error) if !is_temporary(&error) => Err(error),
            _ => Ok(()),
        }
    }
}

/// As a plain socket says it: a peer that is gone without `close_notify` has reset the connection.
impl Bytes for Blocking {
    fn read_discard(&mut self, max: usize) -> io::Result<usize> {
        self.read_with(max, |_| {}).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => io::Error::new(io::ErrorKind::ConnectionReset, error),
            _ => error,
        })
    }

    fn waiting(&self) -> usize {
        self.tls.waiting()
    }

    fn write(&mut self, count: usize) -> io::Result<usize> {
        self.flush()?;
        let count = count.min(BATCH);
        let (whole, part) = (count / RECORD, count % RECORD);
        self.tls.write_repeated(&PATTERN, whole)?;
        self.tls.write(PATTERN.get(..part).unwrap_or_default())?;
        self.flush_or_keep()?;
        Ok(count)
    }
}

/// The other end is told that nothing more comes, if it takes it at once.
impl Drop for Blocking {
    fn drop(&mut self) {
        if self.tls.outgoing().is_empty() && self.tls.close().is_ok() {
            let _ =
                rustix::net::send(&*self.tcp, self.tls.outgoing(), SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
        }
    }
}

pub(super) fn is_temporary(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
        && error.raw_os_error() != Some(libc::ETIMEDOUT)
}

impl std::fmt::Debug for Blocking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blocking").field("tcp", &self.tcp).finish_non_exhaustive()
    }
}
