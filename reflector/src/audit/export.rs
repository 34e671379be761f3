//! Copies an audit log out, with its rotated files, while it is written and rotated.
//!
//! In: its files, oldest first. Out: whole lines, as they stand. Whoever has them elsewhere can verify them there.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::files::{Error, compressed, find};
use super::line::MAX_LINE;

/// How often the log may be rotated while its files are opened. Test: `a_log_that_is_renamed_meanwhile_is_whole`.
const TRIES: usize = 5;

/// Writes a log and its rotated files, found by name. Blocks; called by the CLI.
pub fn export_log(path: &Path, out: &mut impl Write) -> Result<(), Error> {
    for _ in 0..TRIES {
        let names = find(path)?;
        let opened = open(&names);
        // A rotation in between would repeat a file, or miss one; an open file stays what it was.
        if find(path)? != names {
            continue;
        }
        let files = opened?;
        if files.iter().all(|(name, file)| is_at(file, name)) {
            return copy(&files, out);
        }
    }
    Err(Error::Rotating { path: path.to_owned() })
}

/// Writes the given files, oldest first. Blocks; called by the CLI.
pub fn export_files(paths: &[PathBuf], out: &mut impl Write) -> Result<(), Error> {
    copy(&open(paths)?, out)
}

type Opened = Vec<(PathBuf, File)>;

fn open(paths: &[PathBuf]) -> Result<Opened, Error> {
    let one = |path: &PathBuf| {
        if compressed(path) {
            return Err(Error::Compressed { path: path.clone() });
        }
        let file = File::open(path).map_err(|source| Error::Read { path: path.clone(), source })?;
        Ok((path.clone(), file))
    };
    paths.iter().map(one).collect()
}

fn is_at(file: &File, name: &Path) -> bool {
    let place = |of: &fs::Metadata| (of.dev(), of.ino());
    matches!((file.metadata(), fs::metadata(name)), (Ok(one), Ok(other)) if place(&one) == place(&other))
}

fn copy(files: &Opened, out: &mut impl Write) -> Result<(), Error> {
    for (path, file) in files {
        lines(path, BufReader::new(file), out)?;
    }
    out.flush().map_err(|source| Error::Write { source })
}

/// Never holds more than one line. What has no end yet is being written, and not part of the copy.
fn lines(path: &Path, mut file: impl BufRead, out: &mut impl Write) -> Result<(), Error> {
    let mut line = Vec::new();
    let most = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
    loop {
        line.clear();
        let read = file.by_ref().take(most).read_until(b'\n', &mut line);
        read.map_err(|source| Error::Read { path: path.to_owned(), source })?;
        let ends = line.last() == Some(&b'\n');
        if !ends && line.len() < MAX_LINE {
            return Ok(());
        }
        out.write_all(&line).map_err(|source| Error::Write { source })?;
    }
}
