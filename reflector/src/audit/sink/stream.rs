//! Stdout, for containers whose runtime keeps the log. Nothing can be taken back from a pipe: a torn line is ended
//! with a newline, and verification names it.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use super::super::chain::Head;
use super::super::line::Opens;
use super::{Partial, Sink, whole_lines, write_all};

/// Lines to a pipe or terminal.
#[derive(Debug)]
pub(in crate::audit) struct StreamSink {
    /// Not `std::io::stdout()`: its buffer would hide how much was written.
    file: File,
    torn: bool,
}

impl StreamSink {
    pub(in crate::audit) fn stdout() -> io::Result<Self> {
        Ok(Self::new(File::from(io::stdout().as_fd().try_clone_to_owned()?)))
    }

    pub(in crate::audit) fn new(file: File) -> Self {
        Self { file, torn: false }
    }
}

impl Sink for StreamSink {
    fn ready(&mut self) -> io::Result<Option<Opens>> {
        Ok(None)
    }

    fn append(&mut self, lines: &[u8]) -> Result<(), Partial> {
        if self.torn {
            write_all(&mut self.file, b"\n").map_err(|(_, error)| Partial { kept: 0, error })?;
            self.torn = false;
        }
        write_all(&mut self.file, lines).map_err(|(written, error)| {
            let kept = whole_lines(lines, written);
            self.torn = kept < written;
            Partial { kept, error }
        })
    }

    fn sync(&mut self, _head: Head) -> io::Result<()> {
        Ok(())
    }
}
