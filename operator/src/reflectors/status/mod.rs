//! The operator's part of a Reflector's status. Pure: from what was found, what was planned and what came of it, also
//! when a step failed.
//!
//! `pod` reads Kubernetes' words about the pod, `claim` those about the claim, `reported` the pod's own; here they are
//! asked in order, and the first that has something to say is the reason why it is not Ready.

mod addresses;
mod claim;
mod conditions;
mod pod;
mod reported;
#[cfg(test)]
mod tests;

use crds::reasons::ReflectorReason as Reason;
use crds::reflector::{PeerCounts, Reflector};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::Serialize;

use super::fetch::Found;
use super::validate::{Plan, Refusal};
use crate::clock::Now;
use conditions::{Said, Verdicts};

/// What we own of the status. Server-side apply takes away what is left out, so this is always all of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OurStatus {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) observed_generation: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) node: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) addresses: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) peers: Option<PeerCounts>,
    pub(super) conditions: Vec<Condition>,
}

impl OurStatus {
    /// The condition people look at.
    pub(super) fn ready(&self) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.type_ == "Ready")
    }

    /// Whether a status says just this already.
    pub(super) fn is_in(&self, reflector: &Reflector) -> bool {
        self.differs_in_counts_at_most(reflector)
            && reflector.status.as_ref().is_some_and(|there| self.peers == there.peers)
    }

    /// Whether nothing but the number of peers would be news.
    pub(super) fn differs_in_counts_at_most(&self, reflector: &Reflector) -> bool {
        let Some(there) = &reflector.status else { return false };
        let ours = there.conditions.iter().filter(|condition| conditions::is_ours(&condition.type_));
        self.observed_generation == there.observed_generation
            && self.node == there.node
            && self.addresses == there.addresses
            && crate::conditions::same(ours, &self.conditions)
    }
}

/// How far a reconcile came.
pub(super) enum Progress<'a> {
    /// The spec cannot be done.
    Refused(&'a Refusal),
    /// Something could not be read or written.
    Failed(&'a Plan, String),
    /// All children are applied.
    Applied(&'a Plan),
}

/// The first word about an object nobody has said anything about: without conditions it would count as done.
pub(super) fn first(reflector: &Reflector, now: Now) -> OurStatus {
    let verdicts = Verdicts {
        ready: Said::unknown(Reason::Progressing, ""),
        scheduled: None,
        identity: None,
        stalled: false,
        reconciling: true,
    };
    finish(reflector, OurStatus::default(), verdicts, now)
}

/// The status to write.
pub(super) fn status(found: &Found, progress: &Progress<'_>, now: Now) -> OurStatus {
    let pod = found.pods.first().map(AsRef::as_ref);
    let identity = claim::said(found);
    let scheduled = pod::scheduled(found);
    let node = pod.and_then(|pod| pod.spec.as_ref()?.node_name.clone());
    let plan = match progress {
        Progress::Refused(_) => None,
        Progress::Failed(plan, _) | Progress::Applied(plan) => Some(*plan),
    };
    let before = found.reflector.status.as_ref().map(|status| status.addresses.clone());
    let addresses = match plan {
        Some(plan) => addresses::of(found, plan),
        None => before.unwrap_or_default(),
    };
    let (ready, stalled) = match progress {
        Progress::Refused(refusal) => (Said::not(refusal.reason, &refusal.message), true),
        Progress::Failed(_, words) => (Said::not(Reason::ApplyFailed, words), false),
        Progress::Applied(plan) => {
            let ready = ready(found, plan, &scheduled, &identity);
            // The pod cannot know: it reaches itself.
            let nowhere = ready.reason == Reason::Serving && !plan.network.on_host && addresses.is_empty();
            (if nowhere { Said::not(Reason::NoAddress, "") } else { ready }, false)
        }
    };
    let reconciling = !stalled && conditions::passes_by_itself(ready.reason);
    let verdicts =
        Verdicts { ready, scheduled: Some(scheduled), identity: Some(identity), stalled, reconciling };
    let known = OurStatus { node, addresses, peers: Some(found.peers.clone()), ..OurStatus::default() };
    finish(&found.reflector, known, verdicts, now)
}

/// The questions in their order; the first that is not answered with yes is the reason.
fn ready(found: &Found, plan: &Plan, scheduled: &Said, identity: &Said) -> Said {
    // A claim that waits for its first pod is not what holds the pod up.
    let waits_for_pod = identity.reason == Reason::ClaimPending && scheduled.is_false();
    if identity.is_false() && !waits_for_pod {
        return identity.clone();
    }
    if scheduled.is_false() {
        return scheduled.clone();
    }
    if let Some(trouble) = pod::trouble(found) {
        return trouble;
    }
    reported::said(found, plan)
}

fn finish(reflector: &Reflector, known: OurStatus, verdicts: Verdicts, now: Now) -> OurStatus {
    let before = reflector.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let generation = reflector.metadata.generation;
    OurStatus {
        observed_generation: generation,
        conditions: conditions::render(verdicts, before, generation, now),
        ..known
    }
}
