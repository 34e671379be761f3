//! The throughput engine under real sessions: stock iperf3 as client, and peers that misbehave on raw sockets.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test's helpers fail by panicking")]

mod house;
mod raw;
mod stock;
