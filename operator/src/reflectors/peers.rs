//! What a peer counts as, and for which Reflectors. Pure.
//!
//! From what each peer says of itself; a peer that is denied (a duplicate, an invalid one) counts nowhere.

use crds::peer::{PairingState, ReflectorKind};
use crds::reasons::PeerReason as Reason;
use crds::{Reflector, ReflectorFleet, ReflectorPeer};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource as _, ResourceExt as _};

/// What one peer counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Authorized,
    Pairing,
    Suspended,
}

/// What a peer counts as; nothing, when it is denied for another reason.
pub(super) fn standing(peer: &ReflectorPeer) -> Option<Standing> {
    let status = peer.status.clone().unwrap_or_default();
    let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
    let reason = ready.and_then(|ready| ready.reason.parse().ok());
    if peer.spec.suspend == Some(true) || matches!(reason, Some(Reason::Suspended | Reason::Expired)) {
        return Some(Standing::Suspended);
    }
    if matches!(reason, Some(Reason::Duplicate | Reason::InvalidSpec | Reason::InvalidEndpointId)) {
        return None;
    }
    if peer.spec.endpoint_id.is_some() || status.endpoint_id.is_some() {
        return Some(Standing::Authorized);
    }
    match status.pairing.and_then(|pairing| pairing.state) {
        Some(PairingState::Waiting | PairingState::Claimed) => Some(Standing::Pairing),
        _ => None,
    }
}

/// The fleet that made a Reflector.
pub(super) fn fleet(reflector: &Reflector) -> Option<&OwnerReference> {
    let mut owners = reflector.owner_references().iter();
    owners.find(|owner| owner.kind == ReflectorFleet::kind(&()) && owner.controller == Some(true))
}

/// Whether a peer names this Reflector or the fleet that made it.
pub(super) fn names(peer: &ReflectorPeer, reflector: &Reflector) -> bool {
    let wanted = &peer.spec.reflector_ref;
    let name = match wanted.kind {
        ReflectorKind::Reflector => reflector.metadata.name.as_deref(),
        ReflectorKind::ReflectorFleet => fleet(reflector).map(|fleet| fleet.name.as_str()),
        ReflectorKind::Unknown(_) => None,
    };
    peer.metadata.namespace == reflector.metadata.namespace && name == Some(wanted.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reflectors::testing::{reflector, yaml};

    fn peer(reference: &str, spec: &str, status: &str) -> ReflectorPeer {
        yaml(&format!(
            "{{ metadata: {{ name: p, namespace: homes }}, spec: {{ reflectorRef: {reference}, {spec} }}, status: {{ {status} }} }}"
        ))
    }

    fn ready(reason: &str) -> String {
        format!(
            "conditions: [{{ type: Ready, status: 'False', reason: {reason}, message: '', lastTransitionTime: '2026-01-02T00:00:00Z' }}]"
        )
    }

    const ATTIC: &str = "{ kind: Reflector, name: attic }";

    #[test]
    fn each_peer_counts_as_what_it_may_do_now() {
        let table = [
            ("endpointId: PP-X", String::new(), Some(Standing::Authorized)),
            ("", "endpointId: PP-X, pairing: { state: Bound }".into(), Some(Standing::Authorized)),
            ("", "pairing: { state: Waiting }".into(), Some(Standing::Pairing)),
            ("", "pairing: { state: Claimed }".into(), Some(Standing::Pairing)),
            ("", "pairing: { state: Expired }".into(), None),
            ("", String::new(), None),
            ("endpointId: PP-X, suspend: true", String::new(), Some(Standing::Suspended)),
            ("endpointId: PP-X", ready("Expired"), Some(Standing::Suspended)),
            ("endpointId: PP-X", ready("Duplicate"), None),
            ("endpointId: PP-X", ready("InvalidEndpointId"), None),
            ("endpointId: PP-X", ready("NotLoaded"), Some(Standing::Authorized)),
        ];
        for (spec, status, expected) in table {
            assert_eq!(standing(&peer(ATTIC, spec, &status)), expected, "{spec} {status}");
        }
    }

    #[test]
    fn a_member_counts_its_own_peers_and_those_of_its_fleet() {
        let mut member = reflector("{}");
        let fleet_peer = peer("{ kind: ReflectorFleet, name: homes }", "", "");
        assert!(names(&peer(ATTIC, "", ""), &member));
        assert!(!names(&fleet_peer, &member));
        member.metadata.owner_references =
            yaml("[{ apiVersion: v1, kind: ReflectorFleet, name: homes, uid: u, controller: true }]");
        assert!(names(&fleet_peer, &member));
        assert!(!names(&peer("{ kind: ReflectorFleet, name: attic }", "", ""), &member), "not by kind alone");
        assert!(!names(&peer("{ kind: Reflector, name: homes }", "", ""), &member));
        let mut elsewhere = peer(ATTIC, "", "");
        elsewhere.metadata.namespace = Some("other".into());
        assert!(!names(&elsewhere, &member));
    }
}
