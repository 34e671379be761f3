//! Files that are either the old one or the new one, whatever happens in between.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

/// What to do when the name is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfTaken {
    /// Take its place.
    Replace,
    /// Fail with `AlreadyExists`.
    Refuse,
}

/// Writes a whole file: a dot file beside it, flushed to disk, renamed into place, the rename flushed too. Blocks.
pub fn write(path: &Path, bytes: &[u8], mode: u32, if_taken: IfTaken) -> io::Result<()> {
    let beside = beside(path)?;
    let written = write_beside(&beside, bytes, mode).and_then(|()| put_in_place(&beside, path, if_taken));
    if written.is_err() {
        // The first error is the one to tell; a dot file left behind is never read.
        let _left_behind = std::fs::remove_file(&beside);
    }
    written?;
    sync_parent(path)
}

/// Removes a file so that it stays removed. One that is not there is fine. Blocks.
pub fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.and_then(|()| sync_parent(path)),
    }
}

fn beside(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    let mut salt = [0u8; 8];
    getrandom::fill(&mut salt).map_err(io::Error::other)?;
    Ok(path.with_file_name(format!(".{name}.{:016x}.tmp", u64::from_le_bytes(salt))))
}

fn write_beside(beside: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(beside)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn put_in_place(beside: &Path, path: &Path, if_taken: IfTaken) -> io::Result<()> {
    match if_taken {
        IfTaken::Replace => std::fs::rename(beside, path),
        IfTaken::Refuse => Ok(renameat_with(CWD, beside, CWD, path, RenameFlags::NOREPLACE)?),
    }
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_written_whole_with_its_mode_and_nothing_left_beside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.yaml");
        write(&path, b"one", 0o600, IfTaken::Refuse).unwrap();
        let taken = write(&path, b"two", 0o600, IfTaken::Refuse).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        write(&path, b"three", 0o640, IfTaken::Replace).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"three");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn removing_twice_is_fine() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.yaml");
        write(&path, b"one", 0o600, IfTaken::Refuse).unwrap();
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert!(!path.exists());
    }
}
