//! The kinds that more than one controller looks at: each is watched once.

use crds::{Reflector, ReflectorFleet, ReflectorPeer};
use k8s_openapi::api::core::v1::{Node, NodeStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::core::DeserializeGuard;

use crate::metrics::{Kind, Metrics, Readiness};
use crate::watches::{Cached, Object, Wanted, Watched, Watches};

/// What there is of them, and what is new.
#[derive(Clone)]
pub(crate) struct Kinds {
    pub(crate) reflectors: Watched<Reflector>,
    pub(crate) peers: Watched<ReflectorPeer>,
    pub(crate) fleets: Watched<ReflectorFleet>,
    /// By name, labels and addresses.
    pub(crate) nodes: Watched<Node>,
}

impl Kinds {
    pub(crate) fn new(watches: &mut Watches) -> Self {
        Self {
            reflectors: watches.add(Wanted { kind: Kind::Reflector, labels: "", trim: |_| {} }),
            peers: watches.add(Wanted { kind: Kind::ReflectorPeer, labels: "", trim: trim_peer }),
            fleets: watches.add(Wanted { kind: Kind::ReflectorFleet, labels: "", trim: |_| {} }),
            nodes: watches.add_cluster_wide(Wanted { kind: Kind::Node, labels: "", trim: trim_node }),
        }
    }

    /// Sets what is only known by looking at all objects.
    pub(crate) fn count(&self, metrics: &Metrics) {
        count(&self.reflectors.cache, Kind::Reflector, metrics, |reflector| {
            reflector.status.as_ref().map(|status| status.conditions.as_slice())
        });
        count(&self.peers.cache, Kind::ReflectorPeer, metrics, |peer| {
            peer.status.as_ref().map(|status| status.conditions.as_slice())
        });
        count(&self.fleets.cache, Kind::ReflectorFleet, metrics, |fleet| {
            fleet.status.as_ref().map(|status| status.conditions.as_slice())
        });
    }
}

/// A list that is read grows by doubling from four, and most peers have one reflector. At ten thousand peers the places that
/// nobody takes were 24 MiB.
fn trim_peer(peer: &mut ReflectorPeer) {
    if let Some(status) = &mut peer.status {
        status.reflectors.shrink_to_fit();
        status.conditions.shrink_to_fit();
    }
}

/// A node says every few seconds that it lives, and what images it has; that is none of our business, and no news.
fn trim_node(node: &mut Node) {
    node.metadata.annotations = None;
    node.spec = None;
    if let Some(status) = &mut node.status {
        *status = NodeStatus { addresses: status.addresses.take(), ..NodeStatus::default() };
    }
}

fn count<K: Object>(
    cache: &Cached<K>,
    kind: Kind,
    metrics: &Metrics,
    conditions: impl Fn(&K) -> Option<&[Condition]>,
) {
    let all = cache.state();
    let ready = |object: &DeserializeGuard<K>| {
        let found = object.0.as_ref().ok().and_then(&conditions).unwrap_or_default();
        readiness(found)
    };
    for readiness in Readiness::ALL {
        metrics.objects(kind, readiness, all.iter().filter(|object| ready(object) == readiness).count());
    }
}

fn readiness(conditions: &[Condition]) -> Readiness {
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready");
    match ready.map(|ready| ready.status.as_str()) {
        Some("True") => Readiness::True,
        Some("False") => Readiness::False,
        _ => Readiness::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// At a thousand nodes their images and annotations alone would be tens of megabytes.
    #[test]
    fn of_a_node_only_name_labels_and_addresses_are_kept() {
        let mut node: Node = serde_json::from_value(json!({
            "metadata": { "name": "pi", "uid": "u", "labels": { "site": "home" }, "annotations": { "big": "x" } },
            "spec": { "podCIDR": "10.42.0.0/24", "taints": [{ "key": "k", "effect": "NoSchedule" }] },
            "status": {
                "addresses": [{ "type": "InternalIP", "address": "10.0.0.5" }],
                "conditions": [{ "type": "Ready", "status": "True", "lastHeartbeatTime": "2026-01-02T00:00:00Z" }],
                "images": [{ "names": ["a"], "sizeBytes": 1 }],
            },
        }))
        .unwrap();
        trim_node(&mut node);
        assert_eq!(
            serde_json::to_value(node).unwrap(),
            json!({
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": { "name": "pi", "uid": "u", "labels": { "site": "home" } },
                "status": { "addresses": [{ "type": "InternalIP", "address": "10.0.0.5" }] },
            })
        );
    }

    #[test]
    fn a_peer_of_one_reflector_has_room_for_one() {
        // From text, as it comes: only a text does not say how many there are.
        let text = json!({
            "metadata": { "name": "p" },
            "spec": { "reflectorRef": { "kind": "Reflector", "name": "attic" } },
            "status": { "reflectors": [{ "name": "attic" }], "conditions": [] },
        });
        let mut peer: ReflectorPeer = serde_json::from_str(&text.to_string()).unwrap();
        let room = |peer: &ReflectorPeer| peer.status.as_ref().map(|status| status.reflectors.capacity());
        assert!(room(&peer) > Some(1), "there is nothing to trim any more");
        trim_peer(&mut peer);
        assert_eq!(room(&peer), Some(1));
    }

    #[test]
    fn an_object_without_conditions_is_neither_ready_nor_not() {
        let ready = |status: &str| -> Condition {
            serde_json::from_value(json!({
                "type": "Ready", "status": status, "reason": "r", "message": "", "lastTransitionTime": "2026-01-02T00:00:00Z",
            }))
            .unwrap()
        };
        assert_eq!(readiness(&[]), Readiness::Unknown);
        assert_eq!(readiness(&[ready("True")]), Readiness::True);
        assert_eq!(readiness(&[ready("False")]), Readiness::False);
        assert_eq!(readiness(&[ready("Unknown")]), Readiness::Unknown);
    }
}
