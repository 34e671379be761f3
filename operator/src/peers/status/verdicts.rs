//! What is true of a peer, question by question; the first that is not answered with yes is why it is not Ready.

use std::time::Duration;

use crds::EndpointId;
use crds::Problem;
use crds::peer::{PairingState, PeerReflectorStatus, ValidPeer};
use crds::reasons::{ConditionType as Type, PeerReason as Reason};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::Progress;
use super::said::{Said, Verdict};
use crate::clock::Now;
use crate::peers::decide::{Decision, Stage};
use crate::peers::found::Found;
use crate::peers::reference::full_name;

/// Names in a message; a fleet may have 64.
const MOST_NAMES: usize = 5;

/// What is said about all of ours.
#[derive(Debug, Clone)]
pub(super) struct Verdicts {
    pub(super) ready: Said,
    pub(super) paired: Verdict,
    pub(super) quota: Verdict,
    pub(super) revoked: Verdict,
    pub(super) reconciling: bool,
    pub(super) stalled: bool,
}

/// Of an object nobody has looked at.
pub(super) fn first() -> Verdicts {
    Verdicts { reconciling: true, ..only(Said::unknown(Reason::Reconciling)) }
}

fn only(ready: Said) -> Verdicts {
    let (paired, quota, revoked) = (Verdict::AsBefore, Verdict::AsBefore, Verdict::AsBefore);
    Verdicts { ready, paired, quota, revoked, reconciling: false, stalled: false }
}

pub(super) fn verdicts(found: &Found, progress: &Progress<'_>, now: Now) -> Verdicts {
    match progress {
        Progress::Invalid(problems) => Verdicts { stalled: true, ..only(invalid(problems)) },
        Progress::Failed(peer, words) => {
            let ready = match peer.endpoint_id {
                // Somebody who is let in already stays so while a new code cannot be made.
                Some(id) => ready_with(found, peer, id, now),
                None => Said::not(Reason::ApplyFailed, words),
            };
            only(ready)
        }
        Progress::Done(peer, decision) => done(found, peer, decision, now),
    }
}

fn invalid(problems: &[Problem]) -> Said {
    let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let about_id = problems.iter().all(|problem| problem.path == "spec.endpointId");
    Said::not(if about_id { Reason::InvalidEndpointId } else { Reason::InvalidSpec }, all.join("; "))
}

fn done(found: &Found, peer: &ValidPeer, decision: &Decision, now: Now) -> Verdicts {
    let paired = paired(found, decision);
    let ready = match decision.endpoint_id {
        Some(id) => ready_with(found, peer, id, now),
        None => denied(found, peer, now).unwrap_or_else(|| paired.clone()),
    };
    let quota = match decision.endpoint_id {
        Some(_) => Verdict::Now(quota(found, now)),
        None => Verdict::Nothing,
    };
    let revoked = Verdict::Now(revoked(found, peer, decision, now));
    Verdicts { paired: Verdict::Now(paired), quota, revoked, ..only(ready) }
}

/// Whether a peer has expired.
pub(in crate::peers) fn is_over(peer: &ValidPeer, now: Timestamp) -> bool {
    peer.expires_at.is_some_and(|at| at <= now)
}

/// What keeps a peer out whoever it is.
fn denied(found: &Found, peer: &ValidPeer, now: Now) -> Option<Said> {
    if peer.suspended {
        return Some(Said::not(Reason::Suspended, ""));
    }
    if is_over(peer, now.wall) {
        return Some(Said::not(Reason::Expired, ""));
    }
    if found.named.is_none() {
        return Some(Said::not(Reason::ReflectorNotFound, full_name(&found.peer.spec.reflector_ref)));
    }
    None
}

fn ready_with(found: &Found, peer: &ValidPeer, id: EndpointId, now: Now) -> Said {
    if let Some(denied) = denied(found, peer, now) {
        return denied;
    }
    if let Some((older, reflector)) = &found.older {
        return Said::not(Reason::Duplicate, format!("ReflectorPeer {older} has it on {reflector}"));
    }
    if found.names().is_empty() {
        return Said::not(Reason::NoMembers, full_name(&found.peer.spec.reflector_ref));
    }
    let id = id.to_string();
    let missing = missing(found, |entry| {
        entry.loaded_generation == found.peer.metadata.generation
            && entry.loaded_endpoint_id.as_deref() == Some(id.as_str())
    });
    match missing.as_slice() {
        [] => Said::yes(Reason::Authorized, ""),
        some => Said::not(Reason::NotLoaded, listed(some)),
    }
}

fn paired(found: &Found, decision: &Decision) -> Said {
    if let Some(id) = decision.endpoint_id {
        let reason = match decision.stage {
            Stage::Declared => Reason::Declared,
            // By this reason it is found, and told of a place.
            Stage::Full => Reason::TooManyWaiting,
            _ => Reason::Bound,
        };
        let again = decision.pairing.as_ref().and_then(|pairing| pairing.state.as_ref());
        let details = match again {
            Some(PairingState::Waiting) => format!("{}. A new code waits: {}", id.short(), waiting(decision)),
            _ => id.short(),
        };
        return Said::yes(reason, details);
    }
    match decision.stage {
        Stage::Waiting => Said::not(Reason::Waiting, waiting(decision)),
        Stage::Claimed(id) => Said::not(Reason::Claimed, claimed(decision, id)),
        Stage::Expired => Said::not(Reason::PairingExpired, ""),
        Stage::Full => Said::not(Reason::TooManyWaiting, full_name(&found.peer.spec.reflector_ref)),
        Stage::Idle | Stage::Declared | Stage::Bound => Said::not(Reason::PairingRequired, ""),
    }
}

fn waiting(decision: &Decision) -> String {
    let pairing = decision.pairing.clone().unwrap_or_default();
    let until = pairing.expires_at.map(|time| time.0.to_string()).unwrap_or_default();
    let place = format!("Secret {} has it until {until}", pairing.secret.unwrap_or_default());
    match decision.refused.as_slice() {
        [] => place,
        some => {
            let names: Vec<&str> = some.iter().map(String::as_str).collect();
            format!("{place}; a claim without proof came from {}", listed(&names))
        }
    }
}

fn claimed(decision: &Decision, id: Option<EndpointId>) -> String {
    let confirm = decision.pairing.as_ref().and_then(|pairing| pairing.confirm.clone()).unwrap_or_default();
    match id {
        Some(id) => format!("Confirm code {confirm}; approving means spec.endpointId: {id}"),
        None => format!("Confirm code {confirm}"),
    }
}

fn revoked(found: &Found, peer: &ValidPeer, decision: &Decision, now: Now) -> Said {
    let shut_out = match (peer.suspended, is_over(peer, now.wall)) {
        (true, _) => Some(Reason::Suspended),
        (false, true) => Some(Reason::Expired),
        (false, false) => None,
    };
    if let Some(reason) = shut_out {
        let missing = missing(found, |entry| entry.loaded_generation == found.peer.metadata.generation);
        return match missing.as_slice() {
            [] => Said::yes(reason, ""),
            some => Said::not(Reason::NotLoaded, listed(some)),
        };
    }
    if let Some(old) = decision.replaced {
        return Said::not(Reason::EndpointIdChanged, format!("{} is shut out", old.short()));
    }
    let conditions = found.peer.status.iter().flat_map(|status| &status.conditions);
    let mut before = conditions.filter(|condition| condition.type_ == Type::Revoked.as_str());
    let changed = before.find(|before| before.reason == Reason::EndpointIdChanged.as_str());
    match changed {
        // It was said once; that it was so stays true.
        Some(before) => {
            let explanation = Reason::EndpointIdChanged.explanation();
            let details = before.message.strip_prefix(explanation).unwrap_or_default().trim();
            Said::not(Reason::EndpointIdChanged, details)
        }
        None => Said::not(Reason::NotRevoked, ""),
    }
}

fn quota(found: &Found, now: Now) -> Said {
    if is_used_up(found, now.wall) {
        return Said::not(Reason::BytesUsedUp, listed(&found.names()));
    }
    Said::yes(Reason::QuotaLeft, "")
}

/// Used up when nothing is left on any reflector. What was counted on another day says nothing about this one.
pub(in crate::peers) fn is_used_up(found: &Found, now: Timestamp) -> bool {
    let today = day(now).to_string();
    let empty = |entry: &PeerReflectorStatus| {
        let usage = entry.usage.as_ref();
        usage.is_some_and(|usage| {
            usage.day.as_deref() == Some(today.as_str())
                && usage.bytes_remaining.is_some_and(|left| left <= 0)
        })
    };
    !found.names().is_empty() && missing(found, empty).is_empty()
}

/// When used-up bytes come back.
pub(in crate::peers) fn quota_edge(now: Timestamp) -> Option<Timestamp> {
    let next = day(now).tomorrow().ok()?.to_zoned(TimeZone::UTC).ok()?;
    Some(next.timestamp())
}

fn day(now: Timestamp) -> Date {
    now.to_zoned(TimeZone::UTC).date()
}

/// Reflectors it names whose entry is not there or not as it should be.
fn missing(found: &Found, is_so: impl Fn(&PeerReflectorStatus) -> bool) -> Vec<&str> {
    let entries = found.peer.status.as_ref().map_or(&[][..], |status| &status.reflectors);
    let good = |name: &str| entries.iter().any(|entry| entry.name == name && is_so(entry));
    found.names().into_iter().filter(|name| !good(name)).collect()
}

fn listed(names: &[&str]) -> String {
    let shown = names.iter().take(MOST_NAMES).copied().collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(MOST_NAMES) {
        Some(more) if more > 0 => format!("{shown} and {more} more"),
        _ => shown,
    }
}

/// Up to five minutes, another one for each peer: what many wait for at one moment is not written in one moment.
pub(in crate::peers) fn spread(uid: &str) -> Duration {
    let sum = uid.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    Duration::from_secs(u64::from(sum % 300))
}
