//! The log file and the head noted beside it (`<path>.head`).
//!
//! Follows rotation by rename (before each batch the path is compared with the open file) and by `copytruncate` (the
//! file is shorter than what we wrote). Cuts a partly written line off again.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, FlockOperation, fallocate, flock};

use super::super::chain::Head;
use super::super::line::{MAX_LINE, Opens};
use super::{Partial, Sink, whole_lines, write_all};

/// Ours to write, readable for a log shipper in our group; peers' addresses are nobody else's business.
const MODE: u32 = 0o640;
/// The noted head has one length, so that it is overwritten in place and never grows or shrinks.
const HEAD_BYTES: usize = 128;

/// The log file.
#[derive(Debug)]
pub(in crate::audit) struct FileSink {
    path: PathBuf,
    file: File,
    /// False for a device or pipe given as path: it has no length and cannot be synced.
    regular: bool,
    /// Where the file ends if nobody else touched it.
    end: u64,
    /// The last line in the file has no end.
    torn: bool,
    head: Option<File>,
}

/// A log as it was found.
#[derive(Debug)]
pub(in crate::audit) struct Opened {
    pub(in crate::audit) sink: FileSink,
    /// Its last complete line.
    pub(in crate::audit) last: Option<Vec<u8>>,
    /// The head noted beside it.
    pub(in crate::audit) noted: Option<Head>,
    /// Bytes of a torn line that were cut off.
    pub(in crate::audit) torn: u64,
}

impl FileSink {
    /// Opens or makes the log. `WouldBlock`: another process writes it.
    pub(in crate::audit) fn open(path: &Path) -> io::Result<Opened> {
        let (file, regular) = open_log(path)?;
        let head = if regular { Some(lock_head(path)?) } else { None };
        let noted = match &head {
            Some(head) => parse_head(&read_head(head)?),
            None => None,
        };
        let end = if regular { file.metadata()?.len() } else { 0 };
        let mut sink = Self { path: path.to_owned(), file, regular, end, torn: false, head };
        let (last, torn) = if regular { sink.last_line()? } else { (None, 0) };
        Ok(Opened { sink, last, noted, torn })
    }

    /// The last complete line; what follows it was torn by a crash and is cut off.
    fn last_line(&mut self) -> io::Result<(Option<Vec<u8>>, u64)> {
        let window = self.end.min(u64::try_from(2 * MAX_LINE).unwrap_or(u64::MAX));
        let mut tail = vec![0; usize::try_from(window).unwrap_or(0)];
        self.file.read_exact_at(&mut tail, self.end - window)?;
        let whole = whole_lines(&tail, tail.len());
        if whole == 0 && window < self.end {
            // No line of ours is that long. Not ours to cut: the next line starts anew.
            self.torn = true;
            return Ok((Some(tail), 0));
        }
        let torn = u64::try_from(tail.len() - whole).unwrap_or(0);
        if torn > 0 {
            self.end -= torn;
            self.file.set_len(self.end)?;
        }
        tail.truncate(whole.saturating_sub(1));
        let start = whole_lines(&tail, tail.len());
        Ok(((whole > 0).then(|| tail.split_off(start)), torn))
    }

    /// Takes back what stands after the last whole line, unless somebody else wrote behind it.
    fn cut_back(&mut self, kept: u64, written: u64) {
        let ours = self.file.metadata().is_ok_and(|now| now.len() == self.end.saturating_add(written));
        self.end = self.end.saturating_add(kept);
        let cut = ours && self.file.set_len(self.end).is_ok();
        self.torn = kept < written && !cut;
        if !cut {
            self.end = self.end.saturating_add(written - kept);
        }
    }

    fn follow_rename(&mut self) -> io::Result<Option<Opens>> {
        let open = self.file.metadata()?;
        match fs::metadata(&self.path) {
            Ok(at_path) if (at_path.dev(), at_path.ino()) == (open.dev(), open.ino()) => return Ok(None),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let (file, regular) = open_log(&self.path)?;
        self.end = if regular { file.metadata()?.len() } else { 0 };
        self.torn = regular && !ends_a_line(&file, self.end)?;
        (self.file, self.regular) = (file, regular);
        Ok(Some(Opens::Rotated))
    }

    fn follow_truncation(&mut self) -> io::Result<Option<Opens>> {
        if !self.regular {
            return Ok(None);
        }
        let found = self.file.metadata()?.len();
        let opens = (found < self.end).then_some(Opens::Truncated);
        if found != self.end {
            self.end = found;
            self.torn = !ends_a_line(&self.file, found)?;
        }
        Ok(opens)
    }
}

impl Sink for FileSink {
    fn ready(&mut self) -> io::Result<Option<Opens>> {
        match self.follow_rename()? {
            Some(opens) => Ok(Some(opens)),
            None => self.follow_truncation(),
        }
    }

    fn append(&mut self, lines: &[u8]) -> Result<(), Partial> {
        if self.torn {
            write_all(&mut self.file, b"\n").map_err(|(_, error)| Partial { kept: 0, error })?;
            self.end = self.end.saturating_add(1);
            self.torn = false;
        }
        match write_all(&mut self.file, lines) {
            Ok(()) => {
                self.end = self.end.saturating_add(u64::try_from(lines.len()).unwrap_or(u64::MAX));
                Ok(())
            }
            Err((written, error)) => {
                let kept = whole_lines(lines, written);
                let wide = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
                self.cut_back(wide(kept), wide(written));
                Err(Partial { kept, error })
            }
        }
    }

    /// Lines first, then the head: a head that is behind is normal after a crash, one that is ahead means lines
    /// were removed.
    fn sync(&mut self, head: Head) -> io::Result<()> {
        if self.regular {
            self.file.sync_data()?;
        }
        if let Some(file) = &self.head {
            file.write_all_at(&print_head(head)?, 0)?;
            file.sync_data()?;
        }
        Ok(())
    }

    /// Sets blocks aside behind the last line, which does not make the file longer; the next line goes there.
    fn room(&mut self) -> io::Result<()> {
        let most = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
        Ok(fallocate(&self.file, FallocateFlags::KEEP_SIZE, self.end, most)?)
    }
}

fn open_log(path: &Path) -> io::Result<(File, bool)> {
    let file = OpenOptions::new().read(true).append(true).create(true).mode(MODE).open(path)?;
    let found = file.metadata()?;
    let regular = found.is_file();
    if regular && found.len() == 0 {
        // The name of a new file must survive a power cut as well as its lines.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok((file, regular))
}

fn ends_a_line(file: &File, end: u64) -> io::Result<bool> {
    let Some(last) = end.checked_sub(1) else { return Ok(true) };
    let mut byte = [0];
    file.read_exact_at(&mut byte, last)?;
    Ok(byte == *b"\n")
}

/// Where the head of the log at `path` is noted.
pub(in crate::audit) fn head_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".head");
    PathBuf::from(name)
}

/// The file with the head stays where it is when the log rotates, so it also carries the lock.
fn lock_head(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(MODE);
    let file = options.open(head_path(path))?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    Ok(file)
}

fn read_head(file: &File) -> io::Result<String> {
    let mut bytes = [0; HEAD_BYTES];
    let read = file.read_at(&mut bytes, 0)?;
    Ok(String::from_utf8_lossy(bytes.get(..read).unwrap_or_default()).into_owned())
}

/// Reads a noted head; `None` when there is none yet or a crash tore it.
pub(in crate::audit) fn parse_head(text: &str) -> Option<Head> {
    serde_json::from_str(text).ok()
}

fn print_head(head: Head) -> io::Result<Vec<u8>> {
    let text = serde_json::to_string(&head)?;
    Ok(format!("{text:width$}\n", width = HEAD_BYTES - 1).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(folder: &tempfile::TempDir) -> PathBuf {
        folder.path().join("audit.jsonl")
    }

    #[test]
    fn a_head_of_any_size_has_one_length_and_reads_back() {
        for seq in [0, 7, u64::MAX] {
            let head = Head { seq, ..Head::GENESIS };
            let printed = print_head(head).unwrap();
            assert_eq!(printed.len(), HEAD_BYTES);
            assert_eq!(parse_head(std::str::from_utf8(&printed).unwrap()), Some(head));
        }
    }

    #[test]
    fn a_torn_last_line_is_cut_off_and_the_last_whole_one_found() {
        let folder = tempfile::tempdir().unwrap();
        for (text, last, left) in [
            ("", None, ""),
            ("torn", None, ""),
            ("one\n", Some("one"), "one\n"),
            ("one\ntwo\nto", Some("two"), "one\ntwo\n"),
        ] {
            fs::write(log(&folder), text).unwrap();
            let opened = FileSink::open(&log(&folder)).unwrap();
            assert_eq!(opened.last.as_deref(), last.map(str::as_bytes), "{text:?}");
            assert_eq!(fs::read_to_string(log(&folder)).unwrap(), left);
            assert_eq!(opened.torn, u64::try_from(text.len() - left.len()).unwrap());
        }
    }

    /// Two writers would braid two chains into one file.
    #[test]
    fn a_second_writer_of_the_same_log_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let first = FileSink::open(&log(&folder)).unwrap();
        let error = FileSink::open(&log(&folder)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        drop(first);
        FileSink::open(&log(&folder)).unwrap();
    }

    #[test]
    fn the_log_is_not_readable_for_others() {
        let folder = tempfile::tempdir().unwrap();
        let _opened = FileSink::open(&log(&folder)).unwrap();
        for path in [log(&folder), head_path(&log(&folder))] {
            assert_eq!(fs::metadata(path).unwrap().mode() & 0o137, 0);
        }
    }

    #[test]
    fn bytes_of_somebody_else_do_not_swallow_our_next_line() {
        let folder = tempfile::tempdir().unwrap();
        let mut sink = FileSink::open(&log(&folder)).unwrap().sink;
        sink.append(b"one\n").unwrap();
        fs::write(log(&folder), "one\nfoul").unwrap();
        assert_eq!(sink.ready().unwrap(), None);
        sink.append(b"two\n").unwrap();
        assert_eq!(fs::read_to_string(log(&folder)).unwrap(), "one\nfoul\ntwo\n");
    }

    #[test]
    fn a_partly_written_line_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut sink = FileSink::open(&log(&folder)).unwrap().sink;
        sink.append(b"one\n").unwrap();
        fs::write(log(&folder), "one\ntwo\nthr").unwrap();
        sink.cut_back(4, 7);
        assert_eq!(fs::read_to_string(log(&folder)).unwrap(), "one\ntwo\n");
        sink.append(b"four\n").unwrap();
        assert_eq!(fs::read_to_string(log(&folder)).unwrap(), "one\ntwo\nfour\n");
    }
}
