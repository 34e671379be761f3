//! inotify: from single events to batches that say what to read.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt;
use inotify::{EventMask, EventOwned, EventStream, Inotify, WatchMask};
use tokio::time::{Instant, timeout_at};

use crate::access::handle::Clock;

use super::files::Which;

/// A burst counts as over after this long without an event: tools write several files, or one in several steps.
const QUIET: Duration = Duration::from_millis(20);
/// And after this long in any case, so a busy directory cannot hold back a revocation.
const LONGEST_BURST: Duration = Duration::from_millis(100);
/// Room for a burst of events per read.
const BUFFER: usize = 4096;
/// Names remembered in one burst; beyond it everything is looked at.
const MAX_NAMES: usize = 1000;

/// Which directory a path led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let metadata = std::fs::metadata(path)?;
        Ok(Self { device: metadata.dev(), inode: metadata.ino() })
    }
}

/// What happened since the last look.
#[derive(Debug)]
pub(super) struct Batch {
    /// What to read.
    pub(super) which: Which,
    /// The directory itself is gone.
    pub(super) lost: bool,
    /// When the first event came, milliseconds since boot.
    pub(super) received_mono_ms: u64,
}

impl Batch {
    pub(super) fn everything(received_mono_ms: u64) -> Self {
        Self { which: Which { everything: true, ..Which::default() }, lost: false, received_mono_ms }
    }

    /// Whatever was renamed into place or removed, event or not.
    pub(super) fn renamed(received_mono_ms: u64) -> Self {
        Self { which: Which { renamed: true, ..Which::default() }, lost: false, received_mono_ms }
    }

    fn add(&mut self, event: EventOwned) {
        let mask = event.mask;
        let gone = EventMask::DELETE_SELF | EventMask::MOVE_SELF | EventMask::IGNORED | EventMask::UNMOUNT;
        if mask.intersects(gone) {
            self.lost = true;
        }
        if mask.contains(EventMask::Q_OVERFLOW) || self.which.finished.len() >= MAX_NAMES {
            self.which.everything = true;
        }
        let Some(name) = event.name else { return };
        // A ConfigMap or Secret is a set of links through `..data`, which is renamed when the content changes.
        if name.as_encoded_bytes().starts_with(b"..") {
            self.which.everything = true;
        } else if mask.intersects(EventMask::CLOSE_WRITE | EventMask::MOVED_TO) {
            self.which.finished.insert(name);
        } else if mask.intersects(EventMask::CREATE | EventMask::ATTRIB) {
            self.which.perhaps.insert(name);
        }
    }
}

/// The watched directory.
pub(super) struct Watch {
    events: EventStream<Vec<u8>>,
    identity: Identity,
}

impl Watch {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let before = Identity::of(path)?;
        let inotify = Inotify::init().map_err(|e| hint(&e))?;
        let mask = WatchMask::CLOSE_WRITE
            | WatchMask::MOVED_TO
            | WatchMask::MOVED_FROM
            | WatchMask::DELETE
            | WatchMask::CREATE
            | WatchMask::ATTRIB
            | WatchMask::DELETE_SELF
            | WatchMask::MOVE_SELF
            | WatchMask::ONLYDIR;
        inotify.watches().add(path, mask).map_err(|e| hint(&e))?;
        Ok(Self { events: inotify.into_event_stream(vec![0; BUFFER])?, identity: before })
    }

    /// The directory that is watched.
    pub(super) fn identity(&self) -> Identity {
        self.identity
    }

    /// The next burst of events, as one batch.
    pub(super) async fn next(&mut self, clock: &Clock) -> io::Result<Batch> {
        let first = self.event().await?;
        let mut batch = Batch { which: Which::default(), lost: false, received_mono_ms: clock().mono_ms };
        batch.add(first);
        let end = Instant::now() + LONGEST_BURST;
        while let Ok(event) = timeout_at(end.min(Instant::now() + QUIET), self.event()).await {
            batch.add(event?);
        }
        Ok(batch)
    }

    async fn event(&mut self) -> io::Result<EventOwned> {
        self.events.next().await.unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()))
    }
}

/// The two limits of inotify have misleading names ("too many open files", "no space left on device").
fn hint(error: &io::Error) -> io::Error {
    let remedy = match error.raw_os_error() {
        Some(libc::EMFILE) => "raise fs.inotify.max_user_instances",
        Some(libc::ENOSPC) => "raise fs.inotify.max_user_watches",
        _ => return io::Error::new(error.kind(), format!("watch: {error}")),
    };
    io::Error::other(format!("watch: {error}: {remedy} with sysctl"))
}
