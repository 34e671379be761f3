//! The handle the server and the admin socket hold, and the one task that keeps the disk in step.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crds::EndpointId;
use crds::peer::{MAX_PAIRING_TTL, MIN_PAIRING_TTL};
use jiff::Timestamp;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::access::handle::Clock;
use crate::admin::protocol::PairingStatus;
use crate::clock::Now;
use crate::network::SourceKey;

use super::code;
use super::outcome::{Error, Opened, Outcome, Refused};
use super::store::Store;
use super::window::{Answer, Window};

/// While a window is open the wall clock is looked at this often, in case it was set forward. Every attempt looks anyway.
const RECHECK: Duration = Duration::from_secs(60);
/// Pause before the disk is tried again after an error.
const DISK_RETRY: Duration = Duration::from_secs(10);

/// The pairing window of this reflector. Cheap to clone.
#[derive(Clone)]
pub struct Pairing {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// One writer at a time; whoever holds it writes what memory says at that moment.
    disk: tokio::sync::Mutex<()>,
    store: Arc<Store>,
    clock: Clock,
    open_until: watch::Sender<Option<Timestamp>>,
    /// Something changed that the task has to write or time.
    changed: Notify,
}

struct State {
    window: Option<Window>,
    /// What an appliance is told when no window is open.
    ended: Refused,
    /// Counts windows, so a reservation of an old one cannot close a new one.
    generation: u64,
    /// Memory and disk differ.
    unsaved: bool,
}

impl std::fmt::Debug for Pairing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pairing").field("open", &self.is_open()).finish_non_exhaustive()
    }
}

impl Pairing {
    /// Starts with the window saved at `path`, if it is still open; one that is over is removed by [`Pairing::run`]. A
    /// file that cannot be read comes back as the second value: the reflector starts without a window. Blocks.
    pub fn load(path: &Path, clock: Clock) -> (Self, Option<Error>) {
        let store = Store::new(path);
        let (saved, problem) = match store.load() {
            Ok(saved) => (saved, None),
            Err(error) => (None, Some(Error::Restore(error))),
        };
        let window = saved.as_ref().and_then(|saved| Window::restore(saved, clock(), store.boot()));
        let ended = if saved.is_some() { Refused::Expired } else { Refused::NotOpen };
        let unsaved = window.is_none() && (saved.is_some() || problem.is_some());
        let open_until = watch::Sender::new(window.as_ref().map(Window::expires_at));
        let state = Mutex::new(State { window, ended, generation: 0, unsaved });
        let shared = Shared {
            state,
            disk: tokio::sync::Mutex::new(()),
            store: Arc::new(store),
            clock,
            open_until,
            changed: Notify::new(),
        };
        (Self { shared: Arc::new(shared) }, problem)
    }

    /// Opens a window with a new code; one that is open is replaced. On disk when it returns.
    pub async fn open(&self, ttl: Duration) -> Result<Opened, Error> {
        if ttl < MIN_PAIRING_TTL || ttl > MAX_PAIRING_TTL {
            return Err(Error::Ttl);
        }
        let code = code::generate().map_err(Error::Random)?;
        let window = Window::open(code.clone(), ttl, (self.shared.clock)());
        let expires_at = window.expires_at();
        self.change(|state| {
            state.generation = state.generation.wrapping_add(1);
            state.window = Some(window);
        });
        if let Err(error) = self.sync().await {
            self.change(|state| state.end(Refused::NotOpen));
            return Err(error);
        }
        Ok(Opened { code, expires_at })
    }

    /// Closes the window, if one is open. Gone from disk when it returns.
    pub async fn close(&self) -> Result<(), Error> {
        self.change(|state| {
            if state.window.is_some() {
                state.end(Refused::Closed);
            }
        });
        self.sync().await
    }

    /// Whether a code could be presented now.
    pub fn is_open(&self) -> bool {
        self.settled().window.is_some()
    }

    /// Follows the window: when it ends while open, `None` while closed. Restricted connections end with it.
    pub fn watch(&self) -> watch::Receiver<Option<Timestamp>> {
        drop(self.settled());
        self.shared.open_until.subscribe()
    }

    /// For `reflector status`.
    pub fn status(&self) -> Option<PairingStatus> {
        self.settled().window.as_ref().map(Window::status)
    }

    /// An appliance no policy knows presents a code. The caller has made sure of that, and that the policy is current.
    pub async fn attempt(&self, source: SourceKey, id: EndpointId, code: &str) -> Outcome {
        let (answer, generation) = {
            let now = (self.shared.clock)();
            let mut state = self.settled();
            let ended = state.ended;
            let generation = state.generation;
            let Some(window) = state.window.as_mut() else { return Outcome::Refused(ended) };
            let answer = window.attempt(source, id, code, now);
            state.unsaved |= matches!(answer, Answer::Reserved | Answer::Wrong);
            (answer, generation)
        };
        let refused = match answer {
            Answer::Reserved => {
                let reservation = Reservation { pairing: self.clone(), generation, committed: false };
                // Off the disk before the peer is on it: a crash in between costs a code, never a second enrolment.
                match self.sync().await {
                    Ok(()) => return Outcome::Accepted(reservation),
                    Err(error) => {
                        warn!(%error, "a right pairing code was not accepted");
                        Refused::NotRecorded
                    }
                }
            }
            Answer::Wrong => Refused::Wrong,
            Answer::Wait { seconds } => Refused::Wait { seconds },
            Answer::InUse { seconds } => Refused::InUse { seconds },
        };
        self.shared.changed.notify_one();
        Outcome::Refused(refused)
    }

    /// Ends the window in time and keeps the disk in step. Run once by the daemon until `cancel`; sleeps for ever while
    /// no window is open.
    pub async fn run(&self, cancel: CancellationToken) {
        loop {
            let unsaved = self.settled().unsaved;
            let saved = if unsaved { self.sync().await } else { Ok(()) };
            if let Err(error) = &saved {
                warn!(%error, "the pairing window on disk is out of date");
            }
            let now = (self.shared.clock)();
            let left = self.settled().window.as_ref().map(|w| w.remaining(now).min(RECHECK));
            let alarm = if saved.is_err() { Some(DISK_RETRY) } else { left };
            let wait = async {
                match alarm {
                    Some(wait) => {
                        // A hair later than the end, or the loop would spin; never zero for the same reason.
                        let wait = wait.saturating_add(Duration::from_millis(1));
                        let _alarm = tokio::time::timeout(wait, self.shared.changed.notified()).await;
                    }
                    None => self.shared.changed.notified().await,
                }
            };
            tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                () = wait => {}
            }
        }
        if let Err(error) = self.sync().await {
            warn!(%error, "the counts of the pairing window were not saved");
        }
    }

    /// Makes the disk say what memory says.
    async fn sync(&self) -> Result<(), Error> {
        let _writer = self.shared.disk.lock().await;
        let saved = {
            let now = (self.shared.clock)();
            let mut state = self.settled();
            if !state.unsaved {
                return Ok(());
            }
            state.unsaved = false;
            let lasting = state.window.as_ref().filter(|w| !w.is_reserved());
            lasting.map(|w| w.save(now, self.shared.store.boot()))
        };
        let store = Arc::clone(&self.shared.store);
        let written = tokio::task::spawn_blocking(move || store.put(saved.as_ref())).await;
        let written = written.unwrap_or_else(|panic| Err(io::Error::other(panic)));
        written.map_err(|error| {
            self.settled().unsaved = true;
            Error::Save(error)
        })
    }

    fn change(&self, mutate: impl FnOnce(&mut State)) {
        let mut state = self.settled();
        mutate(&mut state);
        state.unsaved = true;
        self.publish(&state);
        drop(state);
        self.shared.changed.notify_one();
    }

    fn settled(&self) -> MutexGuard<'_, State> {
        let now = (self.shared.clock)();
        // A panic while the lock was held leaves a window that is at worst stricter: counts are raised before they
        // are compared, and a reservation is set before it is handed out.
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.settle(now) {
            self.publish(&state);
            self.shared.changed.notify_one();
        }
        state
    }

    fn publish(&self, state: &State) {
        let until = state.window.as_ref().map(Window::expires_at);
        self.shared.open_until.send_if_modified(|open| std::mem::replace(open, until) != until);
    }
}

impl State {
    fn settle(&mut self, now: Now) -> bool {
        let over = self.window.as_ref().is_some_and(|w| w.is_over(now));
        if over {
            self.end(Refused::Expired);
            self.unsaved = true;
        }
        over
    }

    fn end(&mut self, why: Refused) {
        self.window = None;
        self.ended = why;
    }
}

/// A right code, set aside for one appliance. Drop it (or its task) and the code is good again.
#[derive(Debug)]
#[must_use = "commit it once the peer is durable; dropping it makes the code good again"]
pub struct Reservation {
    pairing: Pairing,
    generation: u64,
    committed: bool,
}

impl Reservation {
    /// The peer is durable: the window closes, the code never works again.
    pub async fn commit(mut self) -> Result<(), Error> {
        self.committed = true;
        let generation = self.generation;
        self.pairing.change(|state| {
            if state.generation == generation && state.window.is_some() {
                state.end(Refused::Used);
            }
        });
        self.pairing.sync().await
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.committed {
            return;
        }
        let generation = self.generation;
        self.pairing.change(|state| {
            if let Some(window) = state.window.as_mut().filter(|_| state.generation == generation) {
                window.release();
            }
        });
    }
}
