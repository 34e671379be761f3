//! The handle: ask, close, stop, narrow, drain.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crds::EndpointId;
use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};
use uuid::Uuid;

use crate::access::policy::Policy;
use crate::clock::Now;
use crate::engine::Engine;
use crate::ledger::{Clock, Ledger};
use crate::link::features::Features;
use crate::link::message::{Mode, SessionGrant, SessionParams, TestType};
use crate::reason::EndReason;

use super::active::Active;
use super::admission::Plan;
use super::denial::Denied;
use super::observer::{Denial, Observer, SessionRecord};
use super::placement::Routes;
use super::rehearsal;
use super::request::admit;
use super::requester::{ConnectionId, Requester};
use super::rest::Rest;
use super::table::Core;
use super::ticket::Ticket;

/// How long a stopped session may take to be gone: the engine's second for goodbyes and time to tear down.
const STOPPED_WITHIN: Duration = Duration::from_millis(1500);

/// Says until when tests are closed by the policy's windows; `None`: they are open.
pub type Windows = Arc<dyn Fn(&Policy, Now) -> Option<Timestamp> + Send + Sync>;

/// What sessions are made of.
pub struct Parts {
    /// Usage, durable.
    pub ledger: Ledger,
    /// One engine per test type at most; a type without one is denied.
    pub engines: Vec<Arc<dyn Engine>>,
    /// Audit, metrics, status.
    pub observer: Arc<dyn Observer>,
    /// The time.
    pub clock: Clock,
    /// The windows of a policy.
    pub windows: Windows,
    /// The ways data may take.
    pub routes: Routes,
}

/// A grant that may be sent now: its listener is up, its record is on disk.
#[derive(Debug)]
pub struct Granted {
    /// For the wire.
    pub grant: SessionGrant,
    /// Resolves when the session has ended.
    pub ended: Ending,
}

/// Resolves to the record of a session's end. Dropping it ends nothing.
pub type Ending = oneshot::Receiver<SessionRecord>;

/// A session that is not the asking peer's, or is none at all: both look the same from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no session of yours has this test_id")]
pub struct NotYours;

/// A running session, for status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveSession {
    /// The session.
    pub test_id: Uuid,
    /// What runs.
    pub test_type: TestType,
    /// Whose it is.
    pub peer: EndpointId,
    /// How its data flows.
    pub mode: Mode,
    /// On which connection.
    pub connection: ConnectionId,
    /// When its granted time began.
    pub started_at: Timestamp,
    /// What is left of it.
    pub remaining: Duration,
    /// Payload bytes so far.
    pub bytes: u64,
}

/// All sessions of this reflector. Clones are one.
#[derive(Debug, Clone)]
pub struct Sessions {
    core: Arc<Core>,
}

impl Sessions {
    /// Nothing runs yet.
    pub fn new(parts: Parts) -> Self {
        Self { core: Arc::new(Core::new(parts)) }
    }

    /// Asks for a session under the peer's current policy. Dropping the future before it resolves leaves no trace.
    pub async fn request(
        &self,
        requester: &Requester,
        ticket: Ticket,
        policy: &Arc<Policy>,
        test_type: TestType,
        params: &SessionParams,
    ) -> Result<Granted, Denied> {
        let policy = &policy.seen_from(requester.peer.source);
        let answer = admit(&self.core, requester, &ticket, policy, test_type, params).await;
        if let Err(denied) = &answer {
            self.core.ledger.account(requester.peer.id).record_denial(self.core.moment());
            self.core.observer.denied(&Denial {
                peer: requester.peer.id,
                peer_name: &policy.peer,
                source: requester.peer.source,
                test_type,
                params,
                denied,
            });
        }
        answer
    }

    /// What a request would come to under this policy, if nobody had used anything. Leaves no trace.
    pub fn rehearse(
        &self,
        policy: &Policy,
        features: Features,
        test_type: TestType,
        params: &SessionParams,
    ) -> Result<Plan, Denied> {
        rehearsal::rehearse(&self.core, policy, features, test_type, params)
    }

    /// Waits until nothing runs, and then grants nothing until the answer is dropped. `at_most`: how long that takes, for who
    /// is denied meanwhile.
    pub async fn rest(&self, at_most: Duration) -> Rest {
        Rest::begin(&self.core, at_most).await
    }

    /// Ends a session of this peer, from any of its connections, and waits until it is gone.
    pub async fn close(&self, peer: &EndpointId, test_id: &Uuid) -> Result<(), NotYours> {
        let active = self.core.session(test_id).filter(|active| active.peer.id == *peer).ok_or(NotYours)?;
        active.stop(EndReason::ClientTerminated);
        self.gone(|core| core.session(test_id).is_none(), Instant::now() + STOPPED_WITHIN).await;
        Ok(())
    }

    /// Ends all sessions of a peer; says how many were told.
    pub fn stop_peer(&self, peer: &EndpointId, reason: EndReason) -> usize {
        self.stop_where(reason, |active| active.peer.id == *peer)
    }

    /// Ends all sessions of a connection; says how many were told.
    pub fn stop_connection(&self, connection: ConnectionId, reason: EndReason) -> usize {
        self.stop_where(reason, |active| active.connection == connection)
    }

    /// A peer's policy changed and still allows it: smaller limits hold for running sessions at once, and a test
    /// type that was switched off ends as `revoked`.
    pub fn narrow(&self, peer: &EndpointId, policy: &Arc<Policy>) {
        for active in self.core.sessions().iter().filter(|active| active.peer.id == *peer) {
            active.set_policy(&policy.seen_from(active.peer.source));
            let allowed = match active.plan.test_type {
                TestType::Throughput => policy.quotas.allow_throughput,
                TestType::UdpEcho => policy.quotas.allow_udp_echo,
            };
            if !allowed {
                active.stop(EndReason::Revoked);
            }
        }
    }

    /// Sessions that have not ended; with a peer, only its own.
    pub fn active(&self, peer: Option<&EndpointId>) -> Vec<ActiveSession> {
        let now = self.core.moment();
        let sessions = self.core.sessions();
        let mine = sessions.iter().filter(|active| peer.is_none_or(|peer| active.peer.id == *peer));
        let mut list: Vec<_> = mine
            .map(|active| ActiveSession {
                test_id: active.test_id,
                test_type: active.plan.test_type,
                peer: active.peer.id,
                mode: active.plan.placement.mode(),
                connection: active.connection,
                started_at: now
                    .as_wall(active.ends_at())
                    .and_then(|ends| ends.checked_sub(active.plan.duration).ok())
                    .unwrap_or(Timestamp::UNIX_EPOCH),
                remaining: active.ends_at().since(now.at),
                bytes: active.bytes.load(Ordering::Acquire),
            })
            .collect();
        list.sort_by_key(|session| session.started_at);
        list
    }

    /// Grants nothing new, except the second half of a running test that still fits; waits for what runs and stops
    /// the rest after `patience`. Returns when every session has ended and is on record; says how many were cut.
    pub async fn drain(&self, patience: Duration) -> usize {
        let until = Instant::now() + patience;
        self.core.start_draining(until);
        self.gone(|core| core.drained_at().is_some_and(|at| at <= Instant::now()), until).await;
        let cut = self.stop_where(EndReason::Shutdown, |_| true);
        self.gone(|core| core.sessions().is_empty(), Instant::now() + STOPPED_WITHIN).await;
        self.core.tasks.close();
        // Engines that were dropped may still be tearing down threads; they do not hold up the exit.
        let _ = timeout(STOPPED_WITHIN, self.core.tasks.wait()).await;
        cut
    }

    fn stop_where(&self, reason: EndReason, which: impl Fn(&Active) -> bool) -> usize {
        let sessions = self.core.sessions();
        sessions.iter().filter(|active| which(active)).map(|active| active.stop(reason)).count()
    }

    /// Waits until `done`, looking after every release and end, or until the deadline.
    async fn gone(&self, done: impl Fn(&Core) -> bool, deadline: Instant) {
        let mut changes = self.core.changes.subscribe();
        while !done(&self.core) {
            // A drain may also be waiting for time to pass alone.
            let look_again = self.core.drained_at().map_or(deadline, |at| at.min(deadline));
            if timeout_at(look_again, changes.changed()).await.is_err() && Instant::now() >= deadline {
                return;
            }
        }
    }
}
