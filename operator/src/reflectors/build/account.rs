//! Who the pod is, and what it may do.

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{RoleBinding, RoleRef, Subject};

use super::{labels, names};
use crate::reflectors::validate::Plan;
use crate::settings::Settings;

/// No token is mounted for the asking: the pod's own is short-lived and projected.
pub(super) fn account(plan: &Plan) -> ServiceAccount {
    ServiceAccount {
        metadata: labels::child(plan),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

/// The role of every reflector, in its own namespace.
pub(super) fn binding(plan: &Plan, settings: &Settings) -> RoleBinding {
    RoleBinding {
        metadata: labels::child(plan),
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".to_owned(),
            kind: "ClusterRole".to_owned(),
            name: settings.cluster_role.clone(),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name: names::child(&plan.name),
            namespace: Some(plan.namespace.clone()),
            ..Subject::default()
        }]),
    }
}
