//! Datagrams in a byte stream: each behind its length, a big-endian u16.

use std::io;

use crate::engine::streams::Datagrams;

use super::Blocking;
use super::tls::BATCH;

/// Bytes in front of each.
const LENGTH: usize = 2;

/// Plaintext that waits for more before it is encrypted: full records cost less, and nothing waits longer than until the
/// sender has nothing more to send at once.
const WORTH_SENDING: usize = 64 * 1024;

/// Appends a datagram. One longer than 65 535 bytes, which no socket hands out, is left away.
pub fn put_datagram(bytes: &mut Vec<u8>, datagram: &[u8]) {
    if let Ok(length) = u16::try_from(datagram.len()) {
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(datagram);
    }
}

/// Cuts a byte stream into datagrams (pure). What has begun stays when there is no more for now.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    bytes: Vec<u8>,
    at: usize,
}

impl Cutter {
    /// The next whole datagram that is not empty.
    pub(super) fn next(&mut self) -> Option<&[u8]> {
        loop {
            let (start, length) = self.head()?;
            let end = start.checked_add(length)?;
            if self.bytes.len() < end {
                return None;
            }
            self.at = end;
            if length > 0 {
                return self.bytes.get(start..end);
            }
        }
    }

    /// Adds what arrived. Call [`Self::next`] until there is none before: then one datagram and one push are all it holds.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.at > 0 {
            self.bytes.drain(..self.at);
            self.at = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Where the next datagram begins, and its length.
    fn head(&self) -> Option<(usize, usize)> {
        let header = self.bytes.get(self.at..)?.first_chunk::<LENGTH>()?;
        Some((self.at + LENGTH, usize::from(u16::from_be_bytes(*header))))
    }
}

/// A stream of datagrams on a data thread.
pub(super) struct Framed {
    stream: Blocking,
    cutter: Cutter,
    arrived: Box<[u8]>,
    leaving: Vec<u8>,
}

impl Framed {
    pub(super) fn new(stream: Blocking) -> Self {
        let arrived = vec![0; WORTH_SENDING].into_boxed_slice();
        Self { stream, cutter: Cutter::default(), arrived, leaving: Vec::new() }
    }

    /// Encrypts what waits, if the socket has taken what was encrypted before.
    fn encrypt(&mut self) -> io::Result<()> {
        if !self.leaving.is_empty() {
            // All of it: it is never more than a batch.
            let _whole = self.stream.send(&self.leaving)?;
            self.leaving.clear();
        }
        Ok(())
    }
}

impl Datagrams for Framed {
    fn receive(&mut self, beginning: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(datagram) = self.cutter.next() {
                for (to, from) in beginning.iter_mut().zip(datagram) {
                    *to = *from;
                }
                return Ok(datagram.len());
            }
            match self.stream.read(&mut self.arrived)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.cutter.push(self.arrived.get(..count).unwrap_or_default()),
            }
        }
    }

    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        if self.leaving.len() + LENGTH + datagram.len() > BATCH {
            self.encrypt()?;
        }
        put_datagram(&mut self.leaving, datagram);
        if self.leaving.len() >= WORTH_SENDING {
            // It was taken; a socket that is full is said with the next one.
            match self.encrypt() {
                Err(error) if super::blocking::is_temporary(&error) => {}
                other => other?,
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.encrypt()?;
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_datagram_is_its_length_and_its_bytes() {
        let mut bytes = Vec::new();
        put_datagram(&mut bytes, b"9876");
        put_datagram(&mut bytes, b"");
        put_datagram(&mut bytes, &vec![7; 65_536]);
        assert_eq!(bytes, b"\0\x049876\0\0");
    }

    proptest! {
        #[test]
        fn datagrams_cut_anywhere_come_out_whole_and_empty_ones_not_at_all(
            datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20),
            piece in 1usize..500,
        ) {
            let mut bytes = Vec::new();
            for datagram in &datagrams {
                put_datagram(&mut bytes, datagram);
            }
            let (mut cutter, mut out) = (Cutter::default(), Vec::new());
            for piece in bytes.chunks(piece) {
                cutter.push(piece);
                while let Some(datagram) = cutter.next() {
                    out.push(datagram.to_vec());
                }
            }
            let whole: Vec<_> = datagrams.into_iter().filter(|datagram| !datagram.is_empty()).collect();
            prop_assert_eq!(out, whole);
        }
    }
}
