//! Where lines go. A sink writes bytes and says how much of them stands as whole lines; it knows nothing of events
//! or hashes.

mod file;
mod stream;

use std::io;

use super::chain::Head;
use super::line::Opens;

pub(super) use file::{FileSink, head_path, parse_head};
pub(super) use stream::StreamSink;

/// An append that did not go through.
#[derive(Debug)]
pub(super) struct Partial {
    /// Bytes that stand, whole lines only.
    pub(super) kept: usize,
    /// Why the rest does not.
    pub(super) error: io::Error,
}

/// A place for lines.
pub(super) trait Sink: Send {
    /// Follows a rotation. Called before each batch; says whether the next line is the first of a file.
    fn ready(&mut self) -> io::Result<Option<Opens>>;
    /// Appends whole lines. After an error nothing but whole lines is left, or the next append starts a new line.
    fn append(&mut self, lines: &[u8]) -> Result<(), Partial>;
    /// Makes durable what was appended; `head` is its last line.
    fn sync(&mut self, head: Head) -> io::Result<()>;
    /// Whether a line fits, without writing one. A sink that cannot tell says that it does not.
    fn room(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Writes all or as much as fits. Returns the bytes written beside the error.
fn write_all(file: &mut impl io::Write, mut bytes: &[u8]) -> Result<(), (usize, io::Error)> {
    let whole = bytes.len();
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err((whole - bytes.len(), io::ErrorKind::WriteZero.into())),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err((whole - bytes.len(), error)),
        }
    }
    Ok(())
}

/// How many of the first `written` bytes are whole lines.
fn whole_lines(lines: &[u8], written: usize) -> usize {
    let written = lines.get(..written).unwrap_or(lines);
    written.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1)
}
