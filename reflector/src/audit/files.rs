//! Reads audit logs: finds rotated files by name, feeds their lines to the walk that verifies them.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::chain::Head;
use super::line::MAX_LINE;
use super::sink::{head_path, parse_head};
use super::verify::{Report, Walk};

/// Why a log could not be verified at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder of the log cannot be listed.
    #[error("list {}", path.display())]
    List {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No file of that name, rotated or not.
    #[error("there is no audit log at {}: nothing was written yet, or logging.audit_log_path names another file", path.display())]
    Missing {
        /// The path asked for.
        path: PathBuf,
    },
    /// What is to be copied out must be readable elsewhere.
    #[error("{} is compressed: unpack it first", path.display())]
    Compressed {
        /// The file.
        path: PathBuf,
    },
    /// Its files changed their names each time they were opened.
    #[error("{} is rotated again and again: try later", path.display())]
    Rotating {
        /// The log.
        path: PathBuf,
    },
    /// Whoever was to read the copy did not.
    #[error("write the copy")]
    Write {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file cannot be read.
    #[error("read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Verifies a log and its rotated files, found by name. `live` is the head the running server gave, if one runs;
/// else the head noted beside the log is used. Blocks; called by the CLI.
pub fn verify_log(path: &Path, live: Option<Head>) -> Result<Report, Error> {
    let noted = noted_head(path)?;
    verify_files(&find(path)?, live.or(noted))
}

/// The head noted beside the log at `path`. What cannot be read as a head counts as none.
pub fn noted_head(path: &Path) -> Result<Option<Head>, Error> {
    let path = head_path(path);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(parse_head(&text)),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Read { path, source }),
    }
}

/// The files of a log, oldest first: `log-20250301`, `log.2`, `log.1`, `log`, also with the endings of compressors.
pub fn find(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let list = |source| Error::List { path: folder.to_owned(), source };
    let name = path.file_name().unwrap_or_default();
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(list)? {
        let entry = entry.map_err(list)?;
        if let Some(age) = age(name, &entry.file_name()) {
            found.push((age, folder.join(entry.file_name())));
        }
    }
    if found.is_empty() {
        return Err(Error::Missing { path: path.to_owned() });
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// Sorts the oldest first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Age {
    Dated(String),
    Numbered(std::cmp::Reverse<u32>),
    Current,
}

fn age(log: &OsStr, file: &OsStr) -> Option<Age> {
    let rest = file.to_str()?.strip_prefix(log.to_str()?)?;
    let rest = if compressed(Path::new(file)) { rest.rsplit_once('.')?.0 } else { rest };
    if rest.is_empty() {
        return Some(Age::Current);
    }
    if let Some(date) = rest.strip_prefix('-') {
        let is_date = date.starts_with(|c: char| c.is_ascii_digit());
        return is_date.then(|| Age::Dated(date.to_owned()));
    }
    rest.strip_prefix('.')?.parse().ok().map(|number| Age::Numbered(std::cmp::Reverse(number)))
}

pub(super) fn compressed(path: &Path) -> bool {
    path.extension().is_some_and(|end| ["gz", "xz", "zst", "bz2"].iter().any(|known| end == *known))
}

/// Verifies the given files, oldest first. Blocks; called by the CLI.
pub fn verify_files(paths: &[PathBuf], expected_head: Option<Head>) -> Result<Report, Error> {
    let mut walk = Walk::new(expected_head);
    for (number, path) in paths.iter().enumerate() {
        walk.file(path);
        if compressed(path) {
            walk.compressed();
            continue;
        }
        let last = number + 1 == paths.len();
        let read = File::open(path).and_then(|file| feed(&mut walk, BufReader::new(file), last));
        read.map_err(|source| Error::Read { path: path.clone(), source })?;
    }
    Ok(walk.finish())
}

/// Never holds more than one line, whatever the file is.
fn feed(walk: &mut Walk, mut file: impl BufRead, last: bool) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let most = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
        file.by_ref().take(most).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(());
        }
        if line.last() == Some(&b'\n') {
            line.pop();
            walk.line(&line);
        } else if line.len() < MAX_LINE {
            walk.torn(last);
        } else {
            walk.oversized();
            file.skip_until(b'\n')?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::verify::Fault;
    use super::*;

    #[test]
    fn rotated_files_are_found_by_name_oldest_first() {
        let folder = tempfile::tempdir().unwrap();
        let names = [
            "audit.jsonl-20250228.gz",
            "audit.jsonl-20250301",
            "audit.jsonl.10",
            "audit.jsonl.2.gz",
            "audit.jsonl.1",
            "audit.jsonl",
        ];
        let others = ["audit.jsonl.head", "audit.jsonl.bak", "audit.jsonl-old", "other.jsonl", "audit.json"];
        for name in names.iter().chain(&others) {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let found = find(&folder.path().join("audit.jsonl")).unwrap();
        assert_eq!(found, names.map(|name| folder.path().join(name)));
    }

    #[test]
    fn a_log_that_is_not_there_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let error = verify_log(&folder.path().join("audit.jsonl"), None).unwrap_err();
        assert!(
            matches!(error, Error::Missing { .. }) && error.to_string().contains("audit.jsonl"),
            "{error}"
        );
    }

    #[test]
    fn compressed_files_and_endless_lines_are_faults_not_surprises() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("audit.jsonl");
        fs::write(folder.path().join("audit.jsonl.1.gz"), [0x1f, 0x8b, 0, 0]).unwrap();
        fs::write(&log, [vec![b'x'; MAX_LINE * 3], b"\nx".to_vec()].concat()).unwrap();
        let report = verify_log(&log, None).unwrap();
        let faults: Vec<&Fault> = report.problems.iter().map(|problem| &problem.fault).collect();
        assert_eq!(faults, [&Fault::Compressed, &Fault::Unreadable, &Fault::Torn]);
        assert_eq!(report.files[1].lines, 2);
    }
}
