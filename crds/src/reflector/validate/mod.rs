//! From a [`Reflector`] to a [`ValidReflector`]: everything CEL and the schema refuse, this refuses too.

mod identity;
mod network;
mod pod;
mod window;

use std::time::Duration;

use serde_json::Value;

use crate::check::{self, Check};
use crate::definition;
use crate::problem::Problem;
use crate::structural;

use super::MAX_REFLECTOR_NAME;
use super::spec::{Approval, OnFailure, Reflector, ReflectorSpec};
use super::valid::{DEFAULT_OFFLINE_GRACE, MAX_OFFLINE_GRACE, ValidReflector};

/// Reads an object from a manifest, saying which field has the wrong shape. Unknown fields and names pass.
pub fn read(mut object: Value) -> Result<Reflector, Vec<Problem>> {
    structural::drop_nulls(&mut object);
    check::read(&definition::REFLECTOR, object)
}

/// Checks a whole object and reports every problem at once.
pub fn validate(reflector: &Reflector) -> Result<ValidReflector, Vec<Problem>> {
    let mut check = Check::default();
    check.made_from("metadata.name", reflector.metadata.name.as_deref(), MAX_REFLECTOR_NAME);
    let valid = check.reflector("spec", &reflector.spec);
    check.bounds(definition::REFLECTOR.part("spec"), "spec", &reflector.spec);
    if check.problems.is_empty() { Ok(valid) } else { Err(check.problems) }
}

/// What an update changes that must not change. Each version was checked by itself before.
pub fn validate_update(old: &ReflectorSpec, new: &ReflectorSpec) -> Vec<Problem> {
    let mut check = Check::default();
    check.reflector_update("spec", old, new);
    check.problems
}

impl Check {
    /// A spec at `root`, which is `spec` or that of a template.
    pub(crate) fn reflector(&mut self, root: &str, spec: &ReflectorSpec) -> ValidReflector {
        let access = spec.access.clone().unwrap_or_default();
        let grace = self.duration(
            &format!("{root}.access.offlineGrace"),
            access.offline_grace.as_ref(),
            Duration::ZERO,
            MAX_OFFLINE_GRACE,
            "0s to 30d",
        );
        let network = self.network(&format!("{root}.network"), &spec.network.clone().unwrap_or_default());
        let (rotation, retain) =
            self.identity(&format!("{root}.identity"), &spec.identity.clone().unwrap_or_default());
        let quotas = spec.quotas.as_ref().map(|q| self.quotas(&format!("{root}.quotas"), q));
        let windows = self.windows(&format!("{root}.windows"), &spec.windows);
        let self_test = spec.self_test.as_ref().and_then(|test| test.schedule.clone());
        if let Some(schedule) = &self_test {
            self.cron(&format!("{root}.selfTest.schedule"), schedule, "UTC");
        }
        self.image(&format!("{root}.image"), spec.image.as_ref());
        self.resources(&format!("{root}.resources"), spec.resources.as_ref());
        self.pod_template(&format!("{root}.podTemplate"), spec.pod_template.as_ref());
        ValidReflector {
            network,
            rotation,
            retain,
            approval: access.approval.unwrap_or(Approval::Automatic),
            offline_grace: grace.unwrap_or(DEFAULT_OFFLINE_GRACE),
            quotas: quotas.unwrap_or_default(),
            windows,
            suspended: spec.suspend.unwrap_or(false),
            self_test,
            on_audit_failure: spec
                .audit
                .as_ref()
                .and_then(|audit| audit.on_failure.clone())
                .unwrap_or(OnFailure::Continue),
        }
    }
}
