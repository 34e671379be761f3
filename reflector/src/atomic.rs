//! Files that are either the old one or the new one, whatever happens in between.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

/// What to do when the name is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IfTaken {
    /// Take its place, and its owner: what root writes over a server's file stays readable for the server.
    Replace,
    /// Fail with `AlreadyExists`.
    Refuse,
}

/// Writes a whole file: a dot file beside it, flushed to disk, renamed into place, the rename flushed too. It has exactly
/// this mode, whatever the umask of whoever runs the command. Blocks.
pub(crate) fn write(path: &Path, bytes: &[u8], mode: u32, if_taken: IfTaken) -> io::Result<()> {
    let beside = beside(path)?;
    let owner = owner_to_keep(path, if_taken)?;
    let written =
        write_beside(&beside, bytes, mode, owner).and_then(|()| put_in_place(&beside, path, if_taken));
    if written.is_err() {
        // The first error is the one to tell; a dot file left behind is never read.
        let _left_behind = std::fs::remove_file(&beside);
    }
    written?;
    sync_parent(path)
}

/// Removes a file so that it stays removed. One that is not there is fine. Blocks.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.and_then(|()| sync_parent(path)),
    }
}

fn beside(path: &Path) -> io::Result<PathBuf> {
    path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut salt = [0u8; 8];
    getrandom::fill(&mut salt).map_err(io::Error::other)?;
    // Not made of the file's own name, which may be as long as a name can be.
    Ok(path.with_file_name(format!(".{:016x}.tmp", u64::from_le_bytes(salt))))
}

fn owner_to_keep(path: &Path, if_taken: IfTaken) -> io::Result<Option<(u32, u32)>> {
    match (if_taken, std::fs::metadata(path)) {
        (IfTaken::Replace, Ok(old)) => Ok(Some((old.uid(), old.gid()))),
        (IfTaken::Replace, Err(error)) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(None),
    }
}

fn write_beside(beside: &Path, bytes: &[u8], mode: u32, owner: Option<(u32, u32)>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(beside)?;
    let new = file.metadata()?;
    if let Some((user, group)) = owner.filter(|owner| *owner != (new.uid(), new.gid())) {
        match fchown(&file, Some(user), Some(group)) {
            // Only root may; whoever else writes here writes as the server's own user, and can read its own file.
            Err(error) if error.kind() != io::ErrorKind::PermissionDenied => return Err(error),
            _ => {}
        }
    }
    // After the owner, because that takes bits away; and the umask took some at the start.
    file.set_permissions(Permissions::from_mode(mode))?;
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
    fn a_file_may_have_the_longest_name_there_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(format!("{}.yaml", "x".repeat(250)));
        write(&path, b"one", 0o600, IfTaken::Refuse).unwrap();
        write(&path, b"two", 0o600, IfTaken::Replace).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
    }

    /// `umask 077` is what careful administrators have.
    #[test]
    fn the_umask_takes_nothing_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.yaml");
        // The umask belongs to the whole process, so a bit that every umask takes stands for it here.
        write(&path, b"one", 0o666, IfTaken::Refuse).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o666);
    }

    /// Only root can give files away; for everyone else the owner is the same anyway.
    #[test]
    fn a_file_that_is_replaced_keeps_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.yaml");
        write(&path, b"one", 0o600, IfTaken::Refuse).unwrap();
        let given_away = std::os::unix::fs::chown(&path, Some(65_534), Some(65_534)).is_ok();
        let owner = |path: &Path| std::fs::metadata(path).map(|m| (m.uid(), m.gid())).unwrap();
        let before = owner(&path);
        assert!(!given_away || before == (65_534, 65_534));
        write(&path, b"two", 0o600, IfTaken::Replace).unwrap();
        assert_eq!(owner(&path), before);
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
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
