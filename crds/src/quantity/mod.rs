//! Durations and amounts as people type them.
//!
//! In: text or a number from YAML, JSON, TOML or a command line. Out: the same text again, byte for byte (`60s`
//! never returns as `1m0s`), and its value on request. Reading never fails; the value may, and then the error says
//! what to write. No clock, no rounding: what is not exact is refused.

mod amount;
mod duration;
mod resource;
mod text;

pub use amount::{Amount, AmountError};
pub use duration::{DurationError, DurationText};
pub use resource::ResourceText;
