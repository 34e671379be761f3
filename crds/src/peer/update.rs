//! What an update of a peer may not change.

use crate::problem::Problem;
use crate::schema::transition::{ENDPOINT_ID_IS_FIXED, REFERENCE_IS_FIXED};

use super::spec::ReflectorPeerSpec;

/// What an update changes that must not change. Each version was checked by itself before.
pub fn validate_update(old: &ReflectorPeerSpec, new: &ReflectorPeerSpec) -> Vec<Problem> {
    let mut problems = Vec::new();
    if old.reflector_ref != new.reflector_ref {
        problems.push(Problem::new("spec", REFERENCE_IS_FIXED));
    }
    if old.endpoint_id.is_some() && new.endpoint_id != old.endpoint_id {
        problems.push(Problem::new("spec", ENDPOINT_ID_IS_FIXED));
    }
    problems
}
