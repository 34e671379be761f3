//! The pod of a reflector.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy};
use k8s_openapi::api::core::v1::{
    ConfigMap, PodSecurityContext, PodSpec, PodTemplateSpec, SeccompProfile, Toleration,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

use super::{config, container, labels, names};
use crate::reflectors::validate::Plan;
use crate::writing::hash;

/// Nobody of this number exists on the node.
const NOBODY: i64 = 65_532;
/// The longest test and its second half, and a little: a drain ends with the last session.
const GRACE_SECONDS: i64 = 330;
/// One to look at after an upgrade that went wrong, and its predecessor.
const REVISIONS: i32 = 2;
/// The hash of the bootstrap file: its change, and no other, restarts the pod.
const CONFIG_HASH: &str = "packetparamedic.io/config";

pub(super) fn build(plan: &Plan, config: &ConfigMap) -> Deployment {
    Deployment {
        metadata: labels::child(plan),
        spec: Some(DeploymentSpec {
            replicas: Some(1),
            revision_history_limit: Some(REVISIONS),
            selector: LabelSelector {
                match_labels: Some(labels::selector(&plan.name)),
                ..LabelSelector::default()
            },
            // Two pods cannot share a host port, a volume or an identity.
            strategy: Some(DeploymentStrategy { type_: Some("Recreate".to_owned()), rolling_update: None }),
            template: template(plan, config),
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}

fn template(plan: &Plan, config: &ConfigMap) -> PodTemplateSpec {
    let text = config.data.as_ref().and_then(|data| data.get(config::FILE)).map_or("", String::as_str);
    let mut annotations = plan.annotations.clone();
    annotations.insert(CONFIG_HASH.to_owned(), hash(text.as_bytes()));
    let host = plan.network.on_host;
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels::pod(plan)),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            service_account_name: Some(names::child(&plan.name)),
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            host_network: host.then_some(true),
            dns_policy: Some(if host { "ClusterFirstWithHostNet" } else { "ClusterFirst" }.to_owned()),
            termination_grace_period_seconds: Some(GRACE_SECONDS),
            node_selector: filled(plan.node_selector.clone()),
            affinity: plan.affinity.clone(),
            priority_class_name: plan.priority_class.clone(),
            tolerations: Some(tolerations(plan)),
            security_context: Some(PodSecurityContext {
                run_as_non_root: Some(true),
                run_as_user: Some(NOBODY),
                run_as_group: Some(NOBODY),
                fs_group: Some(NOBODY),
                fs_group_change_policy: Some("OnRootMismatch".to_owned()),
                seccomp_profile: Some(SeccompProfile {
                    type_: "RuntimeDefault".to_owned(),
                    localhost_profile: None,
                }),
                ..PodSecurityContext::default()
            }),
            containers: vec![container::build(plan)],
            volumes: Some(container::volumes(plan)),
            ..PodSpec::default()
        }),
    }
}

/// A pinned reflector cannot go elsewhere: it waits for its node, for ever.
fn tolerations(plan: &Plan) -> Vec<Toleration> {
    let gone = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"].map(|key| Toleration {
        key: Some(key.to_owned()),
        operator: Some("Exists".to_owned()),
        effect: Some("NoExecute".to_owned()),
        ..Toleration::default()
    });
    plan.tolerations.iter().cloned().chain(gone).collect()
}

/// An empty map is an eternal difference.
fn filled(map: BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    Some(map).filter(|map| !map.is_empty())
}
