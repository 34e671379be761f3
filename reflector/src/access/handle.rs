//! The handle everyone holds: asks the index, and keeps one watch channel per Endpoint ID somebody listens to.
//!
//! A lock is held for a map lookup, never across a wait. A running session does not come here at all: it borrows
//! from its channel, which is sent to only when its verdict changed.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crds::EndpointId;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::clock::Now;

use super::effective::ReflectorPolicy;
use super::index::{Changed, Index};
use super::object::{Key, Object};
use super::policy::{Refusal, Verdict};
use super::source::Source;

/// Channels kept beyond the ones in use before unused ones are swept: strangers who came and went cost this much.
const IDLE_CHANNELS: usize = 64;

/// While something is due to expire the wall clock is looked at this often: it may be set forward, or the machine may
/// have slept. Every new request looks at it anyway; this bounds how long a running session outlives its peer.
const RECHECK: Duration = Duration::from_secs(60);

/// Reads both clocks. The daemon hands in the later of the wall clock and what the ledger trusts.
pub type Clock = Arc<dyn Fn() -> Now + Send + Sync>;

/// What [`Access`] starts with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What holds for every peer.
    pub reflector: ReflectorPolicy,
    /// `access.authorized_peers`: read-only peers. An object that names one of them decides instead.
    pub authorized_peers: Vec<EndpointId>,
    /// How long the last policy holds while its source is away.
    pub offline_grace: Duration,
}

/// Where a peer stands, and since when we know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What holds.
    pub verdict: Verdict,
    /// When the change reached us, milliseconds since boot; revocation latency counts from here.
    pub since_mono_ms: u64,
}

/// Everything about who may do what. Cheap to clone.
#[derive(Clone)]
pub struct Access {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    clock: Clock,
    /// The next change may be earlier than the clock task thinks.
    rearm: Notify,
    /// Counts changes of the policy as a whole.
    revision: watch::Sender<u64>,
    /// When the last change of it reached us, milliseconds since boot.
    received_mono_ms: AtomicU64,
}

struct State {
    index: Index,
    channels: HashMap<EndpointId, watch::Sender<Standing>>,
    sweep_at: usize,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").finish_non_exhaustive()
    }
}

impl Access {
    /// Nothing is loaded yet, so everyone is refused until a feeder calls [`Access::load`].
    pub fn new(settings: Settings, clock: Clock) -> Self {
        let index = Index::new(settings.reflector, settings.authorized_peers, settings.offline_grace);
        let state = State { index, channels: HashMap::new(), sweep_at: IDLE_CHANNELS };
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                clock,
                rearm: Notify::new(),
                revision: watch::Sender::new(0),
                received_mono_ms: AtomicU64::new(0),
            }),
        }
    }

    /// What holds for an ID now. [`Refusal::Removed`] is said as long as somebody still listens to an ID that lost its
    /// object; after that it is as unknown as any other.
    pub fn verdict(&self, id: &EndpointId) -> Verdict {
        let state = self.settled();
        match state.channels.get(id).filter(|c| c.receiver_count() > 0) {
            Some(channel) => channel.borrow().verdict.clone(),
            None => state.index.verdict(id),
        }
    }

    /// What holds for the reflector's own attempt at itself, whose key `server` knows.
    pub fn rehearsal(&self) -> Verdict {
        self.settled().index.rehearsal()
    }

    /// Follows an ID. Dropping the receiver is enough to stop.
    pub fn subscribe(&self, id: EndpointId) -> watch::Receiver<Standing> {
        let mut state = self.settled();
        let fresh =
            Standing { verdict: state.index.verdict(&id), since_mono_ms: (self.shared.clock)().mono_ms };
        state.sweep();
        match state.channels.entry(id) {
            Entry::Occupied(mut known) if known.get().receiver_count() == 0 => {
                let (sender, receiver) = watch::channel(fresh);
                known.insert(sender);
                receiver
            }
            Entry::Occupied(known) => known.get().subscribe(),
            Entry::Vacant(empty) => {
                let (sender, receiver) = watch::channel(fresh);
                empty.insert(sender);
                receiver
            }
        }
    }

    /// All objects there are, from a feeder that just read them. `received_mono_ms` is when it learnt of the change.
    pub fn load(&self, all: Vec<(Key, Arc<Object>)>, foreign: u32, received_mono_ms: u64) {
        self.change(received_mono_ms, |index| index.reset(all, foreign));
    }

    /// One object is new or different.
    pub fn apply(&self, key: &Key, object: &Arc<Object>, received_mono_ms: u64) {
        self.change(received_mono_ms, |index| index.apply(key, object));
    }

    /// One object is gone.
    pub fn delete(&self, key: &Key, received_mono_ms: u64) {
        self.change(received_mono_ms, |index| index.delete(key));
    }

    /// What was accepted last, from a disk, while its source is away: it has been away for `spent` already.
    pub fn restore(&self, all: Vec<(Key, Arc<Object>)>, spent: Duration, why: String) {
        let now = (self.shared.clock)();
        self.change(now.mono_ms, |index| index.restore(all, now, spent, why));
    }

    /// How long the last policy holds while its source is away.
    pub fn set_offline_grace(&self, grace: Duration) {
        let now = (self.shared.clock)();
        self.change(now.mono_ms, |index| {
            index.set_offline_grace(grace);
            Changed::These(BTreeSet::new())
        });
    }

    /// How long the last policy holds while its source is away.
    pub fn offline_grace(&self) -> Duration {
        self.settled().index.offline_grace()
    }

    /// How fresh the policy is.
    pub fn source(&self) -> Source {
        self.settled().index.source().clone()
    }

    /// The feeder lost its source and says why; the grace starts, or goes on.
    pub fn source_away(&self, why: String) {
        let now = (self.shared.clock)();
        self.change(now.mono_ms, |index| index.source_away(now, why));
    }

    /// The reflector's own policy changed.
    pub fn set_reflector(&self, reflector: ReflectorPolicy) {
        let now = (self.shared.clock)();
        self.change(now.mono_ms, |index| index.set_reflector(reflector));
    }

    /// Whether a pairing may be accepted: only while we know what the source holds.
    pub fn may_pair(&self) -> bool {
        *self.settled().index.source() == Source::Current
    }

    /// Changes whenever a load, an expiry or the end of a grace may have changed somebody's standing.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.revision.subscribe()
    }

    /// When the last change reached us, milliseconds since boot. Whoever sees a change here sees a time not before its own.
    pub fn received_mono_ms(&self) -> u64 {
        self.shared.received_mono_ms.load(Ordering::Acquire)
    }

    /// Channels kept, used or not: for metrics and tests.
    pub fn channels(&self) -> usize {
        self.settled().channels.len()
    }

    /// Ends peers when they expire and the grace when it is over. Run once by the daemon until `cancel`; sleeps until
    /// the next change is due, for ever when none is.
    pub async fn run_clock(&self, cancel: CancellationToken) {
        loop {
            let due_in = self.until_next_change();
            let wait = async {
                match due_in {
                    Some(wait) => {
                        // Either way the loop settles again: a timeout is the alarm, a notice a new alarm time.
                        let _alarm = tokio::time::timeout(wait, self.shared.rearm.notified()).await;
                    }
                    None => self.shared.rearm.notified().await,
                }
            };
            tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                () = wait => {}
            }
        }
    }

    /// Reads the index as of now.
    pub(super) fn with_index<T>(&self, read: impl FnOnce(&Index) -> T) -> T {
        read(&self.settled().index)
    }

    fn until_next_change(&self) -> Option<Duration> {
        let next = self.settled().index.next_change();
        let now = (self.shared.clock)();
        let grace = next.grace_end_ms.map(|end| Duration::from_millis(end.saturating_sub(now.mono_ms)));
        let expiry = next.expiry.map(|at| {
            let wait = Duration::try_from(at.duration_since(now.wall)).unwrap_or(Duration::ZERO);
            // A timer that fires a hair early would spin; one millisecond later is still on time.
            wait.saturating_add(Duration::from_millis(1)).min(RECHECK)
        });
        [grace, expiry].into_iter().flatten().min()
    }

    fn change(&self, received_mono_ms: u64, mutate: impl FnOnce(&mut Index) -> Changed) {
        let mut state = self.settled();
        self.shared.received_mono_ms.fetch_max(received_mono_ms, Ordering::AcqRel);
        let changed = mutate(&mut state.index);
        state.publish(&changed, received_mono_ms);
        drop(state);
        self.shared.revision.send_modify(|n| *n = n.wrapping_add(1));
        // What was just loaded may already have expired.
        drop(self.settled());
        self.shared.rearm.notify_one();
    }

    fn settled(&self) -> MutexGuard<'_, State> {
        let now = (self.shared.clock)();
        // A panic while the lock was held cannot leave half an index: every mutation ends with its refresh, and a
        // verdict computed from a torn one would still have been decided object by object.
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = state.index.tick(now);
        state.publish(&changed, now.mono_ms);
        if !changed.is_empty() {
            self.shared.revision.send_modify(|n| *n = n.wrapping_add(1));
        }
        state
    }
}

impl State {
    fn publish(&self, changed: &Changed, since_mono_ms: u64) {
        match changed {
            Changed::Everyone => self.channels.iter().for_each(|(id, c)| self.send(id, c, since_mono_ms)),
            Changed::These(ids) => {
                for (id, channel) in ids.iter().filter_map(|id| self.channels.get_key_value(id)) {
                    self.send(id, channel, since_mono_ms);
                }
            }
        }
    }

    fn send(&self, id: &EndpointId, channel: &watch::Sender<Standing>, since_mono_ms: u64) {
        let new = self.index.verdict(id);
        channel.send_if_modified(|standing| {
            let verdict = succeed(&standing.verdict, new);
            if standing.verdict == verdict {
                return false;
            }
            *standing = Standing { verdict, since_mono_ms };
            true
        });
    }

    /// Drops channels nobody listens to, whenever twice as many have come as were in use last time.
    fn sweep(&mut self) {
        if self.channels.len() >= self.sweep_at {
            self.channels.retain(|_, channel| channel.receiver_count() > 0);
            self.sweep_at = self.channels.len().saturating_mul(2).max(IDLE_CHANNELS);
        }
    }
}

/// An ID that lost its object is `Removed` to whoever was listening: it must not look like a stranger who may pair.
fn succeed(old: &Verdict, new: Verdict) -> Verdict {
    use Refusal::{GraceOver, NeverLoaded, Unknown};
    match (old, &new) {
        (Verdict::Refused(Unknown | NeverLoaded | GraceOver), _) => new,
        (_, Verdict::Refused(Unknown)) => Verdict::Refused(Refusal::Removed),
        _ => new,
    }
}
