//! `ReflectorFleet`: one Reflector on each node that matches.
//!
//! In: an object from the API server or a manifest. Out: a `ValidFleet`, or every problem with the path of the field and
//! what to write.

mod spec;
mod status;
mod validate;

pub use spec::{ReflectorFleet, ReflectorFleetSpec, ReflectorTemplate, Rollout, TemplateMetadata};
pub use status::{FleetMember, ReflectorFleetStatus};
pub use validate::{ValidFleet, read, validate, validate_update};

/// Most members: each has an entry in the status of each peer of the fleet.
pub const MAX_MEMBERS: usize = 64;
/// Longest name of a fleet: its members are called by it and their node, in 52 characters.
pub const MAX_FLEET_NAME: usize = 40;
