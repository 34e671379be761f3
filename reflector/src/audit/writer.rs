//! The thread that owns the log. It sleeps until an event comes, takes what else is waiting, writes it in one go and
//! syncs once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot, watch};

use crate::metrics::Metrics;

use super::chain::Head;
use super::limiter::Limiter;
use super::line::{Entry, Opens, render};
use super::sink::Sink;

/// Lines per write and sync: a burst costs one sync, and a batch stays below 1 MiB of memory.
const BATCH: usize = 64;

/// What waits in the queue.
#[derive(Debug)]
pub(super) enum Item {
    Line(Box<Entry>),
    /// Everything before it has been tried.
    Flush(oneshot::Sender<()>),
    /// Has a full disk room again?
    Look,
}

/// What the thread and the handles share.
#[derive(Debug)]
pub(super) struct Shared {
    failing: watch::Sender<bool>,
    /// Lost since the last line that was written.
    lost: AtomicU64,
    head: Mutex<Head>,
    pub(super) limiter: Mutex<Limiter>,
    metrics: Metrics,
}

impl Shared {
    pub(super) fn new(head: Head, metrics: Metrics) -> Self {
        Self {
            failing: watch::Sender::new(false),
            lost: AtomicU64::new(0),
            head: Mutex::new(head),
            limiter: Mutex::new(Limiter::default()),
            metrics,
        }
    }

    pub(super) fn failing(&self) -> bool {
        *self.failing.borrow()
    }

    pub(super) fn follow_failing(&self) -> watch::Receiver<bool> {
        self.failing.subscribe()
    }

    pub(super) fn head(&self) -> Head {
        *self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An event will not be written: it is counted, and its own count goes to the next of its kind.
    pub(super) fn lose(&self, entry: &Entry) {
        self.lost.fetch_add(1, Ordering::AcqRel);
        self.metrics.audit_lost();
        self.set_failing(true);
        if entry.suppressed > 0 {
            let mut limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
            limiter.give_back(entry.event.kind, entry.suppressed);
        }
    }

    fn set_failing(&self, failing: bool) {
        self.failing.send_if_modified(|was| std::mem::replace(was, failing) != failing);
        self.metrics.audit_failing(failing);
    }
}

/// The owner of the chain and its sink.
pub(super) struct Writer<S> {
    sink: S,
    head: Head,
    /// Said by the next line that is written.
    opens: Option<Opens>,
    /// What keeps it from being written is that there is no room. Only then can room be the end of it.
    full: bool,
    shared: Arc<Shared>,
}

impl<S: Sink> Writer<S> {
    pub(super) fn new(sink: S, head: Head, opens: Option<Opens>, shared: Arc<Shared>) -> Self {
        Self { sink, head, opens, full: false, shared }
    }

    /// Runs until the last handle is gone and the queue is empty.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Item>) {
        while let Some(first) = queue.blocking_recv() {
            let mut batch = Vec::new();
            let (mut flush, mut look) = (None, false);
            let mut next = Some(first);
            while let Some(item) = next {
                match item {
                    Item::Line(entry) => batch.push(entry),
                    Item::Flush(done) => {
                        flush = Some(done);
                        break;
                    }
                    Item::Look => look = true,
                }
                next = if batch.len() < BATCH { queue.try_recv().ok() } else { None };
            }
            self.write(&batch);
            if look {
                self.look_for_room();
            }
            if let Some(done) = flush {
                // Nobody waits any more: its deadline has passed.
                let _ = done.send(());
            }
        }
    }

    /// Writes a batch, or as much of it as fits; what does not is lost and counted.
    fn write(&mut self, batch: &[Box<Entry>]) {
        if batch.is_empty() {
            return;
        }
        let before = self.shared.failing();
        let (kept, result) = self.try_write(batch);
        batch.iter().skip(kept).for_each(|entry| self.shared.lose(entry));
        self.shared.metrics.audit_lines(u64::try_from(kept).unwrap_or(u64::MAX));
        *self.shared.head.lock().unwrap_or_else(PoisonError::into_inner) = self.head;
        match result {
            Ok(()) => {
                self.full = false;
                self.shared.set_failing(false);
                if before {
                    tracing::info!(seq = self.head.seq, "the audit log is written again");
                }
            }
            Err(error) => {
                self.full = is_full(&error);
                self.shared.set_failing(true);
                if !before {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "the audit log cannot be written: free space or fix the path; each new event tries again"
                    );
                }
            }
        }
    }

    /// Ends a failure that was nothing but a full disk. What was lost is told by the next line.
    fn look_for_room(&mut self) {
        if !self.full || !self.shared.failing() {
            return;
        }
        match self.sink.ready() {
            Ok(None) => {}
            Ok(opens) => self.opens = opens,
            Err(_) => return,
        }
        if self.sink.room().is_ok() {
            self.full = false;
            self.shared.set_failing(false);
            tracing::info!("there is room for the audit log again");
        }
    }

    /// How many entries stand in the log, and what went wrong with the others or with making them durable.
    fn try_write(&mut self, batch: &[Box<Entry>]) -> (usize, std::io::Result<()>) {
        match self.sink.ready() {
            Ok(None) => {}
            Ok(opens) => self.opens = opens,
            Err(error) => return (0, Err(error)),
        }
        let lost = self.shared.lost.swap(0, Ordering::AcqRel);
        let mut text = Vec::new();
        let mut ends = Vec::new();
        let mut head = self.head;
        for (number, entry) in batch.iter().enumerate() {
            let (opens, told) = if number == 0 { (self.opens, lost) } else { (None, 0) };
            let line = match render(entry, head, opens, told) {
                Ok((line, after)) => {
                    head = after;
                    line
                }
                Err(error) => return self.give_up(lost, error.into()),
            };
            text.extend_from_slice(line.as_bytes());
            text.push(b'\n');
            ends.push((text.len(), head));
        }
        let (bytes, result) = match self.sink.append(&text) {
            Ok(()) => (text.len(), Ok(())),
            Err(partial) => (partial.kept, Err(partial.error)),
        };
        let kept = ends.iter().take_while(|(end, _)| *end <= bytes).count();
        let Some((_, head)) = kept.checked_sub(1).and_then(|last| ends.get(last)) else {
            return self.give_up(lost, result.err().unwrap_or_else(|| std::io::ErrorKind::WriteZero.into()));
        };
        self.head = *head;
        self.opens = None;
        (kept, result.and(self.sink.sync(self.head)))
    }

    /// Not even the first line stands: what it would have told is told later.
    fn give_up(&self, lost: u64, error: std::io::Error) -> (usize, std::io::Result<()>) {
        self.shared.lost.fetch_add(lost, Ordering::AcqRel);
        (0, Err(error))
    }
}

/// The disk, or our share of it.
fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}
