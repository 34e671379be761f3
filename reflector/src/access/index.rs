//! The policy index: objects in, one verdict per Endpoint ID out. Pure and synchronous.
//!
//! The state after any order of `apply`, `delete` and `reset` depends only on the objects that are left, so a missed or
//! repeated event cannot widen anything. What changed is returned as data; [`super::handle`] tells the connections. One
//! piece, because an event and the verdicts that follow from it must not be able to drift apart.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crds::EndpointId;
use crds::peer::{Seniority, ValidPeer};
use jiff::Timestamp;

use crate::clock::Now;

use super::effective::ReflectorPolicy;
use super::object::{Key, Object};
use super::policy::{Refusal, Verdict};
use super::source::Source;

/// Whose verdict may have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// The state of the source changed: ask again for everyone.
    Everyone,
    /// These, and nobody else.
    These(BTreeSet<EndpointId>),
}

impl Changed {
    /// Whether nobody is meant.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::These(ids) if ids.is_empty())
    }
}

/// The moment something changes by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextChange {
    /// A peer expires, wall clock.
    pub expiry: Option<Timestamp>,
    /// The grace of an absent source ends, milliseconds since boot.
    pub grace_end_ms: Option<u64>,
}

/// Objects, and what follows from them.
#[derive(Debug)]
pub struct Index {
    objects: BTreeMap<Key, Arc<Object>>,
    /// Who speaks for an ID; the first one decides.
    claims: HashMap<EndpointId, BTreeSet<Seniority<Key>>>,
    configured: BTreeSet<EndpointId>,
    reflector: ReflectorPolicy,
    verdicts: HashMap<EndpointId, Verdict>,
    expiries: BTreeSet<(Timestamp, EndpointId)>,
    source: Source,
    offline_grace: Duration,
    /// Latest wall clock seen: a clock set back revives nobody.
    wall: Timestamp,
    foreign: u32,
}

impl Index {
    /// An index that has loaded nothing yet and therefore refuses everyone.
    pub fn new(
        reflector: ReflectorPolicy,
        configured: impl IntoIterator<Item = EndpointId>,
        offline_grace: Duration,
    ) -> Self {
        let mut index = Self {
            objects: BTreeMap::new(),
            claims: HashMap::new(),
            configured: configured.into_iter().collect(),
            reflector,
            verdicts: HashMap::new(),
            expiries: BTreeSet::new(),
            source: Source::NeverLoaded { why: None },
            offline_grace,
            wall: Timestamp::MIN,
            foreign: 0,
        };
        index.refresh(index.configured.clone());
        index
    }

    /// One object is new or different.
    pub fn apply(&mut self, key: &Key, object: &Arc<Object>) -> Changed {
        let mut touched = BTreeSet::new();
        self.put(key, Some(object), &mut touched);
        self.refresh(touched)
    }

    /// One object is gone.
    pub fn delete(&mut self, key: &Key) -> Changed {
        let mut touched = BTreeSet::new();
        self.put(key, None, &mut touched);
        self.refresh(touched)
    }

    /// These are all objects there are: what is not among them is gone. Makes the policy current. `foreign` counts
    /// objects of other reflectors the feeder left out.
    pub fn reset(&mut self, all: Vec<(Key, Arc<Object>)>, foreign: u32) -> Changed {
        let mut touched = BTreeSet::new();
        let keep: BTreeSet<&Key> = all.iter().map(|(key, _)| key).collect();
        let gone: Vec<Key> = self.objects.keys().filter(|key| !keep.contains(key)).cloned().collect();
        for key in gone {
            self.put(&key, None, &mut touched);
        }
        for (key, object) in all {
            let same = |known: &Arc<Object>| Arc::ptr_eq(known, &object) || **known == *object;
            if !self.objects.get(&key).is_some_and(same) {
                self.put(&key, Some(&object), &mut touched);
            }
        }
        self.foreign = foreign;
        let changed = self.refresh(touched);
        if self.source == Source::Current {
            return changed;
        }
        self.source = Source::Current;
        Changed::Everyone
    }

    /// These are the objects that were accepted last, from a disk: their source has been away for `spent` already.
    pub fn restore(
        &mut self,
        all: Vec<(Key, Arc<Object>)>,
        now: Now,
        spent: Duration,
        why: String,
    ) -> Changed {
        // Whoever asks between the two would be told that they are current; nobody can.
        self.reset(all, 0);
        self.source = Source::Stale { since_mono_ms: now.mono_ms, spent, why };
        Changed::Everyone
    }

    /// How long the last policy holds from now on. An absence that lasts counts from its beginning.
    pub fn set_offline_grace(&mut self, grace: Duration) {
        self.offline_grace = grace;
    }

    /// How long the last policy holds.
    pub fn offline_grace(&self) -> Duration {
        self.offline_grace
    }

    /// The reflector's own policy changed.
    pub fn set_reflector(&mut self, reflector: ReflectorPolicy) -> Changed {
        if self.reflector == reflector {
            return Changed::These(BTreeSet::new());
        }
        self.reflector = reflector;
        self.refresh(self.verdicts.keys().copied().collect())
    }

    /// The feeder lost its source. The last policy holds for the grace.
    pub fn source_away(&mut self, now: Now, why: String) -> Changed {
        self.set_source(self.source.away(now.mono_ms, why))
    }

    /// Time passes: expiries and the end of the grace. `now.wall` is the later of the wall clock and the ledger's.
    pub fn tick(&mut self, now: Now) -> Changed {
        self.wall = self.wall.max(now.wall);
        let due: BTreeSet<EndpointId> =
            self.expiries.iter().take_while(|(at, _)| *at <= self.wall).map(|(_, id)| *id).collect();
        let expired = self.refresh(due);
        match self.set_source(self.source.tick(now.mono_ms, self.offline_grace)) {
            Changed::Everyone => Changed::Everyone,
            Changed::These(_) => expired,
        }
    }

    /// When [`Index::tick`] would do something next.
    pub fn next_change(&self) -> NextChange {
        NextChange {
            expiry: self.expiries.first().map(|(at, _)| *at),
            grace_end_ms: self.source.ends_at(self.offline_grace),
        }
    }

    /// What holds for an ID.
    pub fn verdict(&self, id: &EndpointId) -> Verdict {
        self.while_in_force(|| self.verdicts.get(id).cloned().unwrap_or(Verdict::Refused(Refusal::Unknown)))
    }

    /// What holds for the reflector's own attempt at itself. No ID has it: whoever asks for it has seen the key.
    pub fn rehearsal(&self) -> Verdict {
        self.while_in_force(|| Verdict::Allowed(Arc::new(self.reflector.for_rehearsal())))
    }

    /// Without a policy in force nobody is known, whoever it is.
    fn while_in_force(&self, verdict: impl FnOnce() -> Verdict) -> Verdict {
        match self.source {
            Source::NeverLoaded { .. } => Verdict::Refused(Refusal::NeverLoaded),
            Source::GraceOver { .. } => Verdict::Refused(Refusal::GraceOver),
            Source::Current | Source::Stale { .. } => verdict(),
        }
    }

    /// How fresh the policy is.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Objects of other reflectors.
    pub fn foreign(&self) -> u32 {
        self.foreign
    }

    /// Every object, in the order of keys.
    pub fn objects(&self) -> impl Iterator<Item = (&Key, &Object)> {
        self.objects.iter().map(|(key, object)| (key, &**object))
    }

    /// IDs that only the configuration file names.
    pub fn configured(&self) -> impl Iterator<Item = &EndpointId> {
        self.configured.iter().filter(|id| !self.claims.contains_key(id))
    }

    /// The object that decides about an ID.
    pub fn winner(&self, id: &EndpointId) -> Option<(&Key, &Object)> {
        let key = &self.claims.get(id)?.first()?.key;
        self.objects.get_key_value(key).map(|(key, object)| (key, &**object))
    }

    /// Whether a peer has expired, by the latest clock seen.
    pub fn has_expired(&self, peer: &ValidPeer) -> bool {
        peer.expires_at.is_some_and(|at| at <= self.wall)
    }

    fn set_source(&mut self, source: Source) -> Changed {
        let same_state = source.as_str() == self.source.as_str();
        self.source = source;
        if same_state { Changed::These(BTreeSet::new()) } else { Changed::Everyone }
    }

    fn put(&mut self, key: &Key, object: Option<&Arc<Object>>, touched: &mut BTreeSet<EndpointId>) {
        let old = match object {
            Some(new) => self.objects.insert(key.clone(), Arc::clone(new)),
            None => self.objects.remove(key),
        };
        for id in old.iter().flat_map(|old| old.claims()) {
            let created = old.as_ref().and_then(|old| old.created);
            if let Some(claimants) = self.claims.get_mut(id) {
                claimants.remove(&Seniority { created, key: key.clone() });
                if claimants.is_empty() {
                    self.claims.remove(id);
                }
            }
            touched.insert(*id);
        }
        for id in object.into_iter().flat_map(|new| new.claims()) {
            let created = object.and_then(|new| new.created);
            self.claims.entry(*id).or_default().insert(Seniority { created, key: key.clone() });
            touched.insert(*id);
        }
    }

    /// Decides again about these and says whose verdict is different now.
    fn refresh(&mut self, ids: BTreeSet<EndpointId>) -> Changed {
        let mut changed = BTreeSet::new();
        for id in ids {
            let new = self.decide(&id);
            let old = self.verdicts.get(&id);
            if old == new.as_ref() {
                continue;
            }
            if let Some(at) = old.and_then(expiry) {
                self.expiries.remove(&(at, id));
            }
            if let Some(at) = new.as_ref().and_then(expiry) {
                self.expiries.insert((at, id));
            }
            match new {
                Some(verdict) => self.verdicts.insert(id, verdict),
                None => self.verdicts.remove(&id),
            };
            changed.insert(id);
        }
        Changed::These(changed)
    }

    fn decide(&self, id: &EndpointId) -> Option<Verdict> {
        let Some((_, object)) = self.winner(id) else {
            let known = self.configured.contains(id);
            return known.then(|| Verdict::Allowed(Arc::new(self.reflector.for_configured(id))));
        };
        let name = || object.name().into();
        Some(match &object.peer {
            Err(_) => Verdict::Refused(Refusal::Invalid { peer: name() }),
            Ok(peer) if peer.suspended => Verdict::Refused(Refusal::Suspended { peer: name() }),
            Ok(peer) if self.has_expired(peer) => Verdict::Refused(Refusal::Expired { peer: name() }),
            Ok(peer) => Verdict::Allowed(Arc::new(self.reflector.for_peer(peer))),
        })
    }
}

fn expiry(verdict: &Verdict) -> Option<Timestamp> {
    match verdict {
        Verdict::Allowed(policy) => policy.expires_at,
        Verdict::Refused(_) => None,
    }
}
