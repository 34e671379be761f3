//! How the process stands, for the health port.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::access::Access;
use crate::access::policy::Verdict;
use crate::audit::Audit;
use crate::clock::{self, Now};
use crate::engine::BoxFuture;
use crate::health::{HealthSource, Policy, Snapshot};
use crate::ledger::Ledger;
use crate::metrics::{Metrics, PeerUsage};
use crate::server::Server;

use super::feeder::{AWAY_BUT_READY, PolicyFrom};
use super::tallies::Tallies;

/// Looks at the rooms.
pub(super) struct Probe {
    pub(super) access: Access,
    pub(super) audit: Audit,
    pub(super) ledger: Ledger,
    pub(super) server: Server,
    pub(super) started: Now,
    /// True between bind and drain.
    pub(super) accepting: Arc<AtomicBool>,
    pub(super) tallies: Tallies,
    pub(super) policy_from: PolicyFrom,
}

impl Probe {
    /// Whether a policy is in force.
    pub(super) fn policy_in_force(&self) -> bool {
        matches!(self.access.status().state.as_str(), "current" | "stale")
    }

    /// How far the policy can be trusted. A folder is away in front of its owner's eyes; an API server is away from us alone.
    fn policy(&self) -> Policy {
        let fresh = match self.policy_from {
            PolicyFrom::Folder => true,
            PolicyFrom::ApiServer => self.access.source().is_fresh(clock::now().mono_ms, AWAY_BUT_READY),
        };
        match (self.policy_in_force(), fresh) {
            (false, _) => Policy::NotLoaded,
            (true, false) => Policy::Old,
            (true, true) => Policy::Current,
        }
    }

    /// Whether a grant could be written down. Without that none is given; known peers are still answered.
    pub(super) fn can_record(&self) -> bool {
        !self.audit.denies() && self.ledger.health().borrow().failing.is_none()
    }

    /// What is wrong, with what to do. Names no peer and no address: anybody may read it.
    pub(super) fn problems(&self) -> Vec<String> {
        let status = self.access.status();
        let mut problems = Vec::new();
        let (stale, over) = match self.policy_from {
            PolicyFrom::Folder => (
                "the peers folder cannot be read; known peers are served until the grace is over: see `reflector status`",
                "the peers folder was away for too long: bring it back",
            ),
            PolicyFrom::ApiServer => (
                "the API server is away or our Reflector cannot be used; known peers are served until the grace is over: see `reflector status`",
                "the API server was away for too long: nobody is served until it answers",
            ),
        };
        match status.state.as_str() {
            "stale" => problems.push(stale.to_owned()),
            "grace_over" => problems.push(over.to_owned()),
            _ => {}
        }
        if !status.broken.is_empty() {
            problems
                .push(format!("{} peer objects cannot be used: see `reflector status`", status.broken.len()));
        }
        if self.audit.failing() {
            problems.push("the audit log cannot be written: is the disk full?".to_owned());
        }
        if self.ledger.health().borrow().failing.is_some() {
            problems
                .push("the ledger cannot be written, so no test is granted: is the disk full?".to_owned());
        }
        problems
    }
}

impl HealthSource for Probe {
    fn snapshot(&self) -> Snapshot {
        Snapshot {
            identity_loaded: true,
            listener_up: self.accepting.load(Ordering::Acquire),
            policy: self.policy(),
            uptime_sec: clock::now().mono_ms.saturating_sub(self.started.mono_ms) / 1000,
            problems: self.problems(),
        }
    }

    fn ping(&self) -> BoxFuture<()> {
        // A deadlocked index or floor hangs here; so does a runtime whose workers are stuck. The ledger thread is
        // only asked whether it is there: a disk that is full is no deadlock, and a stranger must not cause writes.
        let (access, server, ledger) = (self.access.clone(), self.server.clone(), self.ledger.clone());
        let asked = tokio::task::spawn(async move {
            let _ = (access.channels(), server.connections());
            ledger.answers().await
        });
        Box::pin(async move {
            if !asked.await.unwrap_or(false) {
                std::future::pending::<()>().await;
            }
        })
    }

    fn before_scrape(&self, metrics: &Metrics) {
        self.tallies.publish(metrics);
        let peers = self.access.peers().into_iter().filter_map(|peer| {
            let id = peer.endpoint_id?;
            let usage = self.ledger.usage(&id).unwrap_or_default();
            let bytes_remaining = match self.access.verdict(&id) {
                Verdict::Allowed(policy) => usage.remaining(policy.quotas.bytes_per_day),
                Verdict::Refused(_) => None,
            };
            Some(PeerUsage {
                name: peer.name,
                bytes_today: usage.bytes_today,
                tests_today: u64::from(usage.tests_today),
                bytes_remaining,
            })
        });
        metrics.peers(peers.collect());
    }
}
