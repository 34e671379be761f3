//! The same connection on a plain thread: a sink that drops what it decrypts, a source that encrypts one hot record
//! over and over, and datagrams behind a length.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;

use super::tls::{BATCH, Fault, Got, RECORD, Tls};

/// What a source sends. Iperf3 sends a repeated pattern too; nobody looks at it.
static PATTERN: [u8; RECORD] = [0x61; RECORD];

/// A data connection of a data thread. Timeouts and `shutdown(2)` of the socket end its calls.
pub struct Blocking {
    tcp: TcpStream,
    tls: Tls,
}

impl Blocking {
    pub(super) fn new(tcp: TcpStream, mut tls: Tls) -> io::Result<Self> {
        tcp.set_nonblocking(false)?;
        tls.widen();
        Ok(Self { tcp, tls })
    }

    /// The socket, for its options, what the kernel counts, and to end a call of another thread.
    pub const fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// Ciphertext read from the socket since it was accepted.
    pub const fn ciphertext_received(&self) -> u64 {
        self.tls.ciphertext_received()
    }

    /// Waits for payload, drops it, and says how much it was: at most `max`. 0: the peer said it is done.
    pub fn read_discard(&mut self, max: usize) -> io::Result<usize> {
        self.read_with(max, |_| {})
    }

    /// Waits for payload.
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
            match self.tcp.read(self.tls.room())? {
                0 => return Err(Fault::Truncated.into()),
                count => self.tls.feed(count),
            }
        }
    }

    /// Sends `max` bytes of a pattern, or fewer if the socket stops taking them; what was encrypted and not written goes
    /// out with the next call. Says how much payload was encrypted.
    pub fn write_pattern(&mut self, max: usize) -> io::Result<usize> {
        self.flush()?;
        let count = max.min(BATCH);
        let (whole, part) = (count / RECORD, count % RECORD);
        self.tls.write_repeated(&PATTERN, whole)?;
        if part > 0 {
            self.tls.write(PATTERN.get(..part).unwrap_or_default())?;
        }
        self.flush()?;
        Ok(count)
    }

    /// Sends these bytes.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.flush()?;
        let now = bytes.get(..bytes.len().min(BATCH)).unwrap_or_default();
        self.tls.write(now)?;
        self.flush()?;
        Ok(now.len())
    }

    /// Says that nothing more comes.
    pub fn close(&mut self) -> io::Result<()> {
        self.tls.close()?;
        self.flush()?;
        self.tcp.shutdown(std::net::Shutdown::Write)
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.tls.outgoing().is_empty() {
            match self.tcp.write(self.tls.outgoing())? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => self.tls.wrote(written),
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Blocking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blocking").field("tcp", &self.tcp).finish_non_exhaustive()
    }
}
