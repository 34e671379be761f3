//! The children that are watched for Reflectors, and what was written and is not in the caches yet.

use crds::reflector::Reflector;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus};
use k8s_openapi::api::core::v1::{
    ConfigMap, PersistentVolumeClaim, PersistentVolumeClaimStatus, Pod, PodSpec, PodStatus, Service,
    ServiceAccount,
};
use k8s_openapi::api::rbac::v1::RoleBinding;

use super::build::labels;
use crate::metrics::Kind;
use crate::watches::{Wanted, Watched, Watches};
use crate::writing::Overlay;

/// Every kind of child; each watch is narrowed to what carries our label.
#[derive(Clone)]
pub(super) struct Caches {
    pub(super) accounts: Watched<ServiceAccount>,
    pub(super) bindings: Watched<RoleBinding>,
    pub(super) configs: Watched<ConfigMap>,
    pub(super) claims: Watched<PersistentVolumeClaim>,
    pub(super) services: Watched<Service>,
    pub(super) deployments: Watched<Deployment>,
    pub(super) pods: Watched<Pod>,
}

/// Answers to writes, by kind.
pub(super) struct Written {
    pub(super) reflectors: Overlay<Reflector>,
    pub(super) accounts: Overlay<ServiceAccount>,
    pub(super) bindings: Overlay<RoleBinding>,
    pub(super) configs: Overlay<ConfigMap>,
    pub(super) claims: Overlay<PersistentVolumeClaim>,
    pub(super) services: Overlay<Service>,
    pub(super) deployments: Overlay<Deployment>,
}

impl Written {
    pub(super) fn new() -> Self {
        Self {
            reflectors: Overlay::new(),
            accounts: Overlay::new(),
            bindings: Overlay::new(),
            configs: Overlay::new(),
            claims: Overlay::new(),
            services: Overlay::new(),
            deployments: Overlay::new(),
        }
    }
}

impl Caches {
    pub(super) fn new(watches: &mut Watches) -> Self {
        let labels = labels::REFLECTOR;
        Self {
            accounts: watches.add(Wanted { kind: Kind::ServiceAccount, labels, trim: |_| {} }),
            bindings: watches.add(Wanted { kind: Kind::RoleBinding, labels, trim: |_| {} }),
            configs: watches.add(Wanted { kind: Kind::ConfigMap, labels, trim: |_| {} }),
            claims: watches.add(Wanted { kind: Kind::PersistentVolumeClaim, labels, trim: trim_claim }),
            services: watches.add(Wanted { kind: Kind::Service, labels, trim: |_| {} }),
            deployments: watches.add(Wanted { kind: Kind::Deployment, labels, trim: trim_deployment }),
            pods: watches.add(Wanted { kind: Kind::Pod, labels, trim: trim_pod }),
        }
    }
}

/// Its phase; capacity and modes are not looked at.
fn trim_claim(claim: &mut PersistentVolumeClaim) {
    if let Some(status) = &mut claim.status {
        *status = PersistentVolumeClaimStatus { phase: status.phase.take(), ..Default::default() };
    }
}

/// Why it has no pod, and whether the one it has is of its newest description.
fn trim_deployment(deployment: &mut Deployment) {
    if let Some(status) = &mut deployment.status {
        let mut conditions = status.conditions.take().unwrap_or_default();
        conditions.retain(|condition| condition.type_ == "ReplicaFailure");
        for condition in &mut conditions {
            condition.last_update_time = None;
        }
        *status = DeploymentStatus {
            conditions: Some(conditions).filter(|all| !all.is_empty()),
            observed_generation: status.observed_generation,
            updated_replicas: status.updated_replicas,
            ..DeploymentStatus::default()
        };
    }
}

/// Where it is, and what became of its containers.
fn trim_pod(pod: &mut Pod) {
    pod.metadata.annotations = None;
    pod.metadata.owner_references = None;
    if let Some(spec) = &mut pod.spec {
        *spec = PodSpec { node_name: spec.node_name.take(), ..PodSpec::default() };
    }
    if let Some(status) = &mut pod.status {
        let mut conditions = status.conditions.take().unwrap_or_default();
        conditions.retain(|condition| ["PodScheduled", "Ready"].contains(&condition.type_.as_str()));
        *status = PodStatus {
            phase: status.phase.take(),
            reason: status.reason.take(),
            message: status.message.take(),
            conditions: Some(conditions),
            container_statuses: status.container_statuses.take(),
            ..PodStatus::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A pod of ours is some 6 kB as the API server has it, most of it what we wrote ourselves.
    #[test]
    fn of_a_pod_its_place_and_its_containers_are_kept() {
        let mut pod: Pod = serde_json::from_value(json!({
            "metadata": { "name": "p", "labels": { "packetparamedic.io/reflector": "attic" }, "annotations": { "a": "b" } },
            "spec": { "nodeName": "pi", "containers": [{ "name": "reflector", "image": "i" }], "volumes": [{ "name": "v" }] },
            "status": {
                "phase": "Pending", "hostIP": "10.0.0.5", "startTime": "2026-01-02T00:00:00Z",
                "conditions": [
                    { "type": "PodScheduled", "status": "True" }, { "type": "Initialized", "status": "True" }, { "type": "Ready", "status": "False" },
                ],
                "containerStatuses": [{ "name": "reflector", "image": "i", "imageID": "", "ready": false, "restartCount": 3 }],
            },
        }))
        .unwrap();
        trim_pod(&mut pod);
        assert_eq!(
            serde_json::to_value(pod).unwrap(),
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": { "name": "p", "labels": { "packetparamedic.io/reflector": "attic" } },
                "spec": { "nodeName": "pi", "containers": [] },
                "status": {
                    "phase": "Pending",
                    "conditions": [{ "type": "PodScheduled", "status": "True" }, { "type": "Ready", "status": "False" }],
                    "containerStatuses": [{ "name": "reflector", "image": "i", "imageID": "", "ready": false, "restartCount": 3 }],
                },
            })
        );
    }

    #[test]
    fn of_a_deployment_is_kept_why_it_has_no_pod_or_an_old_one() {
        let mut deployment: Deployment = serde_json::from_value(json!({
            "metadata": { "name": "d" },
            "status": { "replicas": 2, "updatedReplicas": 1, "observedGeneration": 4, "conditions": [
                { "type": "Progressing", "status": "True" },
                { "type": "ReplicaFailure", "status": "True", "message": "m", "lastUpdateTime": "2026-01-02T00:00:00Z" },
            ] },
        }))
        .unwrap();
        trim_deployment(&mut deployment);
        let status = serde_json::to_value(deployment.status).unwrap();
        assert_eq!(
            status,
            json!({
                "updatedReplicas": 1, "observedGeneration": 4,
                "conditions": [{ "type": "ReplicaFailure", "status": "True", "message": "m" }],
            })
        );
    }
}
