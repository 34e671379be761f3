//! What happened to each peer since the process started, as far as its status shows it. Told by whoever saw it; each
//! word leaves a hint.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crds::EndpointId;
use crds::pairing::CodeKey;
use crds::peer::{Claim, LastTest, Revocation};
use jiff::Timestamp;

use crate::session::SessionRecord;

use super::condition::whole_seconds;
use super::hints::{Hint, Hints};
use super::peer;
use super::schedule::MOST_SUBJECTS;

/// What happened to one peer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Happened {
    /// When it was last connected.
    pub seen: Option<Timestamp>,
    /// From where.
    pub address: Option<IpAddr>,
    /// Its last session.
    pub test: Option<LastTest>,
    /// How it was last shut out.
    pub revocation: Option<Revocation>,
}

/// Remembers. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Witness {
    hints: Hints,
    shared: Arc<Mutex<Memory>>,
}

#[derive(Debug, Default)]
struct Memory {
    peers: HashMap<EndpointId, Happened>,
    /// By the uid of the peer's object: its appliance is not known yet.
    claims: HashMap<Arc<str>, (Claim, CodeKey)>,
}

impl Witness {
    /// Leaves its hints there.
    pub fn new(hints: Hints) -> Self {
        Self { hints, shared: Arc::default() }
    }

    /// Where its hints are.
    pub fn hints(&self) -> &Hints {
        &self.hints
    }

    /// A peer that policy lets in said hello, or left.
    pub fn seen(&self, id: EndpointId, from: IpAddr, at: Timestamp) {
        self.remember(id, |happened| (happened.seen, happened.address) = (Some(at), Some(from)));
    }

    /// A session was granted: numbers move from here on.
    pub fn granted(&self, id: EndpointId) {
        self.hints.leave(Hint::Peer(id));
        self.hints.leave(Hint::Own);
    }

    /// A request was denied.
    pub fn denied(&self, id: EndpointId) {
        self.hints.leave(Hint::Peer(id));
    }

    /// A session ended.
    pub fn ended(&self, record: &SessionRecord, at: Timestamp) {
        let test = peer::last_test(record, at);
        self.remember(record.peer, |happened| happened.test = Some(test));
        self.hints.leave(Hint::Own);
    }

    /// It is shut out: no socket of it is open, and that it is shut out is on disk.
    pub fn shut_out(&self, id: EndpointId, at: Timestamp, latency_ms: f64) {
        let revocation = Revocation { enforced_at: Some(whole_seconds(at)), latency_ms: Some(latency_ms) };
        self.remember(id, |happened| happened.revocation = Some(revocation));
    }

    /// An appliance presented the code of this peer's object, which stands for that key.
    pub fn claimed(&self, uid: &Arc<str>, claim: Claim, key: CodeKey) {
        self.lock().claims.insert(Arc::clone(uid), (claim, key));
        self.hints.leave(Hint::Everything);
    }

    /// What is remembered of an appliance.
    pub fn of(&self, id: &EndpointId) -> Happened {
        self.lock().peers.get(id).cloned().unwrap_or_default()
    }

    /// The claim that is made on a peer's object here, and the key of the code it was made with.
    pub fn claim(&self, uid: &str) -> Option<(Claim, CodeKey)> {
        self.lock().claims.get(uid).cloned()
    }

    /// Only these appliances, and claims on these objects, are still of interest: the rest is forgotten.
    pub fn keep(&self, known: impl Fn(&EndpointId) -> bool, pairs: impl Fn(&str) -> bool) {
        let mut memory = self.lock();
        memory.peers.retain(|id, _| known(id));
        memory.claims.retain(|uid, _| pairs(uid));
    }

    fn remember(&self, id: EndpointId, change: impl FnOnce(&mut Happened)) {
        let mut memory = self.lock();
        // Only authorised peers are told of; who is beyond has no status anyway.
        if memory.peers.len() < MOST_SUBJECTS || memory.peers.contains_key(&id) {
            change(memory.peers.entry(id).or_default());
        }
        drop(memory);
        self.hints.leave(Hint::Peer(id));
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        // Whole values are put in and taken out: a panic leaves none half-written.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::at;
    use super::*;

    fn id(n: u64) -> EndpointId {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&n.to_be_bytes());
        EndpointId::from_public_key(key)
    }

    #[test]
    fn what_happened_is_remembered_and_hinted_at() {
        let hints = Hints::default();
        let witness = Witness::new(hints.clone());
        let address = "192.0.2.7".parse().unwrap();
        witness.seen(id(1), address, at(5));
        witness.shut_out(id(1), at(9), 12.0);
        let happened = witness.of(&id(1));
        assert_eq!((happened.seen, happened.address), (Some(at(5)), Some(address)));
        assert_eq!(happened.revocation.unwrap().latency_ms, Some(12.0));
        assert_eq!(witness.of(&id(2)), Happened::default());
        assert_eq!(hints.take().into_iter().collect::<Vec<_>>(), [Hint::Peer(id(1))]);
        witness.granted(id(2));
        assert_eq!(hints.take().into_iter().collect::<Vec<_>>(), [Hint::Own, Hint::Peer(id(2))]);
    }

    #[test]
    fn memory_is_bounded_and_those_who_went_are_forgotten() {
        let witness = Witness::default();
        for n in 0..MOST_SUBJECTS as u64 + 100 {
            witness.seen(id(n), "192.0.2.7".parse().unwrap(), at(0));
        }
        assert_eq!(witness.lock().peers.len(), MOST_SUBJECTS);
        witness.keep(|known| *known == id(3), |_| true);
        assert_eq!(witness.lock().peers.keys().collect::<Vec<_>>(), [&id(3)]);
    }

    #[test]
    fn a_claim_stands_until_it_is_over() {
        let (witness, uid) = (Witness::default(), Arc::from("uid-1"));
        let code = crds::pairing::Code::parse("abCD2345").unwrap();
        let mut memory = crds::pairing::memory();
        let key = crds::pairing::SecretKey::derive(&code, "uid-attic", &mut memory).unwrap().code_key();
        let claim = Claim { from: Some("192.0.2.7".into()), ..Claim::default() };
        witness.claimed(&uid, claim.clone(), key.clone());
        assert_eq!(witness.claim("uid-1"), Some((claim, key)));
        witness.keep(|_| true, |_| false);
        assert_eq!(witness.claim("uid-1"), None);
    }
}
