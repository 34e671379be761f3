//! `ReflectorPeer`: one appliance and what it may do on one Reflector or one fleet.
//!
//! In: an object from the API server or a manifest. Out: a [`ValidPeer`] nobody has to check again, or every
//! [`Problem`] with the path of the field and what to write. Reading is lenient (unknown fields are ignored, unknown
//! names survive until validation) so a newer or broken object can only ever hurt itself.

mod read;
mod schema;
mod spec;
mod status;
#[cfg(test)]
mod tests;
mod valid;
mod validate;

pub use read::{fields, read};
pub use spec::{
    PairingSpec, PeerQuotas, ReflectorKind, ReflectorPeer, ReflectorPeerSpec, ReflectorRef, TestType,
};
pub use status::{
    Claim, LastTest, PairingCounts, PairingState, PairingStatus, PeerReflectorStatus, ReflectorPeerStatus,
    Revocation, Usage, WrongCodeSource,
};
pub use valid::{
    MAX_BYTE_AMOUNT, MAX_CONCURRENT_TESTS, MAX_COOLDOWN, MAX_DISPLAY_NAME, MAX_ECHO_PPS, MAX_NAME,
    MAX_PAIRING_TTL, MAX_STREAMS, MAX_TEST_DURATION, MAX_TESTS_PER_HOUR, MIN_PAIRING_TTL, MIN_RATE, Problem,
    RefKind, Seniority, ValidPeer, ValidQuotas, ValidRef,
};
pub use validate::{is_object_name, validate};
