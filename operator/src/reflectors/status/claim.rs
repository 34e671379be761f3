//! What there is to say about the claim.

use crds::reasons::ReflectorReason as Reason;
use kube::ResourceExt as _;

use super::conditions::Said;
use crate::reflectors::fetch::Found;

pub(super) fn said(found: &Found) -> Said {
    if let Some(node) = found.gone_node.as_ref().filter(|_| is_stuck(found)) {
        let moved = format!(
            "its volume is on {node}, which is not a node any more. A copy of the key is adopted with \
             spec.identity.importSecretRef; a claim is moved by recreating it with the volume's data"
        );
        return Said::not(Reason::NodeGone, moved);
    }
    let Some(claim) = &found.claim else {
        let storage = found.reflector.spec.identity.as_ref().and_then(|identity| identity.storage.as_ref());
        let details = match storage.and_then(|storage| storage.existing_claim.as_deref()) {
            Some(existing) => format!("there is no claim {existing} in this namespace"),
            None => "it is not made yet".to_owned(),
        };
        return Said::not(Reason::ClaimPending, details);
    };
    let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Pending");
    let name = claim.name_any();
    match phase {
        "Bound" if is_older(found, claim.creation_timestamp().map(|time| time.0)) => {
            Said::yes(Reason::IdentityAdopted, format!("claim {name}"))
        }
        "Bound" => Said::yes(Reason::ClaimBound, format!("claim {name}")),
        "Lost" => Said::not(Reason::ClaimLost, format!("claim {name}")),
        _ => Said::not(Reason::ClaimPending, format!("claim {name}")),
    }
}

/// Storage that any node reaches remembers the node of its first pod, too: that node may go, and the pod runs elsewhere.
/// Only a pod that is on no node that exists, and gets none, is held by it.
fn is_stuck(found: &Found) -> bool {
    let Some(pod) = found.pods.first().filter(|_| found.node.is_none()) else { return false };
    let placed = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
    placed || super::pod::scheduled(found).is_false()
}

/// A claim of ours that was there before its Reflector holds the identity of an earlier one.
fn is_older(found: &Found, claim: Option<jiff::Timestamp>) -> bool {
    let ours = found.children.claim.is_some();
    let reflector = found.reflector.creation_timestamp().map(|time| time.0);
    ours && claim.zip(reflector).is_some_and(|(claim, reflector)| claim < reflector)
}
