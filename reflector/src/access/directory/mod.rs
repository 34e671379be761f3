//! Feeds the index from a directory of `ReflectorPeer` manifests (`*.yaml`, `*.yml`, `*.json`).
//!
//! In: a path and inotify events. Out: complete loads of the index, or the news that the directory is away. One task
//! ([`Directory::run`]) owns it all; the [`DirectoryHandle`] asks it to look now. A file is read when its writer is done
//! with it (closed or renamed into place), so a half-written one cuts nobody's test. It decides nothing: reading is
//! [`super::manifest`], folding files together is `merge`, verdicts are the index'.

mod files;
mod merge;
#[cfg(test)]
mod tests;
mod watch;

use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::handle::{Access, Clock};
use super::manifest::Mine;
use files::Files;
use watch::{Batch, Watch};

pub use files::MAX_FILES;
pub use merge::MAX_OBJECTS;

/// Requests to look now that may wait; each is answered by the same look.
const MAX_WAITING: usize = 16;
/// How long [`DirectoryHandle::rescan`] waits: ten thousand files on an SD card fit.
const RESCAN_DEADLINE: Duration = Duration::from_secs(5);
/// First pause before a missing directory is looked for again; doubles up to the next constant.
const FIRST_RETRY: Duration = Duration::from_millis(100);
/// Longest pause. Only while the directory is away, so an idle reflector does not poll.
const LAST_RETRY: Duration = Duration::from_secs(5);

/// Why the directory could not be used.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is missing or cannot be read.
    #[error("read peers directory {}: {problem}", path.display())]
    Away {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        problem: String,
    },
    /// The feeder did not answer in time.
    #[error("the peers directory was not read within {} s", RESCAN_DEADLINE.as_secs())]
    Slow,
    /// The feeder has ended: the reflector is stopping.
    #[error("the reflector is stopping")]
    Stopped,
}

type Answer = oneshot::Sender<Result<(), Error>>;

/// Asks the running feeder. Cheap to clone.
#[derive(Debug, Clone)]
pub struct DirectoryHandle {
    requests: mpsc::Sender<Answer>,
}

impl DirectoryHandle {
    /// Returns when every file renamed into or removed from the directory before the call is in force. The server calls
    /// this after it wrote a peer, before it tells the appliance.
    pub async fn rescan(&self) -> Result<(), Error> {
        let ask = async {
            let (answer, answered) = oneshot::channel();
            self.requests.send(answer).await.map_err(|_| Error::Stopped)?;
            answered.await.map_err(|_| Error::Stopped)?
        };
        tokio::time::timeout(RESCAN_DEADLINE, ask).await.unwrap_or(Err(Error::Slow))
    }
}

/// The feeder. [`Directory::run`] is its one task.
pub struct Directory {
    path: PathBuf,
    mine: Mine,
    access: Access,
    clock: Clock,
    requests: mpsc::Receiver<Answer>,
    files: Files,
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directory").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Makes the directory, owner only, when it is not there. For the default path at start; a directory that vanishes later
/// is not made again, because an empty one would revoke everybody.
pub fn ensure(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

impl Directory {
    /// A feeder and its handle. Nothing is read before [`Directory::run`].
    pub fn new(path: PathBuf, mine: Mine, access: Access, clock: Clock) -> (DirectoryHandle, Self) {
        let (sender, requests) = mpsc::channel(MAX_WAITING);
        (
            DirectoryHandle { requests: sender },
            Self { path, mine, access, clock, requests, files: Files::default() },
        )
    }

    /// Reads the directory, then follows it until `cancel`. A directory that is away is looked for again.
    pub async fn run(mut self, cancel: CancellationToken) {
        let mut retry = FIRST_RETRY;
        while !cancel.is_cancelled() {
            let outcome = match Watch::open(&self.path) {
                Ok(watch) => self.follow(watch, &cancel).await,
                Err(error) => Lost { loaded: false, problem: error.to_string() },
            };
            if cancel.is_cancelled() {
                return;
            }
            if outcome.loaded {
                // It was fine a moment ago: perhaps it was replaced by another one. Look at once.
                retry = FIRST_RETRY;
                continue;
            }
            let away = Error::Away { path: self.path.clone(), problem: outcome.problem };
            if retry == FIRST_RETRY {
                warn!(problem = %away, "peers directory is away; the last policy holds for the grace");
            }
            self.access.source_away(away.to_string());
            self.pause(retry, &away, &cancel).await;
            retry = retry.saturating_mul(2).min(LAST_RETRY);
        }
    }

    /// Waits before the next try, answering whoever asks meanwhile.
    async fn pause(&mut self, pause: Duration, away: &Error, cancel: &CancellationToken) {
        let refuse = async {
            while let Some(answer) = self.requests.recv().await {
                // A caller that stopped waiting needs no answer.
                let _gone = answer.send(Err(away.clone()));
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            () = cancel.cancelled() => {}
            _elapsed = tokio::time::timeout(pause, refuse) => {}
        }
    }

    /// Follows one directory until it is lost or `cancel`.
    async fn follow(&mut self, mut watch: Watch, cancel: &CancellationToken) -> Lost {
        let mut loaded = false;
        // The watch stands before the first look, so nothing falls between them.
        let mut batch = Batch::everything((self.clock)().mono_ms);
        let mut asking: Option<Answer> = None;
        loop {
            if let ControlFlow::Break(problem) = self.look(&watch, batch).await {
                if let Some(answer) = asking {
                    let away = Error::Away { path: self.path.clone(), problem: problem.clone() };
                    let _gone = answer.send(Err(away));
                }
                return Lost { loaded, problem };
            }
            if !loaded {
                info!(path = %self.path.display(), "peers directory loaded");
            }
            loaded = true;
            if let Some(answer) = asking.take() {
                let _gone = answer.send(Ok(()));
            }
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Lost { loaded, problem: String::new() },
                // Cancel safe: an event that was taken out is only lost together with the whole watch.
                next = watch.next(&self.clock) => match next {
                    Ok(next) => batch = next,
                    Err(error) => return Lost { loaded, problem: error.to_string() },
                },
                Some(answer) = self.requests.recv() => {
                    asking = Some(answer);
                    batch = Batch::renamed((self.clock)().mono_ms);
                }
            }
        }
    }

    /// Reads what the batch names and loads the result. Breaks when the directory is gone, another one, or unreadable.
    async fn look(&mut self, watch: &Watch, batch: Batch) -> ControlFlow<String> {
        if batch.lost {
            return ControlFlow::Break("it was moved or deleted".to_owned());
        }
        let (path, mine, identity) = (self.path.clone(), self.mine.clone(), watch.identity());
        let mut files = std::mem::take(&mut self.files);
        let work = tokio::task::spawn_blocking(move || {
            let read = files.update(&path, identity, &batch.which, &mine);
            let merged = merge::merge(&files);
            (files, read, merged)
        });
        match work.await {
            Ok((files, Ok(()), merged)) => {
                self.files = files;
                self.access.load(merged.objects, merged.foreign, batch.received_mono_ms);
                ControlFlow::Continue(())
            }
            Ok((files, Err(error), _)) => {
                self.files = files;
                ControlFlow::Break(error.to_string())
            }
            // A panic while reading: the files are read again from nothing, under a new watch.
            Err(panic) => ControlFlow::Break(panic.to_string()),
        }
    }
}

/// How following ended.
struct Lost {
    loaded: bool,
    problem: String,
}
