//! Quotas: what one appliance may use. A Reflector sets them for all its peers, a peer for itself, field by field.
//!
//! In: fields as typed. Out: [`ValidQuotas`] inside the bounds named in `bounds`.

mod bounds;
mod spec;
mod valid;

pub use bounds::{
    MAX_BYTE_AMOUNT, MAX_CONCURRENT_TESTS, MAX_COOLDOWN, MAX_ECHO_PPS, MAX_STREAMS, MAX_TEST_DURATION,
    MAX_TESTS_PER_HOUR, MIN_RATE,
};
pub use spec::{Quotas, TestType};
pub use valid::ValidQuotas;
