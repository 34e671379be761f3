//! The vocabulary every other crate speaks: Endpoint IDs and the object kinds of `packetparamedic.io/v1alpha1`.
//!
//! Pure data and pure checks. No runtime, no client, no clock: whatever the API server refuses by CEL, the
//! validator here refuses too, so a directory of manifests and a cluster accept exactly the same objects.

pub mod endpoint_id;
pub mod peer;
pub mod quantity;

pub use endpoint_id::{EndpointId, EndpointIdError};
pub use peer::{ReflectorPeer, ReflectorPeerSpec, ValidPeer};
