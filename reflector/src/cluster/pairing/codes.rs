//! An appliance presents a code: limits, hash, match, claim, and the wait for the operator.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crds::EndpointId;
use crds::pairing::{Code, SecretKey, Statement};
use crds::peer::{Claim, PairingCounts, RefKind, WrongCodeSource};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::access::cluster::Handle;
use crate::access::pairing::{Guard, Refused};
use crate::access::policy::Verdict;
use crate::access::{Access, Clock};
use crate::cluster::Own;
use crate::cluster::status::condition::whole_seconds;
use crate::cluster::status::{Hint, Witness};
use crate::metrics::Metrics;
use crate::network::source_key;

use super::hashing::Hashing;
use super::matching::{self, Progress, Waiting};

/// How long an appliance waits for the operator.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(10);
/// What somebody is told to wait when too many codes are being looked at.
const CROWDED_SEC: u64 = 2;
/// How often the codes that wait are looked at when none ends before, in case the clock was set.
const RECHECK: Duration = Duration::from_secs(60);

/// What came of a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presented {
    /// The appliance is bound to this peer, and in force here.
    Bound(Arc<str>),
    /// It waits until somebody approves it.
    Waits(Arc<str>),
    /// The code was right, and the operator did not say so in time.
    Unconfirmed(Arc<str>),
    /// It was not accepted.
    Refused(Refused),
}

/// The codes of the peers that wait on this reflector. Clones share everything.
#[derive(Clone)]
pub struct Codes {
    shared: Arc<Shared>,
}

struct Shared {
    own: Own,
    held: Handle,
    access: Access,
    witness: Witness,
    clock: Clock,
    hashing: Hashing,
    guard: Mutex<Guard>,
    open_until: watch::Sender<Option<Timestamp>>,
}

impl std::fmt::Debug for Codes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Codes").field("own", &self.shared.own).finish_non_exhaustive()
    }
}

impl Codes {
    /// None is known before [`Codes::run`].
    pub fn new(own: Own, held: Handle, access: Access, witness: Witness, clock: Clock) -> Self {
        let (hashing, guard, open_until) = (Hashing::default(), Mutex::default(), watch::Sender::new(None));
        Self { shared: Arc::new(Shared { own, held, access, witness, clock, hashing, guard, open_until }) }
    }

    /// Follows until when a code could be presented; `None` while none could.
    pub fn watch(&self) -> watch::Receiver<Option<Timestamp>> {
        self.shared.open_until.subscribe()
    }

    /// Wrong codes, for the status of the peers that wait.
    pub fn counts(&self) -> Option<PairingCounts> {
        let guard = self.shared.guard();
        let top = guard.top_sources().into_iter();
        (guard.count() > 0).then(|| PairingCounts {
            wrong: Some(guard.count().into()),
            slowed_since: guard.slowed_since().map(whole_seconds),
            top_sources: top
                .map(|(source, wrong)| WrongCodeSource { source: source.to_string(), wrong: wrong.into() })
                .collect(),
        })
    }

    /// Keeps to what waits, until `cancel`.
    pub async fn run(&self, metrics: &Metrics, cancel: CancellationToken) {
        let mut changes = self.shared.held.changes();
        loop {
            changes.mark_unchanged();
            let now = (self.shared.clock)();
            let waiting = self.shared.waiting(now.wall);
            let until = waiting.iter().map(|waiting| waiting.expires_at).max();
            let closed = until.is_none() && self.shared.open_until.borrow().is_some();
            if closed {
                // The next code is another secret, and whoever guessed at the last one is nobody's burden.
                *self.shared.guard() = Guard::default();
            }
            self.shared.open_until.send_if_modified(|open| std::mem::replace(open, until) != until);
            metrics.pairing_window(until.is_some());
            let first = waiting.iter().map(|waiting| waiting.expires_at).min();
            let left = first.map(|at| Duration::try_from(at.duration_since(now.wall)).unwrap_or_default());
            // A hair later than the end, or the loop would spin.
            let wait = left.unwrap_or(RECHECK).min(RECHECK).saturating_add(Duration::from_millis(1));
            tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                news = timeout(wait, changes.changed()) => if let Ok(Err(_)) = news { return },
            }
        }
    }

    /// An appliance no policy knows presents a code. Dropping the future keeps a claim that was made: the operator may be
    /// looking at it.
    pub async fn present(&self, code: &str, id: EndpointId, from: IpAddr) -> Presented {
        let (shared, code) = (Arc::clone(&self.shared), Zeroizing::new(code.to_owned()));
        // On its own: who leaves while its code is looked at is counted all the same.
        let looked = tokio::spawn(async move { shared.matching(&code, id, from).await });
        let (waiting, key) = match looked.await {
            Ok(Ok(found)) => found,
            Ok(Err(refused)) => return Presented::Refused(refused),
            // A bug; the code was not accepted.
            Err(_) => return Presented::Refused(Refused::NotRecorded),
        };
        let shared = &self.shared;
        let statement = Statement { peer_uid: &waiting.uid, reflector: &shared.own.name, endpoint_id: id };
        let claim = Claim {
            endpoint_id: Some(id.to_string()),
            from: Some(from.to_string()),
            at: Some(whole_seconds((shared.clock)().wall)),
            proof: Some(key.prove(&statement)),
        };
        shared.witness.claimed(&waiting.uid, claim, key.code_key());
        drop(key);
        match timeout(CONFIRMED_WITHIN, shared.outcome(&waiting, id)).await {
            Ok(presented) => presented,
            Err(_) => Presented::Unconfirmed(waiting.name),
        }
    }
}

impl Shared {
    /// The peer whose code this is. Everything that counts wrong codes happens in somebody's turn, so that codes which come
    /// together are counted one after the other.
    async fn matching(
        &self,
        code: &str,
        id: EndpointId,
        from: IpAddr,
    ) -> Result<(Waiting, SecretKey), Refused> {
        let source = source_key(from);
        let mut turn = self.hashing.turn().await.ok_or(Refused::Wait { seconds: CROWDED_SEC })?;
        let now = (self.clock)();
        self.guard().admit(source, id, now).map_err(|seconds| Refused::Wait { seconds })?;
        let waiting = self.waiting(now.wall);
        if waiting.is_empty() {
            return Err(Refused::NotOpen);
        }
        let found = match Code::parse(code) {
            Some(code) => {
                let references = self.references(&waiting);
                let uids = references.iter().map(|(_, uid)| uid.clone()).collect();
                let (still, keys) = turn.derive(code, uids).await.ok_or(Refused::NotRecorded)?;
                turn = still;
                let kinds = references.into_iter().map(|(kind, _)| kind);
                kinds.zip(keys).find_map(|(kind, key)| {
                    let is_it = |one: &&Waiting| one.kind == kind && one.code_key == key.code_key();
                    Some((waiting.iter().find(is_it)?.clone(), key))
                })
            }
            None => None,
        };
        let found = found.ok_or_else(|| {
            self.guard().wrong(source, id, now);
            // Their status shows it.
            self.witness.hints().leave(Hint::Everything);
            Refused::Wrong
        });
        drop(turn);
        found
    }

    /// The objects that codes are salted with, as far as a code of them waits: one hash each.
    fn references(&self, waiting: &[Waiting]) -> Vec<(RefKind, String)> {
        let reflector = self.held.look(|held| held.reflector().map(|held| held.uid.clone()));
        let fleet = self.own.fleet.as_ref().map(|fleet| fleet.uid.clone());
        let both = [(RefKind::Reflector, reflector), (RefKind::ReflectorFleet, fleet)];
        let wanted = |kind: RefKind| waiting.iter().any(|one| one.kind == kind);
        both.into_iter()
            .filter(|(kind, _)| wanted(*kind))
            .filter_map(|(kind, uid)| Some((kind, uid?)))
            .collect()
    }

    fn waiting(&self, now: Timestamp) -> Vec<Waiting> {
        self.held.look(|held| held.peers().filter_map(|peer| matching::waiting(peer, now)).collect())
    }

    /// Resolves when it is known what became of a claim.
    async fn outcome(&self, waiting: &Waiting, id: EndpointId) -> Presented {
        let (mut news, mut policy) = (self.held.changes(), self.access.changes());
        loop {
            news.mark_unchanged();
            policy.mark_unchanged();
            match self.held.look(|held| matching::progress(held.peer(&waiting.name), &waiting.uid, &id)) {
                Progress::Bound if matches!(self.access.verdict(&id), Verdict::Allowed(_)) => {
                    return Presented::Bound(Arc::clone(&waiting.name));
                }
                // The news is here a moment before the policy is.
                Progress::Bound | Progress::Open => {}
                Progress::Claimed => return Presented::Waits(Arc::clone(&waiting.name)),
                Progress::Lost => return Presented::Refused(Refused::Used),
                Progress::Expired => return Presented::Refused(Refused::Expired),
            }
            let changed = tokio::select! {
                changed = news.changed() => changed,
                changed = policy.changed() => changed,
            };
            if changed.is_err() {
                // Whoever could say so is gone: the process ends, or the deadline does.
                std::future::pending::<()>().await;
            }
        }
    }

    fn guard(&self) -> MutexGuard<'_, Guard> {
        // Counts are raised before they are compared: after a panic they are at worst too high.
        self.guard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
