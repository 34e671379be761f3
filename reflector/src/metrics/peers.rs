//! Series per peer: few, by object name, gone with the peer. Ten thousand peers must not make thirty thousand series,
//! so only the busiest have their own and the rest are summed up as `other`.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus::{IntGaugeVec, Registry};

use super::PerPeer;
use super::series::{add, opts};

/// Peers with series of their own. Enough for a household or a small fleet to see every one of theirs.
/// Test: `only_the_busiest_peers_have_their_own_series`.
pub const TOP_PEERS: usize = 20;
/// Everybody else. A peer whose object has this very name is counted in here.
const OTHER: &str = "other";

/// What one peer has used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerUsage {
    /// Name of its object; ours to choose, never the peer's.
    pub name: Arc<str>,
    /// Bytes in this UTC day.
    pub bytes_today: u64,
    /// Grants in this UTC day.
    pub tests_today: u64,
    /// What is left of the day; `None` when unlimited.
    pub bytes_remaining: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Peers {
    per_peer: PerPeer,
    current: Mutex<Vec<PeerUsage>>,
    bytes: IntGaugeVec,
    tests: IntGaugeVec,
    remaining: IntGaugeVec,
}

impl Peers {
    pub(super) fn new(registry: &Registry, per_peer: PerPeer) -> Self {
        let vec = |name, help| add(registry, IntGaugeVec::new(opts(name, help), &["peer"]));
        Self {
            per_peer,
            current: Mutex::new(Vec::new()),
            bytes: vec("peer_bytes_today", "Payload bytes of a peer in this UTC day."),
            tests: vec("peer_tests_today", "Tests granted to a peer in this UTC day."),
            remaining: vec(
                "peer_bytes_remaining",
                "Bytes a peer may still move in this UTC day; absent: unlimited.",
            ),
        }
    }

    pub(super) fn replace(&self, usage: Vec<PeerUsage>) {
        if self.per_peer == PerPeer::Shown {
            *self.current.lock().unwrap_or_else(PoisonError::into_inner) = busiest(usage);
        }
    }

    /// Runs `gather` while the series show exactly the current peers; two scrapes at once must not see half of it.
    pub(super) fn with_current<T>(&self, gather: impl FnOnce() -> T) -> T {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        [&self.bytes, &self.tests, &self.remaining].into_iter().for_each(IntGaugeVec::reset);
        for peer in current.iter() {
            self.bytes.with_label_values(&[&*peer.name]).set(saturated(peer.bytes_today));
            self.tests.with_label_values(&[&*peer.name]).set(saturated(peer.tests_today));
            if let Some(remaining) = peer.bytes_remaining {
                self.remaining.with_label_values(&[&*peer.name]).set(saturated(remaining));
            }
        }
        gather()
    }
}

fn saturated(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The busiest by bytes, and the sum of the others.
fn busiest(mut usage: Vec<PeerUsage>) -> Vec<PeerUsage> {
    usage.sort_by(|a, b| b.bytes_today.cmp(&a.bytes_today).then_with(|| a.name.cmp(&b.name)));
    let (mut top, mut others): (Vec<_>, Vec<_>) = usage.into_iter().partition(|peer| &*peer.name != OTHER);
    others.extend(top.split_off(top.len().min(TOP_PEERS)));
    let other = others.into_iter().reduce(|sum, peer| PeerUsage {
        name: OTHER.into(),
        bytes_today: sum.bytes_today.saturating_add(peer.bytes_today),
        tests_today: sum.tests_today.saturating_add(peer.tests_today),
        bytes_remaining: match (sum.bytes_remaining, peer.bytes_remaining) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            (one, other) => one.or(other),
        },
    });
    top.extend(other.map(|other| PeerUsage { name: OTHER.into(), ..other }));
    top
}
