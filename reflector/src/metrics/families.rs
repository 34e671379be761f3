//! Every metric: name, help, labels. The names are API; `names.txt` beside this file lists them.

use std::sync::atomic::AtomicU64;

use prometheus::process_collector::ProcessCollector;
use prometheus::{Gauge, Histogram, IntCounter, IntGauge, IntGaugeVec, Registry};

use crate::engine::echo::drops::Cause;
use crate::engine::path::build_hash;
use crate::link::message::TestType;
use crate::reason::{DenyReason, EndReason, RefuseReason};
use crate::selftest::Verdict;

use super::PerPeer;
use super::labels::{
    AcceptError, BadFrame, CommitResult, ConnectionState, Direction, Handshake, PairingResult, PeerState,
    PolicyState, StatusKind, StatusWrite, StrayKind, Task,
};
use super::peers::Peers;
use super::series::{Counters, Counters2, Gauges, add, counter, gauge, histogram, opts, register};

/// From a cached handshake on a PC to the deadline.
const HANDSHAKE_BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Close around the promise of 2 s.
const REVOCATION_BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 1.75, 2.0, 2.25, 2.5, 5.0, 10.0];
/// From a test that never began to the longest that can be granted.
const SESSION_BUCKETS: &[f64] = &[0.1, 1.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0];
/// From a fast disk to a worn SD card.
const COMMIT_BUCKETS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

#[derive(Debug)]
pub(super) struct Families {
    pub(super) registry: Registry,
    pub(super) last_policy_event_ms: AtomicU64,
    pub(super) connections: Gauges<ConnectionState>,
    pub(super) connections_total: IntCounter,
    pub(super) connections_refused: Counters<RefuseReason>,
    pub(super) accept_errors: Counters<AcceptError>,
    pub(super) handshakes: Counters<Handshake>,
    pub(super) handshake_seconds: Histogram,
    pub(super) frames_bad: Counters<BadFrame>,
    pub(super) sessions_active: Gauges<TestType>,
    pub(super) sessions: Counters2<TestType, EndReason>,
    pub(super) session_denied: Counters<DenyReason>,
    pub(super) session_bytes: Counters<TestType>,
    pub(super) session_seconds: Histogram,
    pub(super) revocation_seconds: Histogram,
    pub(super) pairing_attempts: Counters<PairingResult>,
    pub(super) pairing_window_open: IntGauge,
    pub(super) self_test_verdict: Gauges<Verdict>,
    pub(super) policy_state: Gauges<PolicyState>,
    pub(super) policy_peers: Gauges<PeerState>,
    pub(super) policy_broken_objects: IntGauge,
    pub(super) policy_last_event_age: Gauge,
    pub(super) audit_lines: IntCounter,
    pub(super) audit_lost: IntCounter,
    pub(super) audit_failing: IntGauge,
    pub(super) ledger_commits: Counters<CommitResult>,
    pub(super) ledger_commit_seconds: Histogram,
    pub(super) stray_connections: Counters<StrayKind>,
    pub(super) stray_datagrams: IntCounter,
    pub(super) stream_bytes: Counters<Direction>,
    pub(super) unread_bytes: IntCounter,
    pub(super) data_refused: IntCounter,
    pub(super) tunnel_fruitless: IntCounter,
    pub(super) echo_dropped: Counters<Cause>,
    pub(super) status_writes: Counters2<StatusKind, StatusWrite>,
    pub(super) task_panics: Counters<Task>,
    pub(super) health_connections_dropped: IntCounter,
    pub(super) peers: Peers,
}

impl Families {
    #[expect(clippy::too_many_lines, reason = "a table: one entry per metric, and nothing else")]
    pub(super) fn new(per_peer: PerPeer, now_ms: u64) -> Self {
        let r = &Registry::new();
        register(r, ProcessCollector::for_self());
        build_info(r);
        Self {
            connections: Gauges::new(r, "connections", "Open connections by what is known of them.", "state"),
            connections_total: counter(r, "connections_total", "Connections accepted by the kernel."),
            connections_refused: Counters::new(
                r,
                "connections_refused_total",
                "Connections refused or closed by us.",
                "reason",
            ),
            accept_errors: Counters::new(
                r,
                "accept_errors_total",
                "Failed accept() calls by what ran out.",
                "kind",
            ),
            handshakes: Counters::new(r, "handshakes_total", "TLS handshakes by result.", "result"),
            handshake_seconds: histogram(
                r,
                "handshake_seconds",
                "Time a TLS handshake took.",
                HANDSHAKE_BUCKETS,
            ),
            frames_bad: Counters::new(
                r,
                "frames_bad_total",
                "Frames and messages that could not be used.",
                "kind",
            ),
            sessions_active: Gauges::new(r, "sessions_active", "Sessions running now, by test type.", "type"),
            sessions: Counters2::new(r, "sessions_total", "Sessions that ended.", ["type", "end_reason"]),
            session_denied: Counters::new(
                r,
                "session_denied_total",
                "Session requests denied, by reason.",
                "reason",
            ),
            session_bytes: Counters::new(
                r,
                "session_bytes_total",
                "Payload bytes of sessions that ended, both directions.",
                "type",
            ),
            stream_bytes: Counters::new(
                r,
                "stream_bytes_total",
                "Payload bytes of the streams of throughput sessions that ended, by direction.",
                "direction",
            ),
            unread_bytes: counter(
                r,
                "session_unread_bytes_total",
                "Bytes that cut sessions left unread: charged to the peer's day, in no result.",
            ),
            data_refused: counter(
                r,
                "data_refused_total",
                "Connections and datagrams on data ports that were not of the granted peer.",
            ),
            tunnel_fruitless: counter(
                r,
                "tunnel_fruitless_total",
                "Tunnelled connections ended because record after record (more than 32) had no data.",
            ),
            echo_dropped: Counters::new(
                r,
                "echo_dropped_total",
                "Echo datagrams of sessions that ended that got no answer, by cause.",
                "cause",
            ),
            session_seconds: histogram(
                r,
                "session_seconds",
                "Length of sessions that ended.",
                SESSION_BUCKETS,
            ),
            revocation_seconds: histogram(
                r,
                "revocation_seconds",
                "Time from a revocation reaching us to the last socket closed.",
                REVOCATION_BUCKETS,
            ),
            pairing_attempts: Counters::new(
                r,
                "pairing_attempts_total",
                "Pairing codes presented, by result.",
                "result",
            ),
            pairing_window_open: gauge(r, "pairing_window_open", "1 while a pairing code is live."),
            self_test_verdict: Gauges::new(
                r,
                "self_test_verdict",
                "1 for what the last scheduled self-test made of the host. All 0: none has run since the start.",
                "verdict",
            ),
            policy_state: Gauges::new(r, "policy_state", "1 for the state the policy is in.", "state"),
            policy_peers: Gauges::new(r, "policy_peers", "Known peers by state.", "state"),
            policy_broken_objects: gauge(
                r,
                "policy_broken_objects",
                "Peer files or objects that cannot be used.",
            ),
            policy_last_event_age: policy_age(r),
            audit_lines: counter(r, "audit_lines_total", "Lines written to the audit log."),
            audit_lost: counter(r, "audit_lost_total", "Events that could not be written to the audit log."),
            audit_failing: gauge(r, "audit_failing", "1 while the audit log cannot be written."),
            ledger_commits: Counters::new(
                r,
                "ledger_commits_total",
                "Commits of the usage ledger by result.",
                "result",
            ),
            ledger_commit_seconds: histogram(
                r,
                "ledger_commit_seconds",
                "Time a ledger commit took.",
                COMMIT_BUCKETS,
            ),
            stray_connections: Counters::new(
                r,
                "stray_connections_total",
                "Data connections of no session, closed.",
                "kind",
            ),
            stray_datagrams: counter(
                r,
                "stray_datagrams_total",
                "Datagrams on the control port that were of no session.",
            ),
            status_writes: Counters2::new(
                r,
                "status_writes_total",
                "Writes of status into the cluster, by kind of object and result.",
                ["kind", "result"],
            ),
            task_panics: Counters::new(r, "task_panics_total", "Tasks that panicked: each is a bug.", "task"),
            health_connections_dropped: counter(
                r,
                "health_connections_dropped_total",
                "Health connections closed to make room.",
            ),
            peers: Peers::new(r, per_peer),
            last_policy_event_ms: AtomicU64::new(now_ms),
            registry: r.clone(),
        }
    }
}

fn build_info(registry: &Registry) {
    let help = "Always 1; the labels say which build is running.";
    let labels = ["version", "build_hash"];
    let info = add(registry, IntGaugeVec::new(opts("build_info", help), &labels));
    info.with_label_values(&[env!("CARGO_PKG_VERSION"), build_hash()]).set(1);
}

fn policy_age(registry: &Registry) -> Gauge {
    let help = "Time since the source of policy last gave a sign of life, or since the start.";
    add(registry, Gauge::with_opts(opts("policy_last_event_age_seconds", help)))
}
