//! Which changes are told as events, and which are counted. Pure.

use crds::peer::{PairingState, PairingStatus};
use crds::reasons::PeerReason as Reason;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::OurStatus;
use crate::metrics::Pairing;
use crate::writing::{Note, Severity, transition};

/// Steps of a pairing that goes well, and what passes by itself, are no warnings.
const EXPECTED: [Reason; 4] =
    [Reason::Waiting, Reason::Claimed, Reason::Suspended, Reason::EndpointIdChanged];
/// Not told: nothing has changed for anybody, it passes by itself within seconds, or `Ready` has the better reason.
const UNTOLD: [Reason; 4] =
    [Reason::NotRevoked, Reason::NotLoaded, Reason::Reconciling, Reason::PairingRequired];

/// The steps a pairing takes from one status to another, to be counted.
pub(in crate::peers) fn steps(
    before: Option<&PairingStatus>,
    after: &OurStatus,
    notes: &[Note],
) -> Vec<Pairing> {
    let at = |pairing: Option<&PairingStatus>| pairing.map(|one| (one.state.clone(), one.round));
    let step = match after.pairing.as_ref().and_then(|pairing| pairing.state.as_ref()) {
        _ if at(before) == at(after.pairing.as_ref()) => None,
        Some(PairingState::Waiting) => Some(Pairing::Waiting),
        Some(PairingState::Claimed) => Some(Pairing::Claimed),
        Some(PairingState::Bound) => Some(Pairing::Bound),
        Some(PairingState::Expired) => Some(Pairing::Expired),
        Some(PairingState::Unknown(_)) | None => None,
    };
    let refused = notes.iter().any(|note| note.reason == Reason::ClaimRefused.as_str());
    step.into_iter().chain(refused.then_some(Pairing::Refused)).collect()
}

/// What to tell when conditions go from `before` to `after`: each reason once. `refused`: reflectors that claim without
/// proof, told when that is news.
pub(in crate::peers) fn notes(before: &[Condition], after: &OurStatus, refused: &[String]) -> Vec<Note> {
    let old = |type_: &str| before.iter().find(|condition| condition.type_ == type_);
    let mut notes: Vec<Note> = Vec::new();
    for type_ in ["Paired", "Ready", "QuotaAvailable", "Revoked"] {
        let Some(new) = after.condition(type_) else { continue };
        // That there is quota is news only when there was none.
        if type_ == "QuotaAvailable"
            && new.status == "True"
            && old(type_).is_none_or(|old| old.status == "True")
        {
            continue;
        }
        let Some(mut note) = transition(old(type_), new) else { continue };
        let reason = note.reason.parse::<Reason>();
        if reason.is_ok_and(|reason| UNTOLD.contains(&reason))
            || notes.iter().any(|told| told.reason == note.reason)
        {
            continue;
        }
        if reason.is_ok_and(|reason| EXPECTED.contains(&reason)) {
            note.severity = Severity::Normal;
        }
        notes.push(note);
    }
    let words = |condition: Option<&Condition>| condition.map(|condition| condition.message.clone());
    if !refused.is_empty() && words(old("Paired")) != words(after.condition("Paired")) {
        notes.push(Note {
            severity: Severity::Warning,
            reason: Reason::ClaimRefused.as_str().to_owned(),
            text: format!("{} It came from {}.", Reason::ClaimRefused.explanation(), refused.join(", ")),
        });
    }
    notes
}
