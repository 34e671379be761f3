//! Stock iperf3 of many versions against our server and our client. What is compared are numbers: bytes of both
//! sides and of our own books, loss, jitter. An exit code proves little, as some versions exit 0 after an error.
//!
//! Programs are found in `REFLECTOR_IPERF3` (programs or folders, separated by colons) and on `PATH`. A version we
//! want and do not find is skipped aloud; in CI at least one must be there. `REFLECTOR_TEST_LONG` runs each case in
//! each placement, and an appliance's speed test at its real length.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic, reason = "a test")]

#[path = "../support/bed.rs"]
#[allow(dead_code, reason = "shared by all tests of the whole program")]
mod bed;

mod appliance;
mod cases;

mod programs;
mod run;
mod stock;
mod stock_clients;
mod stock_servers;
mod told;

/// Everything, at real length.
fn long() -> bool {
    std::env::var_os("REFLECTOR_TEST_LONG").is_some()
}
