//! The throughput engine under real sessions: stock iperf3 as client, and peers that misbehave on raw sockets.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests and their helpers fail by panicking, and wait for real sockets"
)]

mod broken;
mod budget;
mod deadlines;
mod hostile;
mod house;
mod leaving;
mod raw;
mod stock;
mod vanishing;
