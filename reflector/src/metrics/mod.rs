//! What is counted, for Prometheus.
//!
//! In: typed calls from whoever saw it happen. Out: text for `/metrics`. A label is always a value of one of our enums
//! or the name of a peer's object: nothing a stranger sends becomes a series. `families` has every name and its help in
//! one place; `labels` every value a label can have; `peers` the short list of series per peer; `series` how they are made.

mod families;
mod labels;
mod peers;
mod series;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use prometheus::TextEncoder;

use crate::clock;
use crate::engine::echo::drops::Cause;
use crate::engine::measured::Measured;
use crate::link::message::TestType;
use crate::reason::{DenyReason, EndReason, RefuseReason};
use crate::selftest::Verdict;

use families::Families;
pub use labels::{
    AcceptError, BadFrame, CommitResult, ConnectionState, Direction, Handshake, PairingResult, PeerState,
    PolicyState, StatusKind, StatusWrite, StrayKind, Task,
};
pub use peers::{PeerUsage, TOP_PEERS};

/// Whether single peers show up in the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PerPeer {
    /// The busiest by object name, the rest as `other`.
    Shown,
    /// Not at all: names of peers are nobody's business here.
    Hidden,
}

/// The counters of one reflector. Clones share them.
#[derive(Debug, Clone)]
pub struct Metrics {
    all: Arc<Families>,
}

/// The metrics cannot be written as text; a bug.
#[derive(Debug, thiserror::Error)]
#[error("render metrics")]
pub struct RenderError(#[from] prometheus::Error);

/// While it lives, one session of its type is active.
#[derive(Debug)]
pub struct ActiveSession {
    all: Arc<Families>,
    test_type: TestType,
}

impl Drop for ActiveSession {
    fn drop(&mut self) {
        self.all.sessions_active.of(self.test_type).dec();
    }
}

impl Metrics {
    /// All series at zero. Called once per process (or per test: nothing is global).
    pub fn new(per_peer: PerPeer) -> Self {
        Self { all: Arc::new(Families::new(per_peer, clock::now().mono_ms)) }
    }

    /// The text `/metrics` answers with.
    pub fn render(&self) -> Result<String, RenderError> {
        let age_ms =
            clock::now().mono_ms.saturating_sub(self.all.last_policy_event_ms.load(Ordering::Relaxed));
        self.all.policy_last_event_age.set(Duration::from_millis(age_ms).as_secs_f64());
        let families = self.all.peers.with_current(|| self.all.registry.gather());
        Ok(TextEncoder::new().encode_to_string(&families)?)
    }

    /// A connection was accepted by the kernel, before anything is known about it.
    pub fn connection_opened(&self) {
        self.all.connections_total.inc();
    }

    /// How many connections are in a state now.
    pub fn connections(&self, state: ConnectionState, now: usize) {
        self.all.connections.of(state).set(i64::try_from(now).unwrap_or(i64::MAX));
    }

    /// A connection was refused or closed by us.
    pub fn connection_refused(&self, reason: RefuseReason) {
        self.all.connections_refused.of(reason).inc();
    }

    /// `accept()` failed and was tried again.
    pub fn accept_error(&self, kind: AcceptError) {
        self.all.accept_errors.of(kind).inc();
    }

    /// A handshake ended, well or not.
    pub fn handshake(&self, result: Handshake, took: Duration) {
        self.all.handshakes.of(result).inc();
        self.all.handshake_seconds.observe(took.as_secs_f64());
    }

    /// A frame or message that could not be used.
    pub fn bad_frame(&self, kind: BadFrame) {
        self.all.frames_bad.of(kind).inc();
    }

    /// A session was granted; it counts as active until the guard is dropped.
    #[must_use]
    pub fn session_started(&self, test_type: TestType) -> ActiveSession {
        self.all.sessions_active.of(test_type).inc();
        ActiveSession { all: self.all.clone(), test_type }
    }

    /// A session ended, having moved so many payload bytes.
    pub fn session_ended(&self, test_type: TestType, reason: EndReason, lasted: Duration, bytes: u64) {
        self.all.session_bytes.of(test_type).inc_by(bytes);
        self.all.sessions.of(test_type, reason).inc();
        self.all.session_seconds.observe(lasted.as_secs_f64());
    }

    /// What the engine of a session that ended saw, and what a cut left unread.
    pub fn session_measured(&self, measured: &Measured, unread: u64) {
        let (sent, received) = measured.by_direction();
        self.all.stream_bytes.of(Direction::Sent).inc_by(sent);
        self.all.stream_bytes.of(Direction::Received).inc_by(received);
        self.all.unread_bytes.inc_by(unread);
        for (name, count) in &measured.echo_dropped {
            if let Some(cause) = Cause::ALL.into_iter().find(|cause| cause.as_str() == name) {
                self.all.echo_dropped.of(cause).inc_by(*count);
            }
        }
    }

    /// So many more connections and datagrams on data ports were not of the granted peer.
    pub fn data_refused(&self, more: u64) {
        self.all.data_refused.inc_by(more);
    }

    /// A request was denied.
    pub fn session_denied(&self, reason: DenyReason) {
        self.all.session_denied.of(reason).inc();
    }

    /// A peer lost its rights: time from the change reaching us to its last socket closed.
    pub fn revoked(&self, took: Duration) {
        self.all.revocation_seconds.observe(took.as_secs_f64());
    }

    /// A pairing code was presented.
    pub fn pairing_attempt(&self, result: PairingResult) {
        self.all.pairing_attempts.of(result).inc();
    }

    /// A pairing window opened or closed.
    pub fn pairing_window(&self, open: bool) {
        self.all.pairing_window_open.set(i64::from(open));
    }

    /// What the self-test made of the host.
    pub fn self_tested(&self, verdict: Verdict) {
        for each in Verdict::ALL {
            self.all.self_test_verdict.of(each).set(i64::from(each == verdict));
        }
    }

    /// How the policy stands.
    pub fn policy_state(&self, state: PolicyState) {
        for each in PolicyState::ALL {
            self.all.policy_state.of(*each).set(i64::from(*each == state));
        }
    }

    /// How many peers are in a state now.
    pub fn policy_peers(&self, state: PeerState, now: usize) {
        self.all.policy_peers.of(state).set(i64::try_from(now).unwrap_or(i64::MAX));
    }

    /// How many files or objects cannot be used now.
    pub fn policy_broken_objects(&self, now: usize) {
        self.all.policy_broken_objects.set(i64::try_from(now).unwrap_or(i64::MAX));
    }

    /// The source of policy gave a sign of life; its age counts from here (until the first one, from our start).
    pub fn policy_event(&self) {
        self.all.last_policy_event_ms.store(clock::now().mono_ms, Ordering::Relaxed);
    }

    /// Lines were written to the audit log.
    pub fn audit_lines(&self, lines: u64) {
        self.all.audit_lines.inc_by(lines);
    }

    /// An event could not be written to the audit log.
    pub fn audit_lost(&self) {
        self.all.audit_lost.inc();
    }

    /// The audit log can or cannot be written now.
    pub fn audit_failing(&self, failing: bool) {
        self.all.audit_failing.set(i64::from(failing));
    }

    /// Usage was made durable, or not.
    pub fn ledger_commit(&self, result: CommitResult, took: Duration) {
        self.all.ledger_commits.of(result).inc();
        self.all.ledger_commit_seconds.observe(took.as_secs_f64());
    }

    /// A data connection that belongs to nobody was closed.
    pub fn stray_connection(&self, kind: StrayKind) {
        self.all.stray_connections.of(kind).inc();
    }

    /// So many more tunnelled connections were ended because record after record of them had no data.
    pub fn tunnel_fruitless(&self, more: u64) {
        self.all.tunnel_fruitless.inc_by(more);
    }

    /// So many datagrams on the control port belonged to nobody.
    pub fn stray_datagrams(&self, lost: u64) {
        self.all.stray_datagrams.inc_by(lost);
    }

    /// A task panicked; the others go on.
    pub fn task_panicked(&self, task: Task) {
        self.all.task_panics.of(task).inc();
    }

    /// Status was written into the cluster, or not.
    pub fn status_written(&self, kind: StatusKind, result: StatusWrite) {
        self.all.status_writes.of(kind, result).inc();
    }

    /// The health port was full and its oldest connection had to go.
    pub fn health_connection_dropped(&self) {
        self.all.health_connections_dropped.inc();
    }

    /// Usage of all peers there are now. Who is not in it any more loses its series.
    pub fn peers(&self, usage: Vec<PeerUsage>) {
        self.all.peers.replace(usage);
    }
}
