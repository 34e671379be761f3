//! `ReflectorPeer`: one appliance and what it may do on one Reflector or one fleet.
//!
//! In: an object from the API server or a manifest. Out: a [`ValidPeer`] nobody has to check again, or every
//! [`crate::Problem`] with the path of the field and what to write. Reading is lenient (unknown fields are ignored, unknown
//! names survive until validation) so a newer or broken object can only ever hurt itself.

mod moment;
mod read;
mod seniority;
mod spec;
mod status;
#[cfg(test)]
mod tests;
mod update;
mod valid;
mod validate;

pub use read::{fields, read};
pub use seniority::{Duplicate, Seniority, duplicates};
pub use spec::{PairingSpec, ReflectorKind, ReflectorPeer, ReflectorPeerSpec, ReflectorRef};
pub use status::{
    Claim, LastTest, PairingCounts, PairingState, PairingStatus, PeerReflectorStatus, ReflectorPeerStatus,
    Revocation, Usage, WrongCodeSource,
};
pub use update::validate_update;
pub use valid::{MAX_DISPLAY_NAME, MAX_PAIRING_TTL, MIN_PAIRING_TTL, RefKind, ValidPeer, ValidRef};
pub use validate::validate;
