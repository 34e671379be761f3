//! What a peer must know of other peers: who has its Endpoint ID, and how many codes wait beside its own. Pure.
//!
//! Kept up to date object by object, because looking at every peer for every peer is what 10 000 of them cannot afford.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use crds::EndpointId;
use crds::peer::{PairingState, ReflectorPeer, ReflectorRef, Seniority, duplicates};
use crds::reasons::PeerReason;
use kube::ResourceExt as _;

use super::decide::MAX_WAITING;
use super::reference::{Reference, full_name};

/// A peer, by namespace and name.
pub(super) type Key = (String, String);

/// All peers, as far as others look at them.
#[derive(Debug, Default)]
pub(super) struct Index {
    peers: BTreeMap<Key, Known>,
    by_id: BTreeMap<(String, EndpointId), BTreeSet<String>>,
    by_reference: BTreeMap<(String, String), BTreeSet<String>>,
    queues: BTreeMap<(String, String), Queue>,
}

/// Those who want a code for one object. Counted, because each of many peers asks for the count.
#[derive(Debug, Default)]
struct Queue {
    waiting: usize,
    outside: BTreeSet<Seniority<String>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    reference: ReflectorRef,
    id: Option<EndpointId>,
    seniority: Seniority<String>,
    place: Place,
}

/// Where it stands in the queue for codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Its code waits.
    Waiting,
    /// It would have one, were there fewer.
    Outside,
    Neither,
}

impl Known {
    fn of(peer: &ReflectorPeer) -> Self {
        let status = peer.status.as_ref();
        let bound = status.and_then(|status| status.endpoint_id.as_deref());
        // An invalid text is nobody's ID; the object that has it is denied by its own name.
        let id = peer.spec.endpoint_id.as_deref().or(bound).and_then(|text| text.parse().ok());
        // Pods deny one that is being deleted, so it takes nobody's ID and nobody's place.
        let is_going = peer.metadata.deletion_timestamp.is_some();
        let id = id.filter(|_| !is_going);
        let state = status.and_then(|status| status.pairing.as_ref()?.state.as_ref());
        let full = status.is_some_and(|status| {
            status.conditions.iter().any(|one| one.reason == PeerReason::TooManyWaiting.as_str())
        });
        let place = match state {
            _ if is_going => Place::Neither,
            Some(PairingState::Waiting) => Place::Waiting,
            _ if full => Place::Outside,
            _ => Place::Neither,
        };
        let created = peer.creation_timestamp().map(|time| time.0);
        let seniority = Seniority { created, key: peer.name_any() };
        Self { reference: peer.spec.reflector_ref.clone(), id, seniority, place }
    }
}

impl Index {
    /// A peer is new or different, or gone. Says which others should look again.
    pub(super) fn update(&mut self, key: &Key, peer: Option<&ReflectorPeer>) -> BTreeSet<Key> {
        let new = peer.map(Known::of);
        let old = self.peers.get(key).cloned();
        if old == new {
            return BTreeSet::new();
        }
        if let Some(old) = &old {
            self.forget(key, old);
        }
        let mut others = BTreeSet::new();
        let (namespace, name) = key;
        if let Some(new) = new {
            if let Some(id) = new.id {
                self.by_id.entry((namespace.clone(), id)).or_default().insert(name.clone());
            }
            let reference = (namespace.clone(), full_name(&new.reference));
            match new.place {
                Place::Waiting => self.queues.entry(reference.clone()).or_default().waiting += 1,
                Place::Outside => {
                    self.queues.entry(reference.clone()).or_default().outside.insert(new.seniority.clone());
                }
                Place::Neither => {}
            }
            self.by_reference.entry(reference).or_default().insert(name.clone());
            others.extend(self.sharing(namespace, new.id));
            self.peers.insert(key.clone(), new);
        }
        if let Some(old) = old {
            others.extend(self.sharing(namespace, old.id));
            let now = self.peers.get(key).map(|known| known.place);
            // One that stood outside and goes may have been told of a place; then the place is the next one's.
            if old.place != Place::Neither && now != Some(Place::Waiting) {
                others.extend(self.next_outside(namespace, &old.reference));
            }
        }
        others.remove(key);
        others
    }

    fn forget(&mut self, key: &Key, old: &Known) {
        let (namespace, name) = key;
        self.peers.remove(key);
        if let Some(id) = old.id {
            drop_from(&mut self.by_id, &(namespace.clone(), id), name);
        }
        let reference = (namespace.clone(), full_name(&old.reference));
        drop_from(&mut self.by_reference, &reference, name);
        if let Entry::Occupied(mut queue) = self.queues.entry(reference) {
            match old.place {
                Place::Waiting => queue.get_mut().waiting = queue.get().waiting.saturating_sub(1),
                Place::Outside => drop(queue.get_mut().outside.remove(&old.seniority)),
                Place::Neither => {}
            }
            if queue.get().waiting == 0 && queue.get().outside.is_empty() {
                queue.remove();
            }
        }
    }

    fn sharing(&self, namespace: &str, id: Option<EndpointId>) -> Vec<Key> {
        let names = id.and_then(|id| self.by_id.get(&(namespace.to_owned(), id)));
        names.into_iter().flatten().map(|name| (namespace.to_owned(), name.clone())).collect()
    }

    /// Whose turn the last free place makes it: the oldest outside, one for each place. Those before it were told when
    /// the places before it became free.
    fn next_outside(&self, namespace: &str, reference: &ReflectorRef) -> Option<Key> {
        let queue = self.queues.get(&(namespace.to_owned(), full_name(reference)))?;
        let free = MAX_WAITING.saturating_sub(queue.waiting);
        let next = queue.outside.iter().take(free).reduce(|_, later| later)?;
        Some((namespace.to_owned(), next.key.clone()))
    }

    /// Peers that name an object, given as `Kind/name`.
    pub(super) fn naming(&self, namespace: &str, reference: &str) -> Vec<Key> {
        let names = self.by_reference.get(&(namespace.to_owned(), reference.to_owned()));
        names.into_iter().flatten().map(|name| (namespace.to_owned(), name.clone())).collect()
    }

    /// Other peers whose codes wait on the same object.
    pub(super) fn waiting_beside(&self, key: &Key, reference: &ReflectorRef) -> usize {
        let object = full_name(reference);
        let known = self.peers.get(key);
        let is_one =
            known.is_some_and(|own| own.place == Place::Waiting && full_name(&own.reference) == object);
        let queue = self.queues.get(&(key.0.clone(), object));
        queue.map_or(0, |queue| queue.waiting).saturating_sub(usize::from(is_one))
    }

    /// The peer that has this one's Endpoint ID and is older, with the first reflector where that counts. `fleets` says
    /// which members a fleet of the namespace has.
    pub(super) fn older(
        &self,
        key: &Key,
        id: EndpointId,
        reflectors: &[String],
        fleets: impl Fn(&str) -> Vec<String>,
    ) -> Option<(String, String)> {
        let namespace = &key.0;
        let rivals: Vec<(&Known, Vec<String>)> = self
            .sharing(namespace, Some(id))
            .iter()
            .filter_map(|rival| self.peers.get(rival))
            .map(|known| match Reference::of(&known.reference) {
                Some(Reference::Fleet(name)) => (known, fleets(name)),
                Some(Reference::Reflector(name)) => (known, vec![name.to_owned()]),
                None => (known, vec![]),
            })
            .collect();
        reflectors.iter().find_map(|reflector| {
            let there = rivals.iter().filter(|(_, names)| names.contains(reflector));
            let lost = duplicates(there.map(|(known, _)| (id, known.seniority.clone())));
            let mine = lost.into_iter().find(|lost| lost.younger == key.1)?;
            Some((mine.older, reflector.clone()))
        })
    }
}

fn drop_from<K: Ord>(map: &mut BTreeMap<K, BTreeSet<String>>, at: &K, name: &str) {
    if let Some(names) = map.get_mut(at) {
        names.remove(name);
        if names.is_empty() {
            map.remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::testing::{id, yaml};

    fn peer(name: &str, second: u32, reference: &str, more: &str) -> ReflectorPeer {
        yaml(&format!(
            "{{ metadata: {{ name: {name}, namespace: homes, creationTimestamp: '2026-01-02T00:00:{second:02}Z' }},
               spec: {{ reflectorRef: {reference} }}, status: {{ {more} }} }}"
        ))
    }

    const ATTIC: &str = "{ kind: Reflector, name: attic }";
    const HOMES: &str = "{ kind: ReflectorFleet, name: homes }";
    const WAITING: &str = "pairing: { state: Waiting }";
    const OUTSIDE: &str = "conditions: [{ type: Ready, status: 'False', reason: TooManyWaiting, message: '', lastTransitionTime: '2026-01-02T00:00:00Z' }]";

    fn key(name: &str) -> Key {
        ("homes".to_owned(), name.to_owned())
    }

    fn put(index: &mut Index, peer: &ReflectorPeer) -> Vec<String> {
        let others = index.update(&key(&peer.name_any()), Some(peer));
        others.into_iter().map(|(_, name)| name).collect()
    }

    fn members(fleet: &str) -> Vec<String> {
        let all: &[&str] = if fleet == "homes" { &["attic", "barn"] } else { &[] };
        all.iter().map(|name| (*name).to_owned()).collect()
    }

    fn older(index: &Index, name: &str, reflectors: &[&str]) -> Option<(String, String)> {
        let reflectors: Vec<String> = reflectors.iter().map(|name| (*name).to_owned()).collect();
        index.older(&key(name), id(1), &reflectors, members)
    }

    fn bound() -> String {
        format!("endpointId: {}", id(1))
    }

    #[test]
    fn the_older_of_two_has_the_id_and_the_younger_looks_again_when_it_goes() {
        let mut index = Index::default();
        put(&mut index, &peer("young", 9, ATTIC, &bound()));
        assert_eq!(older(&index, "young", &["attic"]), None);
        assert_eq!(put(&mut index, &peer("old", 1, ATTIC, &bound())), ["young"]);
        assert_eq!(older(&index, "young", &["attic"]), Some(("old".into(), "attic".into())));
        assert_eq!(older(&index, "old", &["attic"]), None);
        let others = index.update(&key("old"), None);
        assert_eq!(others.into_iter().collect::<Vec<_>>(), [key("young")]);
        assert_eq!(older(&index, "young", &["attic"]), None);
    }

    #[test]
    fn a_fleet_and_its_member_share_their_peers_and_other_reflectors_do_not() {
        let mut index = Index::default();
        put(&mut index, &peer("wide", 5, HOMES, &bound()));
        put(&mut index, &peer("old", 1, ATTIC, &bound()));
        put(&mut index, &peer("young", 9, "{ kind: Reflector, name: barn }", &bound()));
        put(&mut index, &peer("elsewhere", 0, "{ kind: Reflector, name: far }", &bound()));
        assert_eq!(older(&index, "wide", &["attic", "barn"]), Some(("old".into(), "attic".into())));
        assert_eq!(older(&index, "young", &["barn"]), Some(("wide".into(), "barn".into())));
        assert_eq!(older(&index, "old", &["attic"]), None);
        assert_eq!(older(&index, "elsewhere", &["far"]), None);
    }

    #[test]
    fn a_place_that_is_given_up_is_told_to_the_oldest_outside_alone() {
        let mut index = Index::default();
        for number in 0..MAX_WAITING {
            put(&mut index, &peer(&format!("w{number}"), 1, ATTIC, WAITING));
        }
        for (name, second) in [("young", 9), ("old", 3), ("older", 2)] {
            put(&mut index, &peer(name, second, ATTIC, OUTSIDE));
        }
        put(&mut index, &peer("elsewhere", 1, HOMES, OUTSIDE));
        let attic: ReflectorRef = yaml(ATTIC);
        assert_eq!(index.waiting_beside(&key("young"), &attic), MAX_WAITING);
        assert_eq!(index.waiting_beside(&key("w0"), &attic), MAX_WAITING - 1, "its own does not count");
        assert_eq!(put(&mut index, &peer("w0", 1, ATTIC, &bound())), ["older"]);
        assert_eq!(index.waiting_beside(&key("young"), &attic), MAX_WAITING - 1);
        assert_eq!(index.update(&key("w1"), None).into_iter().collect::<Vec<_>>(), [key("old")]);
        let gave_up = index.update(&key("older"), None);
        assert_eq!(gave_up.into_iter().collect::<Vec<_>>(), [key("young")], "its place is the next one's");
        assert!(put(&mut index, &peer("old", 3, ATTIC, WAITING)).is_empty());
    }

    #[test]
    fn a_peer_that_is_being_deleted_has_neither_a_place_nor_its_id() {
        let mut index = Index::default();
        let mut going = peer("old", 1, ATTIC, &format!("{}, {WAITING}", bound()));
        put(&mut index, &going);
        put(&mut index, &peer("young", 9, ATTIC, &bound()));
        going.metadata.deletion_timestamp = going.metadata.creation_timestamp.clone();
        assert_eq!(put(&mut index, &going), ["young"]);
        assert_eq!(older(&index, "young", &["attic"]), None);
        assert_eq!(index.waiting_beside(&key("young"), &yaml(ATTIC)), 0);
    }

    #[test]
    fn nothing_is_left_of_peers_that_are_gone_and_nobody_is_woken_for_nothing() {
        let mut index = Index::default();
        let one = peer("a", 1, ATTIC, &bound());
        put(&mut index, &one);
        put(&mut index, &peer("b", 2, ATTIC, &bound()));
        put(&mut index, &peer("c", 3, ATTIC, WAITING));
        put(&mut index, &peer("d", 4, ATTIC, OUTSIDE));
        let mut same = one;
        same.metadata.resource_version = Some("9".into());
        assert!(put(&mut index, &same).is_empty());
        for name in ["a", "b", "c", "d"] {
            index.update(&key(name), None);
        }
        assert!(index.peers.is_empty() && index.by_id.is_empty() && index.by_reference.is_empty());
        assert!(index.queues.is_empty());
    }
}
