//! Where key, ledger, audit log and last policy are kept.

use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::{labels, names};
use crate::reflectors::validate::Plan;

/// A retained claim has no owner: it outlives its Reflector and is found again by name and label. One that exists keeps
/// the size and class it has, because the server lets nobody change them.
pub(super) fn build(
    plan: &Plan,
    size: &str,
    class: Option<&str>,
    retain: bool,
    existing: Option<&PersistentVolumeClaim>,
) -> PersistentVolumeClaim {
    let name = names::claim(&plan.name);
    let mut metadata = if retain { labels::kept(plan, name) } else { labels::owned(plan, name) };
    // An upgrade is no reason to write a claim.
    if let Some(labels) = &mut metadata.labels {
        labels.remove("app.kubernetes.io/version");
    }
    let existing = existing.and_then(|claim| claim.spec.clone());
    let asked = existing.as_ref().and_then(|spec| spec.resources.clone()).and_then(|all| all.requests);
    let size =
        asked.and_then(|mut asked| asked.remove("storage")).unwrap_or_else(|| Quantity(size.to_owned()));
    let (modes, class) = match existing {
        Some(spec) => (spec.access_modes, spec.storage_class_name),
        None => (Some(vec!["ReadWriteOnce".to_owned()]), class.map(str::to_owned)),
    };
    PersistentVolumeClaim {
        metadata,
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: modes,
            resources: Some(VolumeResourceRequirements {
                requests: Some([("storage".to_owned(), size)].into()),
                ..VolumeResourceRequirements::default()
            }),
            storage_class_name: class,
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    }
}
