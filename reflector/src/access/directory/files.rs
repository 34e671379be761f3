//! The files of the directory: which are there, which have to be read, what they held.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use crds::EndpointId;

use crate::access::manifest::{self, Format, MAX_FILE_BYTES, Mine, Parsed};

use super::watch::Identity;

/// Most files looked at: as many as objects are loaded.
pub const MAX_FILES: usize = super::MAX_OBJECTS;

/// What to read in one look. Whatever is there and was never read, or is gone, is noticed besides.
#[derive(Debug, Default)]
pub(super) struct Which {
    /// Every file whose stamp changed.
    pub(super) everything: bool,
    /// Every file that is another one under its old name, and every new name.
    pub(super) renamed: bool,
    /// Files whose writer is done.
    pub(super) finished: BTreeSet<OsString>,
    /// Files that may be complete: links just made, or files that just became readable.
    pub(super) perhaps: BTreeSet<OsString>,
}

/// Tells one state of a file from another. The change time moves with every write and cannot be set back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    identity: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(m: &Metadata) -> Self {
        Self {
            identity: (m.dev(), m.ino()),
            size: m.size(),
            modified: (m.mtime(), m.mtime_nsec()),
            changed: (m.ctime(), m.ctime_nsec()),
        }
    }
}

#[derive(Debug)]
struct Known {
    /// `None`: could not be read.
    stamp: Option<Stamp>,
    parsed: Parsed,
}

/// Everything known about the directory.
#[derive(Debug, Default)]
pub(super) struct Files {
    known: BTreeMap<OsString, Known>,
    /// New files whose writer is not done yet, as far as events told.
    unfinished: BTreeSet<OsString>,
    /// Manifests beyond [`MAX_FILES`].
    pub(super) unlisted: usize,
}

impl Files {
    /// What the files hold, in the order of their names.
    pub(super) fn parsed(&self) -> impl Iterator<Item = &Parsed> {
        self.known.values().map(|known| &known.parsed)
    }

    /// Brings everything up to date. Fails only when the directory itself cannot be listed or is not the watched one.
    pub(super) fn update(
        &mut self,
        dir: &Path,
        watched: Identity,
        which: &Which,
        mine: &Mine,
    ) -> io::Result<()> {
        if Identity::of(dir)? != watched {
            return Err(io::Error::other("it was replaced by another directory"));
        }
        let listed = self.list(dir)?;
        self.known.retain(|name, _| listed.contains_key(name));
        self.unfinished.retain(|name| listed.contains_key(name));
        for (name, format) in listed {
            if self.must_read(dir, &name, which) {
                self.read(dir, name, format, mine);
            }
        }
        Ok(())
    }

    fn list(&mut self, dir: &Path) -> io::Result<BTreeMap<OsString, Format>> {
        let mut listed = BTreeMap::new();
        for entry in std::fs::read_dir(dir)? {
            let name = entry?.file_name();
            if let Some(format) = Format::of(&name.to_string_lossy()) {
                listed.insert(name, format);
            }
        }
        self.unlisted = listed.len().saturating_sub(MAX_FILES);
        while listed.len() > MAX_FILES {
            listed.pop_last();
        }
        Ok(listed)
    }

    fn must_read(&mut self, dir: &Path, name: &OsString, which: &Which) -> bool {
        if which.finished.contains(name) {
            self.unfinished.remove(name);
            return true;
        }
        let known = self.known.get(name);
        let path = dir.join(name);
        if which.perhaps.contains(name) {
            // A link is complete from its first moment; a file somebody just made is still being written. One that
            // could not be read may have got its permissions.
            let linked = std::fs::symlink_metadata(&path).is_ok_and(|m| m.is_symlink() || m.nlink() > 1);
            let readable_now = known.is_some_and(|known| known.stamp.is_none());
            if known.is_none() && !linked {
                self.unfinished.insert(name.clone());
            }
            return linked || readable_now;
        }
        if self.unfinished.contains(name) && !which.everything {
            return false;
        }
        if !which.everything && !which.renamed {
            return false;
        }
        let stamp = std::fs::metadata(&path).ok().map(|m| Stamp::of(&m));
        match (known.map(|known| known.stamp), stamp) {
            (None | Some(None), _) | (_, None) => true,
            (Some(Some(old)), Some(new)) if which.everything => old != new,
            (Some(Some(old)), Some(new)) => old.identity != new.identity,
        }
    }

    fn read(&mut self, dir: &Path, name: OsString, format: Format, mine: &Mine) {
        let shown = name.to_string_lossy().into_owned();
        match read_text(&dir.join(&name)) {
            Ok((stamp, text)) => {
                let parsed = manifest::parse(&shown, format, &text, mine);
                self.known.insert(name, Known { stamp: Some(stamp), parsed });
            }
            Err(error) => {
                let claims = self.known.get(&name).map(|known| claims(&known.parsed)).unwrap_or_default();
                let parsed = manifest::unread(&shown, claims, error.to_string());
                self.known.insert(name, Known { stamp: None, parsed });
            }
        }
    }
}

fn claims(parsed: &Parsed) -> Vec<EndpointId> {
    parsed.objects.iter().flat_map(|(_, object)| object.claims()).copied().collect()
}

fn read_text(path: &Path) -> io::Result<(Stamp, String)> {
    // Without O_NONBLOCK a FIFO called x.yaml would hold us for ever.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file: move it elsewhere"));
    }
    let text = read_bounded(&file)?;
    Ok((Stamp::of(&metadata), text))
}

fn read_bounded(file: &File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_FILE_BYTES {
        return Err(io::Error::other(format!(
            "larger than {MAX_FILE_BYTES} bytes: split it into several files"
        )));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("not UTF-8 text: save it as UTF-8"))
}
