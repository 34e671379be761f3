//! Follows the policy as a whole: who lost its rights is audited, and the numbers about peers stay true.

use std::collections::HashMap;
use std::sync::Arc;

use crds::EndpointId;
use tokio_util::sync::CancellationToken;

use crate::access::policy::{Refusal, Verdict};
use crate::access::{Access, PeerState};
use crate::audit::{Audit, Event, EventType};
use crate::metrics::{self, Metrics, PolicyState};
use crate::session::Sessions;

use super::pod::Cuts;

type Authorized = HashMap<EndpointId, Arc<str>>;

/// Runs until cancelled; wakes only when the policy changed.
pub(super) async fn run(
    access: Access,
    sessions: Sessions,
    audit: Audit,
    metrics: Metrics,
    cuts: Option<Cuts>,
    cancel: CancellationToken,
) {
    let mut changes = access.changes();
    let mut before = Authorized::new();
    loop {
        changes.mark_unchanged();
        let now = look(&access, &metrics);
        for (id, name) in lost(&before, &now) {
            let refusal = match access.verdict(&id) {
                // Whether somebody still listens to an ID that lost its object is chance: the reason is not.
                Verdict::Refused(Refusal::Unknown) => Refusal::Removed,
                Verdict::Refused(refusal) => refusal,
                // Authorised again meanwhile, by another object.
                Verdict::Allowed(_) => continue,
            };
            // Its connections do so too, unless one is stuck: no test goes on for want of its control connection's attention.
            sessions.stop_peer(&id, refusal.end_reason());
            if let Some(cuts) = &cuts {
                cuts.lost(id, &refusal);
            }
            let reason = refusal.reason();
            audit
                .record(Event {
                    peer_id: Some(id),
                    peer_name: Some(name.to_string()),
                    decision: Some("denied"),
                    reason: Some(reason.as_str()),
                    ..Event::new(EventType::PeerRemoved)
                })
                .await;
        }
        before = now;
        tokio::select! {
            biased;
            () = cancel.cancelled() => return,
            moved = changes.changed() => if moved.is_err() { return },
        }
    }
}

/// Who may connect now; publishes the counts on the way.
fn look(access: &Access, metrics: &Metrics) -> Authorized {
    let peers = access.peers();
    let count = |state: PeerState| peers.iter().filter(|p| p.state == state).count();
    for (state, label) in [
        (PeerState::Authorized, metrics::PeerState::Authorized),
        (PeerState::Suspended, metrics::PeerState::Suspended),
        (PeerState::Expired, metrics::PeerState::Expired),
        (PeerState::Invalid, metrics::PeerState::Invalid),
        (PeerState::Duplicate, metrics::PeerState::Duplicate),
    ] {
        metrics.policy_peers(label, count(state));
    }
    let status = access.status();
    metrics.policy_peers(metrics::PeerState::Foreign, usize::try_from(status.foreign).unwrap_or(usize::MAX));
    metrics.policy_broken_objects(count(PeerState::Invalid) + count(PeerState::Duplicate));
    let state = PolicyState::ALL.iter().find(|state| state.as_str() == status.state);
    metrics.policy_state(state.copied().unwrap_or(PolicyState::NeverLoaded));
    metrics.policy_event();
    peers
        .into_iter()
        .filter(|p| p.state == PeerState::Authorized)
        .filter_map(|p| p.endpoint_id.map(|id| (id, p.name)))
        .collect()
}

fn lost(before: &Authorized, now: &Authorized) -> Vec<(EndpointId, Arc<str>)> {
    before.iter().filter(|(id, _)| !now.contains_key(*id)).map(|(id, name)| (*id, Arc::clone(name))).collect()
}
