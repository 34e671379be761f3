//! Every key of the configuration, once. Parsing, suggestions, environment overrides, `config show` and the
//! reference page are all driven by these tables; defaults are those of `Config::default()`.
//!
//! In: nothing. Out: [`SECTIONS`] in the order people expect, [`all`] keys in the order of their sections, and the bounds
//! of their values. To add a key: a field in `Config`, its default in `defaults.rs`, a row in the table of its section.

mod access;
mod bounds;
mod key;
mod logging;
mod network;
mod quotas;
mod sections;

pub use bounds::{
    MAX_AMOUNT, MAX_CONCURRENT_TESTS, MAX_COOLDOWN_SECONDS, MAX_ECHO_PPS, MAX_OFFLINE_GRACE_SECONDS,
    MAX_STREAMS, MAX_TEST_SECONDS, MAX_TESTS_PER_HOUR, MIN_RATE_BITS,
};
pub use key::{Key, VARIABLE_PREFIX};
pub use sections::{SECTIONS, all};
