//! From a [`ReflectorFleet`] to a [`ValidFleet`]: everything CEL and the schema refuse, this refuses too.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::check::{self, Check};
use crate::definition;
use crate::problem::Problem;
use crate::reflector::ValidReflector;
use crate::structural;

use super::MAX_FLEET_NAME;
use super::spec::{ReflectorFleet, ReflectorFleetSpec};

/// A fleet that needs no further checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidFleet {
    /// Labels of the nodes; at least one.
    pub node_selector: BTreeMap<String, String>,
    /// What the spec of each member means.
    pub member: ValidReflector,
    /// Most members that are changed at one time.
    pub max_unavailable: usize,
    /// Whether members of deleted nodes are deleted.
    pub prune: bool,
}

/// Reads an object from a manifest, saying which field has the wrong shape. Unknown fields and names pass.
pub fn read(mut object: Value) -> Result<ReflectorFleet, Vec<Problem>> {
    structural::drop_nulls(&mut object);
    check::read(&definition::FLEET, object)
}

/// Checks a whole object and reports every problem at once.
pub fn validate(fleet: &ReflectorFleet) -> Result<ValidFleet, Vec<Problem>> {
    let mut check = Check::default();
    check.made_from("metadata.name", fleet.metadata.name.as_deref(), MAX_FLEET_NAME);
    let spec = &fleet.spec;
    if spec.node_selector.is_empty() {
        let rule = "write a label of the nodes, such as kubernetes.io/os: linux for every node";
        check.problem("spec.nodeSelector", format!("is empty: {rule}"));
    }
    if let Some(metadata) = &spec.template.metadata {
        check.no_labels_of_ours("spec.template.metadata.labels", metadata.labels.keys());
    }
    if let Some(identity) = &spec.template.spec.identity {
        if identity.storage.as_ref().is_some_and(|storage| storage.existing_claim.is_some()) {
            let rule = "remove spec.identity.storage.existingClaim";
            check.problem("spec.template", format!("members cannot share a claim: {rule}"));
        }
        if identity.import_secret_ref.is_some() {
            let rule = "remove spec.identity.importSecretRef, and import keys one Reflector at a time";
            check.problem("spec.template", format!("members cannot share a key: {rule}"));
        }
    }
    let member = check.reflector("spec.template.spec", &spec.template.spec);
    check.bounds(definition::FLEET.part("spec"), "spec", spec);
    let most = spec.rollout.as_ref().and_then(|rollout| rollout.max_unavailable);
    let valid = ValidFleet {
        node_selector: spec.node_selector.clone(),
        member,
        max_unavailable: most.and_then(|most| usize::try_from(most).ok()).unwrap_or(1),
        prune: spec.prune.unwrap_or(false),
    };
    if check.problems.is_empty() { Ok(valid) } else { Err(check.problems) }
}

/// What an update changes that must not change. Each version was checked by itself before.
pub fn validate_update(old: &ReflectorFleetSpec, new: &ReflectorFleetSpec) -> Vec<Problem> {
    let mut check = Check::default();
    check.reflector_update("spec.template.spec", &old.template.spec, &new.template.spec);
    check.problems
}
