//! What the operator says about a peer: from findings and a decision to the fields it owns. Pure.
//!
//! `verdicts` answers each condition's question, `usage` adds up what the members of a fleet counted, `said` words it,
//! `notes` picks the events and what is counted.

mod notes;
mod said;
#[cfg(test)]
mod tests;
mod usage;
mod verdicts;

use crds::Problem;
use crds::peer::{LastTest, PairingStatus, ReflectorPeer, Usage, ValidPeer};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde::Serialize;

use super::decide::Decision;
use super::found::Found;
use super::reference::Reference;
use crate::clock::Now;
use crate::conditions;
pub(super) use notes::{notes, steps};
pub(super) use verdicts::{is_over, is_used_up, quota_edge, spread};

/// What we own of the status. Server-side apply takes away what is left out, so this is always all of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OurStatus {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) observed_generation: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) endpoint_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) short_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pairing: Option<PairingStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) paired_at: Option<Time>,
    /// This and the next two only for a fleet; else they are its one pod's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) usage: Option<Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_seen: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_test: Option<LastTest>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) reflectors: Vec<Entry>,
    pub(super) conditions: Vec<Condition>,
}

/// Our part of an entry; the rest is its pod's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Entry {
    pub(super) name: String,
}

/// How far a reconcile came.
pub(super) enum Progress<'a> {
    /// The spec cannot be used.
    Invalid(&'a [Problem]),
    /// What was decided could not be done.
    Failed(&'a ValidPeer, String),
    /// Everything that was decided is done.
    Done(&'a ValidPeer, &'a Decision),
}

/// The first word about an object nobody has said anything about: without conditions it would count as done.
pub(super) fn first(peer: &ReflectorPeer, now: Now) -> OurStatus {
    finish(peer, OurStatus::default(), &verdicts::first(), now)
}

/// The status as it is, with another pairing. Tells nothing: no condition changes.
pub(super) fn with_pairing(peer: &ReflectorPeer, pairing: PairingStatus) -> OurStatus {
    let there = peer.status.clone().unwrap_or_default();
    let is_fleet = matches!(Reference::of(&peer.spec.reflector_ref), Some(Reference::Fleet(_)));
    let sums = Some(there.clone()).filter(|_| is_fleet).unwrap_or_default();
    OurStatus {
        observed_generation: there.observed_generation,
        endpoint_id: there.endpoint_id,
        short_id: there.short_id,
        pairing: Some(pairing).filter(|pairing| *pairing != PairingStatus::default()),
        paired_at: there.paired_at,
        usage: sums.usage,
        last_seen: sums.last_seen,
        last_test: sums.last_test,
        reflectors: there.reflectors.into_iter().map(|entry| Entry { name: entry.name }).collect(),
        conditions: there.conditions.into_iter().filter(|one| said::is_ours(&one.type_)).collect(),
    }
}

/// The status to write.
pub(super) fn status(found: &Found, progress: &Progress<'_>, now: Now) -> OurStatus {
    let peer = &*found.peer;
    let there = peer.status.clone().unwrap_or_default();
    let verdicts = verdicts::verdicts(found, progress, now);
    let mut ours = match progress {
        Progress::Done(_, decision) => OurStatus {
            endpoint_id: decision.endpoint_id.map(|id| id.to_string()),
            short_id: decision.endpoint_id.map(|id| id.short()),
            pairing: decision.pairing.clone(),
            paired_at: decision.paired_at.clone(),
            ..OurStatus::default()
        },
        // What was granted stays; whether it holds is said in the conditions, and decided by each pod.
        Progress::Invalid(_) | Progress::Failed(..) => OurStatus {
            endpoint_id: there.endpoint_id,
            short_id: there.short_id,
            pairing: there.pairing,
            paired_at: there.paired_at,
            ..OurStatus::default()
        },
    };
    ours.reflectors = found.names().into_iter().map(|name| Entry { name: name.to_owned() }).collect();
    if found.named.as_ref().is_some_and(|named| named.is_fleet) {
        let members = there.reflectors.iter().filter(|entry| found.names().contains(&entry.name.as_str()));
        let sum = usage::sum(members);
        (ours.usage, ours.last_seen, ours.last_test) = (sum.usage, sum.last_seen, sum.last_test);
    }
    finish(peer, ours, &verdicts, now)
}

fn finish(peer: &ReflectorPeer, ours: OurStatus, verdicts: &verdicts::Verdicts, now: Now) -> OurStatus {
    let before = peer.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let generation = peer.metadata.generation;
    OurStatus {
        observed_generation: generation,
        conditions: said::render(verdicts, before, generation, now),
        ..ours
    }
}

impl OurStatus {
    pub(super) fn condition(&self, type_: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.type_ == type_)
    }

    /// Whether a status says just this already.
    pub(super) fn is_in(&self, peer: &ReflectorPeer, is_fleet: bool) -> bool {
        let Some(there) = &peer.status else { return false };
        let ours = there.conditions.iter().filter(|condition| said::is_ours(&condition.type_));
        let mut names: Vec<&str> = there.reflectors.iter().map(|entry| entry.name.as_str()).collect();
        let mut wanted: Vec<&str> = self.reflectors.iter().map(|entry| entry.name.as_str()).collect();
        names.sort_unstable();
        wanted.sort_unstable();
        let sums = !is_fleet
            || (&self.usage, &self.last_seen, &self.last_test)
                == (&there.usage, &there.last_seen, &there.last_test);
        self.observed_generation == there.observed_generation
            && self.endpoint_id == there.endpoint_id
            && self.short_id == there.short_id
            && self.pairing == there.pairing
            && self.paired_at == there.paired_at
            && sums
            && names == wanted
            && conditions::same(ours, &self.conditions)
    }
}
