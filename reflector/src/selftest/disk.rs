//! Writes to the state folder and syncs, as ledger and audit log do.
//!
//! The file is unlinked before the first byte goes into it, so not even SIGKILL leaves one behind.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::host::{Disk, Error, Measured};

/// How much is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Effort {
    /// At most this many blocks …
    blocks: u64,
    /// … and no new one after this time: an SD card may take a second for each.
    until: Duration,
}

/// 10 MiB, or what fits into a second and a half.
pub(super) const FULL: Effort = Effort { blocks: 10, until: Duration::from_millis(1500) };
/// One block.
pub(super) const QUICK: Effort = Effort { blocks: 1, until: Duration::from_millis(500) };

/// Written and synced at a time.
const BLOCK: u64 = 1024 * 1024;
/// Never fill a disk with a measurement: at most this part of what is free.
const PART_OF_FREE: u64 = 8;
/// Below this a number means nothing and the disk is full for all purposes.
const MIN_WRITE: u64 = 64 * 1024;

/// Writes, syncs and measures.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock around what it measures")]
pub(super) fn measure(state_dir: &Path, effort: Effort) -> Measured<Disk> {
    let folder = nearest_existing(state_dir);
    let failed = |action| {
        let folder = folder.clone();
        move |source: io::Error| Error::Disk { action, folder, source }
    };
    let space = rustix::fs::statvfs(&folder).map_err(|errno| failed("ask for free space")(errno.into()))?;
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    let block = BLOCK.min(free / PART_OF_FREE);
    if block < MIN_WRITE {
        return Err(failed("write a test file")(io::ErrorKind::StorageFull.into()));
    }
    let mut file = nameless(&folder).map_err(failed("create a test file"))?;
    let pattern = vec![0xa5_u8; usize::try_from(block).unwrap_or(0)];
    let (mut written, start) = (0_u64, Instant::now());
    for _ in 0..effort.blocks.min(free / PART_OF_FREE / block) {
        file.write_all(&pattern).map_err(failed("write a test file"))?;
        file.sync_data().map_err(failed("sync a test file"))?;
        written = written.saturating_add(block);
        if start.elapsed() >= effort.until {
            break;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "at most ten blocks")]
    let mb_per_sec = written as f64 / 1e6 / seconds;
    Ok(Disk { exists: folder == state_dir, folder, mb_per_sec, free })
}

/// The folder, or the first of its parents that exists: before the first start there is none yet.
fn nearest_existing(folder: &Path) -> PathBuf {
    let existing = folder.ancestors().find(|each| each.as_os_str().is_empty() || each.exists());
    match existing {
        Some(found) if !found.as_os_str().is_empty() => found.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// A new file nobody else can open, already without a name.
fn nameless(folder: &Path) -> io::Result<File> {
    let path = folder.join(format!(".selftest-{}", Uuid::new_v4()));
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<PathBuf> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    #[test]
    fn a_measurement_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let disk = measure(folder.path(), QUICK).unwrap();
        assert!(disk.exists && disk.mb_per_sec > 0.0 && disk.free > 0, "{disk:?}");
        assert_eq!(names(folder.path()), Vec::<PathBuf>::new());
    }

    /// Red when the name is removed only at the end: a killed self-test would leave it.
    #[test]
    fn the_file_has_no_name_while_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = nameless(folder.path()).unwrap();
        file.write_all(b"x").unwrap();
        assert_eq!(names(folder.path()), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_folder_that_does_not_exist_yet_is_measured_by_its_parent() {
        let folder = tempfile::tempdir().unwrap();
        let disk = measure(&folder.path().join("not/yet"), QUICK).unwrap();
        assert_eq!((disk.exists, disk.folder.as_path()), (false, folder.path()));
        assert_eq!(names(folder.path()), Vec::<PathBuf>::new());
    }

    #[test]
    fn what_is_not_a_folder_is_an_error_that_names_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = measure(file.path(), QUICK).unwrap_err().to_string();
        assert!(
            error.contains("create a test file") && error.contains(file.path().to_str().unwrap()),
            "{error}"
        );
    }
}
