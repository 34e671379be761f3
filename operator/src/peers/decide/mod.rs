//! What becomes of a pairing. Pure: the same findings at the same moment give the same decision.
//!
//! `spec.endpointId` ends every pairing. Without it a code is made per round; it waits until a claim proves that an
//! appliance presented it, or until its time is over. Whatever happens, it happens once: a code that was claimed, was
//! withdrawn or is over is never looked at again.

mod claims;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crds::EndpointId;
use crds::peer::{PairingState, PairingStatus, ReflectorPeer, ValidPeer};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::found::{Approval, Found, Named};
use claims::{Claims, claims};

/// Codes that wait on one object at one time; on a member of a fleet as many again that name the fleet. Each wrong code an appliance presents could be any of them, so many make
/// guessing easier; and each is a Secret. Test: `the_sixty_fifth_code_waits_for_a_place`.
pub(super) const MAX_WAITING: usize = 64;

/// What is to be done and said.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Decision {
    pub(super) stage: Stage,
    /// The Endpoint ID in force.
    pub(super) endpoint_id: Option<EndpointId>,
    pub(super) paired_at: Option<Time>,
    /// What `status.pairing` says; when a code is to be made, until it is.
    pub(super) pairing: Option<PairingStatus>,
    /// The Secret that is of no use any more. `pairing` names it until it is removed: a code is over as soon as its key
    /// is out of the status, and that shall not wait for a Secret.
    pub(super) withdraw: Option<String>,
    pub(super) issue: Option<Issue>,
    /// Reflectors that claim without proof.
    pub(super) refused: Vec<String>,
    /// The Endpoint ID that another one has replaced just now.
    pub(super) replaced: Option<EndpointId>,
    /// When to look again.
    pub(super) due: Option<Timestamp>,
}

/// How far a pairing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// `spec.endpointId` names the appliance.
    Declared,
    /// A claim bound it, now or earlier.
    Bound,
    Waiting,
    /// Somebody presented the code and waits for approval; and who.
    Claimed(Option<EndpointId>),
    Expired,
    /// A code is to be made, and there is no place for it; whoever is bound stays so.
    Full,
    /// Nothing is to be paired now: it is shut out, or what it names is not there.
    Idle,
}

/// A code to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Issue {
    pub(super) round: u32,
    pub(super) ttl: Duration,
}

/// Decides. `shut_out`: suspended or expired, so nothing new is let in.
pub(super) fn decide(found: &Found, peer: &ValidPeer, shut_out: bool, now: Timestamp) -> Decision {
    let status = found.peer.status.clone().unwrap_or_default();
    let before = status.pairing.unwrap_or_default();
    let bound = status.endpoint_id.as_deref().and_then(|text| text.parse().ok());
    let current = Current { found, peer, bound, paired_at: status.paired_at, before, now };
    if found.peer.spec.endpoint_id.is_some() {
        return current.declared();
    }
    let state = current.before.state.clone();
    let open = found.named.as_ref().filter(|_| !shut_out);
    match (open, state) {
        (None, Some(PairingState::Waiting)) => current.over(),
        (Some(named), _) if current.wants_code(named) => current.new_code(),
        (Some(named), Some(PairingState::Waiting)) => current.waiting(named),
        (_, Some(PairingState::Claimed)) => current.claimed(),
        (_, Some(PairingState::Expired)) if bound.is_none() => current.stay(Stage::Expired),
        _ => current.stay(if bound.is_some() { Stage::Bound } else { Stage::Idle }),
    }
}

/// What becomes of the pairing of a peer that lets nobody in any more, because it is being deleted or its spec cannot be
/// used. None, when there is nothing to end.
pub(super) fn closed(peer: &ReflectorPeer) -> Option<PairingStatus> {
    let before = peer.status.as_ref()?.pairing.as_ref()?;
    let waits = before.state == Some(PairingState::Waiting);
    waits.then(|| ended(before, PairingState::Expired))
}

/// What is left of a pairing whose code is used or over.
fn ended(before: &PairingStatus, state: PairingState) -> PairingStatus {
    let PairingStatus { round, secret, secret_uid, .. } = before.clone();
    PairingStatus { state: Some(state), round, secret, secret_uid, ..PairingStatus::default() }
}

struct Current<'a> {
    found: &'a Found,
    peer: &'a ValidPeer,
    bound: Option<EndpointId>,
    paired_at: Option<Time>,
    before: PairingStatus,
    now: Timestamp,
}

impl Current<'_> {
    /// Everything as it is.
    fn stay(self, stage: Stage) -> Decision {
        let is_left = self.before.state != Some(PairingState::Waiting);
        let withdraw = self.before.secret.clone().filter(|_| is_left);
        let pairing = Some(self.before).filter(|before| *before != PairingStatus::default());
        Decision {
            stage,
            endpoint_id: self.bound,
            paired_at: self.paired_at,
            pairing,
            withdraw,
            issue: None,
            refused: vec![],
            replaced: None,
            due: None,
        }
    }

    /// The code is used or over, and its Secret goes.
    fn end(self, stage: Stage, pairing: PairingState) -> Decision {
        let pairing = ended(&self.before, pairing);
        Decision { withdraw: pairing.secret.clone(), pairing: Some(pairing), ..self.stay(stage) }
    }

    fn over(self) -> Decision {
        // Whoever was bound before a new code was asked for stays so.
        let stage = if self.bound.is_some() { Stage::Bound } else { Stage::Expired };
        self.end(stage, PairingState::Expired)
    }

    fn declared(self) -> Decision {
        let id = self.peer.endpoint_id;
        let approved = self.before.state == Some(PairingState::Claimed)
            && id.is_some_and(|id| self.before.confirm == Some(id.confirm()));
        let still_bound = self.before.state == Some(PairingState::Bound) && self.bound == id;
        let replaced = self.bound.filter(|bound| id.is_some_and(|id| id != *bound));
        let (paired_at, now) = (self.paired_at.clone(), seconds(self.now));
        let left = ended(&self.before, PairingState::Expired);
        let decision = if approved {
            Decision { paired_at: Some(Time(now)), ..self.end(Stage::Bound, PairingState::Bound) }
        } else if still_bound {
            Decision { paired_at, ..self.stay(Stage::Bound) }
        } else {
            let decision = self.stay(Stage::Declared);
            let withdraw = left.secret.clone();
            let pairing = Some(left).filter(|left| left.secret.is_some());
            Decision { pairing, paired_at: None, withdraw, ..decision }
        };
        Decision { endpoint_id: id, replaced, ..decision }
    }

    fn wants_code(&self, named: &Named) -> bool {
        let round = i64::from(self.peer.pairing_round);
        // Made again under its name, it is another object: its pods derive another key from the code.
        let of_another = self.before.reference_uid.as_ref().is_some_and(|uid| *uid != named.uid);
        let lost = self.before.state == Some(PairingState::Waiting)
            && (self.before.code_key.is_none() || of_another);
        match self.before.round {
            Some(before) => round > before || lost,
            None => self.bound.is_none() || lost,
        }
    }

    fn new_code(self) -> Decision {
        let round = self.peer.pairing_round;
        let issue = Issue { round, ttl: self.peer.pairing_ttl };
        let secret = self.before.secret.clone();
        let mut kept = self.before.clone();
        if kept.state == Some(PairingState::Waiting) {
            kept = ended(&kept, PairingState::Expired);
        }
        let full = self.found.waiting_beside >= MAX_WAITING;
        let stage = if full { Stage::Full } else { Stage::Waiting };
        let pairing = Some(kept).filter(|kept| *kept != PairingStatus::default());
        Decision { pairing, withdraw: secret, issue: (!full).then_some(issue), ..self.stay(stage) }
    }

    fn claimed(self) -> Decision {
        let claimant = self.before.endpoint_id.as_deref().and_then(|text| text.parse().ok());
        self.stay(Stage::Claimed(claimant))
    }

    fn waiting(self, named: &Named) -> Decision {
        let expires = self.before.expires_at.as_ref().map(|time| time.0);
        if expires.is_none_or(|at| at <= self.now) {
            return self.over();
        }
        let Claims { valid, refused } = claims(self.found, named, &self.before, self.bound);
        let Some(id) = valid else {
            let stage = if self.bound.is_some() { Stage::Bound } else { Stage::Waiting };
            return Decision { refused, due: expires, ..self.stay(stage) };
        };
        let now = seconds(self.now);
        match named.approval {
            Approval::Automatic => {
                let replaced = self.bound.filter(|bound| *bound != id);
                let decision = self.end(Stage::Bound, PairingState::Bound);
                Decision { endpoint_id: Some(id), paired_at: Some(Time(now)), refused, replaced, ..decision }
            }
            Approval::Manual => {
                let mut decision = self.end(Stage::Claimed(Some(id)), PairingState::Claimed);
                if let Some(pairing) = &mut decision.pairing {
                    pairing.confirm = Some(id.confirm());
                    // The claim is gone with the pod that made it.
                    pairing.endpoint_id = Some(id.to_string());
                }
                Decision { refused, ..decision }
            }
        }
    }
}

/// Times in objects have whole seconds.
fn seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}
