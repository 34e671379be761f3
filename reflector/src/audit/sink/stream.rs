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

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::OwnedFd;

    use super::*;

    /// A pipe that is full in the middle of a line: nothing can be taken back, so the torn line gets an end of its own.
    #[test]
    fn a_torn_line_does_not_swallow_the_next_one() {
        let (mut reader, writer) = io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        let mut sink = StreamSink::new(File::from(OwnedFd::from(writer)));
        let line = [b"x".repeat(999), b"\n".to_vec()].concat();
        let lines = line.repeat(1000);
        let partial = sink.append(&lines).unwrap_err();
        assert_eq!((partial.error.kind(), partial.kept % line.len()), (io::ErrorKind::WouldBlock, 0));
        let mut text = vec![0; lines.len()];
        let read = reader.read(&mut text).unwrap();
        assert!(read > partial.kept, "the kernel took part of a line");
        sink.append(b"next\n").unwrap();
        let read = reader.read(&mut text).unwrap();
        assert_eq!(&text[..read], b"\nnext\n");
    }
}
