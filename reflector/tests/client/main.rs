//! The measuring client against whole programs: our daemon, and stock iperf3.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic, reason = "a test")]

#[path = "../support/bed.rs"]
#[allow(dead_code, reason = "shared with tests that use other parts of it")]
mod bed;

#[path = "../support/schema.rs"]
mod schema;

mod kept;
mod link;
mod modes;
mod person;
mod stock;
mod tunnel_loss;
mod whole;
