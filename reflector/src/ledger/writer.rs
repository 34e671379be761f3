//! The writer thread: the only owner of the store.
//!
//! Asleep while nothing changes. The first change starts a flush interval; everything that changed by its end goes
//! into one transaction. A commit that somebody waits for happens at once and takes everything else along.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::error::Error;
use super::handle::Shared;
use super::store::{Batch, Store};
use super::time::LedgerTime;

/// How long a change may wait for its flush. Half of the promise (1 s of traffic), the rest is for the disk.
pub(super) const FLUSH_INTERVAL: Duration = Duration::from_millis(500);

/// Pause after a failed write when nobody asks sooner: a full disk is not hammered.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// Commits that may wait: more than there can be connections (512), so only a stuck disk fills it.
pub(super) const QUEUE: usize = 1024;

/// How often rows of forgotten peers are looked for, in ledger time, when something is written anyway.
const PRUNE_INTERVAL: Duration = Duration::from_secs(3600);

/// How writing goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Health {
    /// Why the last write failed. Grants are denied until one succeeds.
    pub failing: Option<Arc<str>>,
    /// The writer has ended; unasked, that is a reason to end the process.
    pub ended: bool,
}

/// What the thread is asked.
#[derive(Debug)]
pub(super) enum Request {
    /// Something changed.
    Wake,
    /// Write now and say so.
    Commit(oneshot::Sender<Result<(), Error>>),
    /// Are you there?
    Ping(oneshot::Sender<()>),
    /// Write what is left and end.
    Stop(oneshot::Sender<()>),
    /// End as `kill -9` would.
    #[cfg(test)]
    Vanish,
}

/// How accounts tell the writer that something changed: at most one message per flush.
#[derive(Debug)]
pub(super) struct Waker {
    pub(super) queue: SyncSender<Request>,
    pub(super) awake: AtomicBool,
}

impl Waker {
    pub(super) fn wake(&self) {
        if !self.awake.swap(true, Ordering::AcqRel) {
            match self.queue.try_send(Request::Wake) {
                // A full queue means a flush is coming anyway; a closed one that the writer's own end was reported.
                Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
            }
        }
    }
}

/// The thread's state.
pub(super) struct Writer<S> {
    pub(super) store: S,
    pub(super) shared: Arc<Shared>,
    pub(super) queue: Receiver<Request>,
    pub(super) health: watch::Sender<Health>,
    pub(super) pruned_at: Option<LedgerTime>,
}

impl<S: Store> Writer<S> {
    /// Runs until told to stop.
    pub(super) fn run(mut self) {
        let done = self.serve();
        self.health.send_modify(|health| health.ended = true);
        // The file is closed before anyone is told, so that it can be opened again at once.
        let Self { store, .. } = self;
        drop(store);
        if let Some(done) = done {
            // Nobody waits when the last handle was dropped.
            let _ = done.send(());
        }
    }

    #[expect(clippy::disallowed_methods, reason = "IO: paces the flushes of this thread")]
    fn serve(&mut self) -> Option<oneshot::Sender<()>> {
        let mut due: Option<Instant> = None;
        loop {
            let request = match due {
                None => self.queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(due) => self.queue.recv_timeout(due.saturating_duration_since(Instant::now())),
            };
            let mut waiting = Vec::new();
            let mut stop = None;
            match request {
                Ok(Request::Wake) => {
                    due.get_or_insert_with(|| Instant::now() + FLUSH_INTERVAL);
                    continue;
                }
                Ok(Request::Ping(done)) => {
                    // Whoever asked may have given up.
                    let _ = done.send(());
                    // Many who ask must not put off a flush.
                    if due.is_none_or(|due| Instant::now() < due) {
                        continue;
                    }
                }
                Ok(Request::Commit(done)) => waiting.push(done),
                Ok(Request::Stop(done)) => stop = Some(Some(done)),
                #[cfg(test)]
                Ok(Request::Vanish) => return None,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => stop = Some(None),
            }
            while stop.is_none() {
                match self.queue.try_recv() {
                    Ok(Request::Commit(done)) => waiting.push(done),
                    Ok(Request::Stop(done)) => stop = Some(Some(done)),
                    Ok(Request::Ping(done)) => {
                        let _ = done.send(());
                    }
                    Ok(Request::Wake) => {}
                    #[cfg(test)]
                    Ok(Request::Vanish) => return None,
                    Err(_) => break,
                }
            }
            due = match self.flush() {
                Ok(()) => None,
                Err(_) => Some(Instant::now() + RETRY_INTERVAL),
            };
            self.answer(waiting);
            if let Some(done) = stop {
                return done;
            }
        }
    }

    /// Everyone who waited learns what the health says: the flush was for all of them.
    fn answer(&self, waiting: Vec<oneshot::Sender<Result<(), Error>>>) {
        for done in waiting {
            let failing = self.health.borrow().failing.clone();
            // Whoever asked may have given up: its deadline answers then.
            let _ = done.send(match failing {
                None => Ok(()),
                Some(detail) => {
                    Err(Error::Write { path: self.shared.path.clone(), detail: detail.as_ref().to_owned() })
                }
            });
        }
    }

    #[expect(clippy::disallowed_methods, reason = "IO: times the commit")]
    fn flush(&mut self) -> Result<(), Error> {
        self.shared.waker.awake.store(false, Ordering::Release);
        let now = (self.shared.clock)();
        let moment = self.shared.time.at(now);
        let accounts = self.shared.all();
        let mut dirty = Vec::new();
        let mut changed = Vec::new();
        for account in &accounts {
            if let Some(book) = account.take_changes(moment) {
                changed.push((*account.id(), book));
                dirty.push(account);
            }
        }
        if changed.is_empty() && self.health.borrow().failing.is_none() {
            return Ok(());
        }
        let prune = self.pruned_at.is_none_or(|last| moment.at.since(last) >= PRUNE_INTERVAL);
        let forgotten = if prune { self.shared.forgettable(moment) } else { Vec::new() };
        let batch = Batch { anchor: self.shared.time.anchor(now), changed, forgotten };
        let began = Instant::now();
        let result = self.store.write(&batch);
        if let Some(report) = self.shared.on_commit.get() {
            report(result.is_ok(), began.elapsed());
        }
        match &result {
            Ok(()) => {
                self.shared.forget(&batch.forgotten, moment);
                if prune {
                    self.pruned_at = Some(moment.at);
                }
                self.report(None);
            }
            Err(error) => {
                for account in dirty {
                    account.put_back_changes();
                }
                self.report(Some(error));
            }
        }
        result
    }

    fn report(&self, error: Option<&Error>) {
        let failing = error.map(|error| Arc::<str>::from(error.to_string()));
        self.health.send_if_modified(|health| {
            if health.failing == failing {
                return false;
            }
            if let Some(detail) = &failing {
                tracing::error!(%detail, "the ledger cannot be written; no test is granted");
            } else {
                tracing::info!("the ledger is written again");
            }
            health.failing = failing;
            true
        });
    }
}
