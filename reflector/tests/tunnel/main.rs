//! Tunneled streams over real sockets: both ends of `pp-data/1`, honest and hostile.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail by panicking")]

mod bed;
mod blocking;
mod echo;
mod opening;
mod stream;
