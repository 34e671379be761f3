//! Two hosts on one cable: network namespaces joined by a veth pair, where the link can be made slow, windows small and
//! processors scarce, and where the interfaces count what really went over.
//!
//! Needs root. Without it each test says SKIPPED; in CI that is a failure.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_precision_loss,
    reason = "a test; counters are whole numbers, far below 2^52"
)]

#[path = "../support/bed.rs"]
#[allow(dead_code, reason = "shared by all tests of the whole program")]
mod bed;

mod cable;
mod clients;
mod counters;
mod limits;
