//! The key and its claim.

use crate::check::Check;
use crate::schema::transition::{ROTATION_GROWS, STORAGE_IS_FIXED};

use super::super::identity::{IdentitySpec, MIN_STORAGE, StorageSpec};
use super::super::spec::ReflectorSpec;

impl Check {
    /// `rotation` and `retain`.
    pub(super) fn identity(&mut self, at: &str, identity: &IdentitySpec) -> (u32, bool) {
        let none = StorageSpec::default();
        let storage = identity.storage.as_ref().unwrap_or(&none);
        self.amount(&format!("{at}.storage.size"), storage.size.as_ref(), MIN_STORAGE);
        if storage.existing_claim.is_some()
            && (storage.size.is_some() || storage.storage_class_name.is_some())
        {
            self.problem(
                &format!("{at}.storage"),
                "existingClaim has its own size and class: remove size and storageClassName",
            );
        }
        // Its range was looked at with the schema.
        let rotation = identity.rotation.and_then(|rotation| u32::try_from(rotation).ok());
        (rotation.unwrap_or(0), identity.retain.unwrap_or(true))
    }

    /// What an update may not change.
    pub(crate) fn reflector_update(&mut self, root: &str, old: &ReflectorSpec, new: &ReflectorSpec) {
        let storage = |spec: &ReflectorSpec| spec.identity.clone().and_then(|identity| identity.storage);
        if storage(old) != storage(new) {
            self.problem(root, STORAGE_IS_FIXED);
        }
        let rotation = |spec: &ReflectorSpec| spec.identity.as_ref().and_then(|i| i.rotation).unwrap_or(0);
        if rotation(new) < rotation(old) {
            self.problem(root, ROTATION_GROWS);
        }
    }
}
