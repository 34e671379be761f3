//! The objects a Reflector becomes, as there are and as there should be.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Service, ServiceAccount};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::ResourceExt;

use super::build::labels;

/// What there is.
#[derive(Debug, Clone, Default)]
pub(super) struct Children {
    pub(super) account: Option<Arc<ServiceAccount>>,
    pub(super) binding: Option<Arc<RoleBinding>>,
    pub(super) config: Option<Arc<ConfigMap>>,
    pub(super) claim: Option<Arc<PersistentVolumeClaim>>,
    pub(super) service: Option<Arc<Service>>,
    pub(super) deployment: Option<Arc<Deployment>>,
}

/// What there should be. Whoever applies takes it apart without `..`, so a kind nobody applies does not compile.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Desired {
    pub(super) account: ServiceAccount,
    pub(super) binding: RoleBinding,
    pub(super) config: ConfigMap,
    /// None, when somebody's claim is used.
    pub(super) claim: Option<PersistentVolumeClaim>,
    /// None, on the host network.
    pub(super) service: Option<Service>,
    pub(super) deployment: Deployment,
}

impl Children {
    /// The first object of one of our names that belongs to somebody else.
    pub(super) fn foreign(&self, uid: &str) -> Option<String> {
        let claim = self.claim.as_deref().filter(|claim| !is_ours(*claim, uid) && !is_retained(claim));
        None.or(stranger("ServiceAccount", self.account.as_deref(), uid))
            .or(stranger("RoleBinding", self.binding.as_deref(), uid))
            .or(stranger("ConfigMap", self.config.as_deref(), uid))
            .or(claim.map(|claim| said("PersistentVolumeClaim", claim)))
            .or(stranger("Service", self.service.as_deref(), uid))
            .or(stranger("Deployment", self.deployment.as_deref(), uid))
    }
}

/// Owned by exactly this Reflector: a name or a label can be anybody's.
pub(super) fn is_ours(object: &impl ResourceExt, uid: &str) -> bool {
    object.owner_references().iter().any(|owner| owner.controller == Some(true) && owner.uid == uid)
}

/// A claim that an earlier Reflector of this name left behind: named and labelled as ours, and nobody owns it.
pub(super) fn is_retained(claim: &PersistentVolumeClaim) -> bool {
    let managed = claim.labels().get(labels::MANAGED_BY).is_some_and(|by| by == labels::OPERATOR);
    let named = claim
        .labels()
        .get(labels::REFLECTOR)
        .is_some_and(|name| claim.name_any() == super::build::names::claim(name));
    managed && named && claim.owner_references().is_empty()
}

fn stranger<K: ResourceExt>(kind: &str, object: Option<&K>, uid: &str) -> Option<String> {
    object.filter(|object| !is_ours(*object, uid)).map(|object| said(kind, object))
}

fn said(kind: &str, object: &impl ResourceExt) -> String {
    format!("{kind} {}", object.name_any())
}
