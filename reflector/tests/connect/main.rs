//! `reflector connect`: stock iperf3 through a tunnel, with one port open and nothing else.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::float_cmp,
    clippy::cast_precision_loss,
    reason = "a test; counters are whole numbers, far below 2^52"
)]

#[path = "../support/bed.rs"]
#[allow(dead_code, reason = "shared by all tests of the whole program")]
mod bed;
#[path = "../shipped/iperf.rs"]
mod iperf;

mod endings;
mod forwarder;
mod refusals;
mod whole;
