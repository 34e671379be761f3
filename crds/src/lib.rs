//! The vocabulary every other crate speaks: Endpoint IDs and the object kinds of `packetparamedic.io/v1alpha1`.
//!
//! Pure data and pure checks. No runtime, no client, no clock: whatever the API server refuses by CEL, the
//! validator here refuses too, so a directory of manifests and a cluster accept exactly the same objects.

mod check;
mod crockford;
pub mod definition;
pub mod endpoint_id;
pub mod fleet;
pub mod names;
pub mod pairing;
pub mod peer;
mod problem;
pub mod quantity;
pub mod quotas;
pub mod reasons;
pub mod reflector;
mod schema;
mod structural;

pub use endpoint_id::{EndpointId, EndpointIdError};
pub use fleet::{ReflectorFleet, ReflectorFleetSpec, ReflectorFleetStatus};
pub use peer::{ReflectorPeer, ReflectorPeerSpec, ReflectorPeerStatus, ValidPeer};
pub use problem::Problem;
pub use reflector::{Reflector, ReflectorSpec, ReflectorStatus};
