//! The handle everybody records through.

use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crds::EndpointId;
use crds::reasons::Denial;
use tokio::sync::{mpsc, oneshot, watch};

use crate::clock;
use crate::metrics::Metrics;

use super::chain::Head;
use super::event::Event;
use super::limiter::{Admit, Limiter};
use super::line::{Entry, Opens};
use super::resume::{Note, resume};
use super::sink::{FileSink, Sink, StreamSink};
use super::told::{DENIED, denial};
use super::writer::{Item, Shared, Writer};

/// Events that wait for the disk: a burst of a few seconds, at most 2 MiB of lines.
/// Test: `a_stuck_disk_costs_callers_a_bounded_wait_and_is_counted`.
const QUEUE: usize = 256;
/// How long an important event waits for room. A disk that needs longer is as good as full, and revocation must close
/// its socket within 2 s. Test: `a_stuck_disk_costs_callers_a_bounded_wait_and_is_counted`.
const RECORD_DEADLINE: Duration = Duration::from_millis(500);
/// How long a shutdown waits for the last lines. Test: as above.
const FLUSH_DEADLINE: Duration = Duration::from_secs(2);

/// How often a full disk is looked at: soon enough for somebody who made room and looks at the status.
/// Test: `a_full_disk_that_has_room_again_is_noticed_while_nobody_asks`.
const LOOK_AGAIN: Duration = Duration::from_secs(15);

/// Where the log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A file, with its head beside it in `<path>.head`.
    File(PathBuf),
    /// Standard output; each start is a chain of its own.
    Stdout,
}

/// What a log that cannot be written means for new sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// They are granted; what is lost is counted.
    Continue,
    /// They are denied until the log can be written again.
    Deny,
}

/// What [`Audit::open`] needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the log goes.
    pub target: Target,
    /// Who we are.
    pub endpoint_id: EndpointId,
    /// What a full disk means for new sessions.
    pub on_failure: OnFailure,
    /// Where lines and losses are counted.
    pub metrics: Metrics,
}

/// Why there is no audit log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file or its head cannot be opened or read.
    #[error("open audit log {}", path.display())]
    Open {
        /// The log.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another process writes this log.
    #[error("audit log {} is in use by another reflector: give this one its own logging.audit_log_path", path.display())]
    InUse {
        /// The log.
        path: PathBuf,
    },
    /// Standard output is closed.
    #[error("write the audit log to standard output")]
    Stdout(#[source] io::Error),
    /// No thread.
    #[error("start the audit writer")]
    Thread(#[source] io::Error),
}

/// Records events. Clones share one log; when the last is dropped, what waits is written and the thread ends.
#[derive(Debug, Clone)]
pub struct Audit {
    queue: mpsc::Sender<Item>,
    shared: Arc<Shared>,
    endpoint_id: Arc<Mutex<EndpointId>>,
    denies_on_failure: Arc<AtomicBool>,
    /// Of denials in the log.
    told: Arc<Mutex<Limiter>>,
}

impl Audit {
    /// Opens the log, goes on where its chain ends and starts the writer. Called once, at start.
    pub fn open(settings: Settings) -> Result<Self, Error> {
        match &settings.target {
            Target::Stdout => {
                let sink = StreamSink::stdout().map_err(Error::Stdout)?;
                Self::start(sink, Head::GENESIS, Some(Opens::New), settings)
            }
            Target::File(path) => {
                let opened = FileSink::open(path).map_err(|source| match source.kind() {
                    io::ErrorKind::WouldBlock => Error::InUse { path: path.clone() },
                    _ => Error::Open { path: path.clone(), source },
                })?;
                let (head, note) = resume(opened.last.as_deref(), opened.noted);
                let torn = (opened.torn > 0).then_some(Note::Torn(opened.torn));
                for note in [torn, note].into_iter().flatten() {
                    tracing::warn!(path = %path.display(), "{note}");
                }
                let opens = match opened.last {
                    Some(_) => None,
                    None if head.seq == 0 => Some(Opens::New),
                    None => Some(Opens::Rotated),
                };
                Self::start(opened.sink, head, opens, settings)
            }
        }
    }

    fn start(
        sink: impl Sink + 'static,
        head: Head,
        opens: Option<Opens>,
        settings: Settings,
    ) -> Result<Self, Error> {
        let shared = Arc::new(Shared::new(head, settings.metrics));
        let writer = Writer::new(sink, head, opens, shared.clone());
        let (queue, waiting) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new().name("audit".to_owned());
        // Detached on purpose: it ends when the last handle has been dropped and the queue is empty.
        thread.spawn(move || writer.run(waiting)).map_err(Error::Thread)?;
        let endpoint_id = Arc::new(Mutex::new(settings.endpoint_id));
        let denies_on_failure = Arc::new(AtomicBool::new(settings.on_failure == OnFailure::Deny));
        Ok(Self { queue, shared, endpoint_id, denies_on_failure, told: Arc::default() })
    }

    /// Records an event that only an authorised peer or an administrator can cause. Waits at most half a second for
    /// room; then the event is lost and counted, also when the caller is cancelled meanwhile.
    pub async fn record(&self, event: Event) {
        let suppressed = self.limiter(|limiter| limiter.take(event.kind));
        self.send(self.entry(event, suppressed)).await;
    }

    /// Records an event from where nothing may wait: a session's own task. When the queue is full, which takes a stuck
    /// disk, the event is lost and counted.
    pub fn record_now(&self, event: Event) {
        self.tell(&event);
        let suppressed = self.limiter(|limiter| limiter.take(event.kind));
        self.try_send(self.entry(event, suppressed));
    }

    /// Records an event that a stranger can cause as often as it likes: at most ten a minute of one kind and source,
    /// and a hundred of one kind in all. The others are counted in the next line of that kind. Never waits.
    pub fn record_limited(&self, event: Event) {
        self.tell(&event);
        let now = clock::now();
        let admit = self.limiter(|limiter| limiter.admit(event.kind, event.source, now));
        let Admit::Write { suppressed } = admit else { return };
        self.try_send(self.entry(event, suppressed));
    }

    /// True while the log cannot be written. The next event tries again.
    pub fn failing(&self) -> bool {
        self.shared.failing()
    }

    /// Follows [`Audit::failing`].
    pub fn follow_failing(&self) -> watch::Receiver<bool> {
        self.shared.follow_failing()
    }

    /// True while new sessions must be denied because the log cannot be written.
    pub fn denies(&self) -> bool {
        self.denies_on_failure.load(Ordering::Relaxed) && self.failing()
    }

    /// What a full disk means from now on.
    pub fn set_on_failure(&self, on_failure: OnFailure) {
        self.denies_on_failure.store(on_failure == OnFailure::Deny, Ordering::Relaxed);
    }

    /// Resolves when the writer has ended, as after a panic: a reason to end the process, for nothing is recorded any more.
    pub async fn ended(&self) {
        self.queue.closed().await;
    }

    /// Looks now and then whether a full disk has room again: while nobody asks for anything, no event tries. Never
    /// resolves; dropping it ends the looking.
    pub async fn look_for_room(&self) -> Infallible {
        let mut failing = self.follow_failing();
        loop {
            if failing.wait_for(|failing| *failing).await.is_err() {
                // The log is closed.
                return std::future::pending().await;
            }
            wait(LOOK_AGAIN).await;
            // One that is full of events is looked at by them.
            let _ = self.queue.try_send(Item::Look);
        }
    }

    /// The last line that was written.
    pub fn head(&self) -> Head {
        self.shared.head()
    }

    /// Lines from now on carry this ID: the identity was rotated.
    pub fn set_endpoint_id(&self, endpoint_id: EndpointId) {
        *self.endpoint_id.lock().unwrap_or_else(PoisonError::into_inner) = endpoint_id;
    }

    /// Waits until everything recorded so far has been tried, counts of suppressed denials included. False when that
    /// takes longer than two seconds. Called at shutdown.
    pub async fn flush(&self) -> bool {
        for (kind, suppressed) in self.limiter(Limiter::drain) {
            let event = Event { decision: Some(DENIED), ..Event::new(kind) };
            self.send(self.entry(event, suppressed)).await;
        }
        let (done, flushed) = oneshot::channel();
        let all = async { self.queue.send(Item::Flush(done)).await.is_ok() && flushed.await.is_ok() };
        tokio::time::timeout(FLUSH_DEADLINE, all).await.unwrap_or(false)
    }

    /// A denial stands in the log too. It has limits of its own: those that must reach the audit log need not reach this one.
    fn tell(&self, event: &Event) {
        let now = clock::now();
        let Some(denial) = denial(event, now.wall) else { return };
        let admit = {
            let mut limiter = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            limiter.admit(event.kind, event.source, now)
        };
        if let Admit::Write { suppressed } = admit {
            tracing::info!(target: Denial::TARGET, "{}", Denial { suppressed, ..denial });
        }
    }

    fn try_send(&self, entry: Box<Entry>) {
        match self.queue.try_reserve() {
            Ok(room) => room.send(Item::Line(entry)),
            Err(_full_or_closed) => self.shared.lose(&entry),
        }
    }

    async fn send(&self, entry: Box<Entry>) {
        let mut unsent = Unsent { entry: Some(entry), shared: &self.shared };
        if let Ok(Ok(room)) = tokio::time::timeout(RECORD_DEADLINE, self.queue.reserve()).await
            && let Some(entry) = unsent.entry.take()
        {
            room.send(Item::Line(entry));
        }
    }

    fn entry(&self, event: Event, suppressed: u64) -> Box<Entry> {
        let endpoint_id = *self.endpoint_id.lock().unwrap_or_else(PoisonError::into_inner);
        Box::new(Entry { event, at: clock::now().wall, endpoint_id, suppressed })
    }

    fn limiter<T>(&self, ask: impl FnOnce(&mut Limiter) -> T) -> T {
        ask(&mut self.shared.limiter.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[expect(clippy::disallowed_methods, reason = "nothing announces that a disk has room again")]
async fn wait(time: Duration) {
    tokio::time::sleep(time).await;
}

/// An event that is not in the queue yet. Dropped there, it is lost and counted: out of time or cancelled.
struct Unsent<'a> {
    entry: Option<Box<Entry>>,
    shared: &'a Shared,
}

impl Drop for Unsent<'_> {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            self.shared.lose(&entry);
        }
    }
}

#[cfg(test)]
mod tests;
