//! SHA-256, the name of everything in an archive.

use std::fmt;
use std::io::{self, Write};

use aws_lc_rs::digest::{Context, SHA256, digest};

/// A digest. Shown as `sha256:…`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest(String);

impl Digest {
    /// Of these bytes.
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self(hex(digest(&SHA256, bytes).as_ref()))
    }

    /// The 64 digits alone.
    pub fn hex(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Counts and digests what is written through it.
pub(super) struct Measure<W> {
    inner: W,
    context: Context,
    bytes: u64,
}

impl<W: Write> Measure<W> {
    pub(super) fn new(inner: W) -> Self {
        Self { inner, context: Context::new(&SHA256), bytes: 0 }
    }

    /// What came through.
    pub(super) fn finish(self) -> (Digest, u64) {
        (Digest(hex(self.context.finish().as_ref())), self.bytes)
    }
}

impl<W: Write> Write for Measure<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.context.update(buffer.get(..written).unwrap_or_default());
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_in_pieces_has_the_digest_of_the_whole() {
        let mut measure = Measure::new(io::sink());
        measure.write_all(b"ab").unwrap();
        measure.write_all(b"c").unwrap();
        let (digest, bytes) = measure.finish();
        assert_eq!((&digest, bytes), (&Digest::of(b"abc"), 3));
        // FIPS 180-4, the first example.
        let known = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest.to_string(), known);
    }
}
