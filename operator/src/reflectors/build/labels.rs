//! Labels and owner references of children. Nothing is copied from the Reflector: a copied label gets children pruned.

use std::collections::BTreeMap;

use crds::reflector::Reflector;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource as _;

use super::names;
use crate::reflectors::validate::Plan;

/// Which Reflector a child belongs to; watches select by it.
pub(crate) const REFLECTOR: &str = "packetparamedic.io/reflector";
/// Who made it.
pub(in crate::reflectors) const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Us.
pub(in crate::reflectors) const OPERATOR: &str = crate::writing::MANAGER;
const NAME: &str = "app.kubernetes.io/name";
const APP: &str = "reflector";

/// What the Deployment selects by: frozen, because a selector cannot be changed.
pub(super) fn selector(reflector: &str) -> BTreeMap<String, String> {
    pairs([(NAME, APP), (REFLECTOR, reflector)])
}

/// All labels of a child but the version.
fn common(reflector: &str) -> BTreeMap<String, String> {
    let mut labels = selector(reflector);
    labels.extend(pairs([
        ("app.kubernetes.io/instance", reflector),
        ("app.kubernetes.io/component", "endpoint"),
        ("app.kubernetes.io/part-of", "packetparamedic"),
        (MANAGED_BY, OPERATOR),
    ]));
    labels
}

/// Labels of pods: without the version, which the image says.
pub(super) fn pod(plan: &Plan) -> BTreeMap<String, String> {
    let mut labels = plan.labels.clone();
    labels.extend(common(&plan.name));
    labels
}

/// Metadata of a child that goes with its Reflector.
pub(super) fn owned(plan: &Plan, name: String) -> ObjectMeta {
    ObjectMeta { owner_references: Some(vec![owner(plan)]), ..kept(plan, name) }
}

/// Metadata of a child that stays.
pub(super) fn kept(plan: &Plan, name: String) -> ObjectMeta {
    let mut labels = common(&plan.name);
    if is_label_value(&plan.image.tag) {
        labels.insert("app.kubernetes.io/version".to_owned(), plan.image.tag.clone());
    }
    ObjectMeta {
        name: Some(name),
        namespace: Some(plan.namespace.clone()),
        labels: Some(labels),
        ..ObjectMeta::default()
    }
}

/// Metadata of the child most of them are named like.
pub(super) fn child(plan: &Plan) -> ObjectMeta {
    owned(plan, names::child(&plan.name))
}

fn owner(plan: &Plan) -> OwnerReference {
    OwnerReference {
        api_version: Reflector::api_version(&()).into_owned(),
        kind: Reflector::kind(&()).into_owned(),
        name: plan.name.clone(),
        uid: plan.uid.clone(),
        controller: Some(true),
        // It would need a right on the finalizers of Reflectors, and nobody has to wait for a child to go.
        block_owner_deletion: None,
    }
}

/// A tag may be longer than a label, and may end in a dot.
fn is_label_value(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= 63
        && edge(text.chars().next())
        && edge(text.chars().last())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}
