//! How many peers each object has that peers can name, for the status of Reflectors.
//!
//! Kept up with the news of peers: ten thousand of them are not looked at for each Reflector that is reconciled. News
//! wait until somebody asks, so an answer is as fresh as the cache. Bounded by the number of peers.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crds::peer::ReflectorKind;
use crds::reflector::PeerCounts;
use crds::{Reflector, ReflectorPeer};
use futures_util::{FutureExt as _, StreamExt as _};
use kube::ResourceExt as _;
use kube::runtime::reflector::ObjectRef;

use super::peers::{self, Standing};
use crate::watches::{Cached, News, Watched};

/// All peers, counted.
pub(super) struct Tally {
    peers: Cached<ReflectorPeer>,
    inner: Mutex<(Counted, News<ReflectorPeer>)>,
}

impl Tally {
    /// Made before anybody is woken by the same news.
    pub(super) fn new(peers: &Watched<ReflectorPeer>) -> Self {
        Self { peers: peers.cache.clone(), inner: Mutex::new((Counted::default(), peers.news())) }
    }

    /// Those of a Reflector: its own, and those of the fleet that made it.
    pub(super) fn of(&self, reflector: &Reflector) -> PeerCounts {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let (counted, news) = &mut *inner;
        while let Some(Some(object)) = news.next().now_or_never() {
            let now = self.peers.get(&ObjectRef::from_obj(&*object));
            let key = (object.namespace().unwrap_or_default(), object.name_any());
            counted.update(key, now.as_ref().and_then(|now| now.0.as_ref().ok()));
        }
        counted.of(reflector)
    }
}

/// Namespace, whether it is a fleet, and name.
type Reference = (String, bool, String);

#[derive(Default)]
struct Counted {
    /// What each peer was counted as, and for whom.
    known: HashMap<(String, String), (Reference, Standing)>,
    counts: HashMap<Reference, PeerCounts>,
}

impl Counted {
    /// The peer of this key as it is now; none, when it is gone or cannot be read.
    fn update(&mut self, key: (String, String), peer: Option<&ReflectorPeer>) {
        let now = peer.and_then(|peer| Some((reference(peer)?, peers::standing(peer)?)));
        let before = match now.clone() {
            Some(now) => self.known.insert(key, now),
            None => self.known.remove(&key),
        };
        if before == now {
            return;
        }
        if let Some((reference, standing)) = before
            && let Some(counts) = self.counts.get_mut(&reference)
        {
            *place(counts, standing) -= 1;
            if *counts == PeerCounts::default() {
                self.counts.remove(&reference);
            }
        }
        if let Some((reference, standing)) = now {
            *place(self.counts.entry(reference).or_default(), standing) += 1;
        }
    }

    fn of(&self, reflector: &Reflector) -> PeerCounts {
        let namespace = reflector.namespace().unwrap_or_default();
        let fleet = peers::fleet(reflector).map(|fleet| (namespace.clone(), true, fleet.name.clone()));
        let own = Some((namespace, false, reflector.name_any()));
        let mut sum = PeerCounts::default();
        for counts in [own, fleet].into_iter().flatten().filter_map(|reference| self.counts.get(&reference)) {
            sum.authorized += counts.authorized;
            sum.pairing += counts.pairing;
            sum.suspended += counts.suspended;
        }
        sum
    }
}

fn reference(peer: &ReflectorPeer) -> Option<Reference> {
    let named = &peer.spec.reflector_ref;
    let is_fleet = match named.kind {
        ReflectorKind::Reflector => false,
        ReflectorKind::ReflectorFleet => true,
        ReflectorKind::Unknown(_) => return None,
    };
    Some((peer.namespace().unwrap_or_default(), is_fleet, named.name.clone()))
}

fn place(counts: &mut PeerCounts, standing: Standing) -> &mut i64 {
    match standing {
        Standing::Authorized => &mut counts.authorized,
        Standing::Pairing => &mut counts.pairing,
        Standing::Suspended => &mut counts.suspended,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reflectors::testing::{reflector, yaml};

    fn peer(reference: &str, rest: &str) -> ReflectorPeer {
        yaml(&format!(
            "{{ metadata: {{ name: p, namespace: homes }}, spec: {{ reflectorRef: {reference}, {rest} }} }}"
        ))
    }

    fn counts(authorized: i64, suspended: i64) -> PeerCounts {
        PeerCounts { authorized, suspended, ..PeerCounts::default() }
    }

    const ATTIC: &str = "{ kind: Reflector, name: attic }";
    const HOMES: &str = "{ kind: ReflectorFleet, name: homes }";

    #[test]
    fn each_peer_counts_once_as_it_is_now_and_where_it_is_now() {
        let mut counted = Counted::default();
        let attic = reflector("{}");
        let mut see = |name: &str, peer: Option<&ReflectorPeer>| {
            counted.update(("homes".into(), name.into()), peer);
            counted.of(&attic)
        };
        let active = peer(ATTIC, "endpointId: PP-X");
        assert_eq!(see("a", Some(&active)), counts(1, 0));
        assert_eq!(see("b", Some(&active)), counts(2, 0));
        assert_eq!(see("b", Some(&active)), counts(2, 0), "said twice");
        assert_eq!(see("b", Some(&peer(ATTIC, "endpointId: PP-X, suspend: true"))), counts(1, 1));
        assert_eq!(see("a", Some(&peer(HOMES, "endpointId: PP-X"))), counts(0, 1), "it names another now");
        assert_eq!(see("b", None), counts(0, 0));
        assert_eq!(see("b", None), counts(0, 0), "gone twice");
        see("a", None);
        assert!(counted.counts.is_empty() && counted.known.is_empty(), "nothing is left behind");
    }

    #[test]
    fn a_member_counts_its_own_peers_and_those_of_its_fleet() {
        let mut counted = Counted::default();
        for (name, reference) in [("own", ATTIC), ("of-the-fleet", HOMES)] {
            counted.update(("homes".into(), name.into()), Some(&peer(reference, "endpointId: PP-X")));
        }
        counted.update(("elsewhere".into(), "own".into()), None);
        let mut member = reflector("{}");
        assert_eq!(counted.of(&member), counts(1, 0));
        member.metadata.owner_references =
            yaml("[{ apiVersion: v1, kind: ReflectorFleet, name: homes, uid: u, controller: true }]");
        assert_eq!(counted.of(&member), counts(2, 0));
    }
}
