//! One command at a time changes the bed: a lock on its folder, given back by the kernel when its holder dies.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use rustix::fs::{FlockOperation, flock};

/// The right to change the bed, until dropped.
pub(super) struct Lock {
    _folder: File,
}

/// Makes the folder and locks it. Another holder is an error, not a wait: starting twice at once is a mistake.
pub(super) fn take(folder: &Path) -> Result<Lock> {
    loop {
        fs::create_dir_all(folder).with_context(|| format!("make the bed's folder {}", folder.display()))?;
        let open = File::open(folder).with_context(|| format!("open {}", folder.display()))?;
        if flock(&open, FlockOperation::NonBlockingLockExclusive).is_err() {
            bail!("another `cargo bed` is changing this bed; try again when it is done");
        }
        // `down` removes the folder while it holds the lock: then ours is on something that has no name any more.
        let inode = open.metadata().context("look at the bed's folder")?.ino();
        if fs::metadata(folder).is_ok_and(|now| now.ino() == inode) {
            return Ok(Lock { _folder: open });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_cannot_change_a_bed_at_once() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("bed");
        let first = take(&folder).unwrap();
        assert!(take(&folder).is_err());
        drop(first);
        take(&folder).unwrap();
    }
}
