//! `Reflector`: one endpoint with one identity, and what holds for every peer of it.
//!
//! In: an object from the API server or a manifest. Out: a `ValidReflector`, or every problem with the path of the field
//! and what to write.

mod identity;
mod network;
mod placement;
mod pod;
pub mod ports;
mod spec;
mod status;
#[cfg(test)]
mod tests;
mod valid;
mod validate;
mod window;

/// Longest name of a Reflector: names of its children, and labels of 63 characters, are made from it.
pub const MAX_REFLECTOR_NAME: usize = 52;

pub use identity::{IdentitySpec, ImportSecretRef, MIN_STORAGE, StorageSpec};
pub use network::{DataPorts, NetworkMode, NetworkSpec};
pub use placement::Placement;
pub use pod::{EnvVariable, ImageSpec, PodTemplate, PullPolicy, Resources};
pub use spec::{AccessSpec, Approval, AuditSpec, OnFailure, Reflector, ReflectorSpec, SelfTestSpec};
pub use status::{PeerCounts, ReflectorStatus, SelfTestStatus};
pub use valid::{
    DEFAULT_KEY_ENTRY, DEFAULT_OFFLINE_GRACE, DEFAULT_STORAGE, MAX_OFFLINE_GRACE, MAX_WINDOW, ValidNetwork,
    ValidReflector, ValidWindow,
};
pub use validate::{read, validate, validate_update};
pub use window::{WindowEffect, WindowSpec};
