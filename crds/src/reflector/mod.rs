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
mod window;

pub use identity::{IdentitySpec, ImportSecretRef, MIN_STORAGE, StorageSpec};
pub use network::{DataPorts, NetworkMode, NetworkSpec};
pub use placement::Placement;
pub use pod::{EnvVariable, ImageSpec, PodTemplate, PullPolicy, Resources};
pub use spec::{AccessSpec, Approval, AuditSpec, OnFailure, Reflector, ReflectorSpec, SelfTestSpec};
pub use status::{PeerCounts, ReflectorStatus, SelfTestStatus};
pub use window::{WindowEffect, WindowSpec};
