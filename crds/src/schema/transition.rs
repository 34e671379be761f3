//! What an update may not change. These rules stand on `spec`, which is always there: a rule on a field does not run when
//! the field is removed.

use serde_json::Value;

use super::rule::rules;

/// What `spec` of a Reflector may not change.
pub(crate) fn reflector() -> Value {
    let storage = |of: &str| format!("(has({of}.identity) && has({of}.identity.storage))");
    let rotation = |of: &str| {
        format!("(has({of}.identity) && has({of}.identity.rotation) ? {of}.identity.rotation : 0)")
    };
    let (new, old) = (storage("self"), storage("oldSelf"));
    rules(&[
        (
            format!("{new} == {old} && (!{new} || self.identity.storage == oldSelf.identity.storage)"),
            STORAGE_IS_FIXED,
        ),
        (format!("{} >= {}", rotation("self"), rotation("oldSelf")), ROTATION_GROWS),
    ])
}

/// What `spec` of a `ReflectorPeer` may not change.
pub(crate) fn peer() -> Value {
    rules(&[
        ("self.reflectorRef == oldSelf.reflectorRef", REFERENCE_IS_FIXED),
        (
            "!has(oldSelf.endpointId) || has(self.endpointId) && self.endpointId == oldSelf.endpointId",
            ENDPOINT_ID_IS_FIXED,
        ),
    ])
}

pub(crate) const STORAGE_IS_FIXED: &str = "identity.storage cannot be changed, the identity would be left behind: put it back, or create another Reflector with identity.importSecretRef";
pub(crate) const ROTATION_GROWS: &str =
    "identity.rotation cannot be lowered: write the old number, or a higher one for a new key";
pub(crate) const REFERENCE_IS_FIXED: &str =
    "reflectorRef cannot be changed: put it back, and create another ReflectorPeer for the other reflector";
pub(crate) const ENDPOINT_ID_IS_FIXED: &str = "endpointId cannot be changed or removed: put it back, and create another ReflectorPeer for the other appliance";
