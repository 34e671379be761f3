//! How long it took to cut a peer off: from the change reaching us to the last of its sockets closed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crds::EndpointId;

/// Peers whose last revocation is remembered for `peers revoke` and status. Histogram and audit keep all of them.
const REMEMBERED: usize = 1024;

/// One cut.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Revocation {
    /// When the change reached us, boot clock.
    pub since_mono_ms: u64,
    /// Connections closed.
    pub connections: u32,
    /// To the last socket closed.
    pub latency_ms: f64,
}

/// The last cut of each peer.
#[derive(Debug, Default)]
pub struct Revocations {
    last: Mutex<HashMap<EndpointId, Revocation>>,
}

impl Revocations {
    /// One more socket of this peer is closed.
    pub fn record(&self, id: EndpointId, since_mono_ms: u64, latency_ms: f64) {
        let mut last = self.lock();
        if last.len() >= REMEMBERED && !last.contains_key(&id) {
            let oldest = last.iter().min_by_key(|(_, r)| r.since_mono_ms).map(|(id, _)| *id);
            oldest.map(|oldest| last.remove(&oldest));
        }
        let entry = last.entry(id).or_insert(Revocation { since_mono_ms, connections: 0, latency_ms });
        if entry.since_mono_ms == since_mono_ms {
            entry.connections += 1;
            entry.latency_ms = entry.latency_ms.max(latency_ms);
        } else {
            *entry = Revocation { since_mono_ms, connections: 1, latency_ms };
        }
    }

    /// The last cut of this peer, unless it was before `since_mono_ms`: a revocation that met no connection has cut
    /// nothing, whatever the one before it did.
    pub fn of(&self, id: &EndpointId, since_mono_ms: u64) -> Option<Revocation> {
        self.lock().get(id).copied().filter(|cut| cut.since_mono_ms >= since_mono_ms)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<EndpointId, Revocation>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cut_counts_all_its_sockets_and_keeps_the_slowest() {
        let all = Revocations::default();
        let id = EndpointId::from_public_key([1; 32]);
        all.record(id, 100, 3.0);
        all.record(id, 100, 7.0);
        all.record(id, 100, 5.0);
        assert_eq!(all.of(&id, 0), Some(Revocation { since_mono_ms: 100, connections: 3, latency_ms: 7.0 }));
        all.record(id, 200, 1.0);
        assert_eq!(all.of(&id, 0), Some(Revocation { since_mono_ms: 200, connections: 1, latency_ms: 1.0 }));
    }

    #[test]
    fn a_cut_of_an_earlier_revocation_is_not_told_again() {
        let all = Revocations::default();
        let id = EndpointId::from_public_key([1; 32]);
        all.record(id, 100, 3.0);
        assert!(all.of(&id, 100).is_some());
        assert_eq!(all.of(&id, 101), None);
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_goes() {
        let all = Revocations::default();
        for n in 0..REMEMBERED as u64 + 10 {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&n.to_be_bytes());
            all.record(EndpointId::from_public_key(key), n, 1.0);
        }
        assert_eq!(all.lock().len(), REMEMBERED);
        assert_eq!(all.of(&EndpointId::from_public_key([0; 32]), 0), None);
    }
}
