//! The abuse table, rows about resources: each shows the answer an abuser gets, and that a good peer gets through
//! meanwhile. The whole program runs as a child; abusers come from addresses of 127.0.0.0/8, each a source of its own.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::float_cmp,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::needless_range_loop,
    reason = "a test; counters are whole numbers, far below 2^52"
)]

#[path = "../support/bed.rs"]
#[allow(dead_code, reason = "shared by all tests of the whole program")]
mod bed;

mod crowd;
mod descriptors;
mod disk;
mod drain;
mod good;
mod health;
mod pairing;
mod parallel;
mod strangers;
mod vanished;
mod window;

use std::net::{IpAddr, Ipv4Addr};

/// Quotas that never get in the way of what is tested.
const GENEROUS: &str = "[quotas]\ncooldown_sec = 0\nmax_tests_per_hour_per_peer = 10000\nmax_concurrent_tests = 8\n\
                        max_bytes_per_day_per_peer = 1000000000000\n";

/// Loops of hundreds and thousands run in full.
fn long() -> bool {
    std::env::var_os("REFLECTOR_TEST_LONG").is_some()
}

/// The n-th abuser's address. None of them is 127.0.0.1, where good peers live.
fn source(n: usize) -> IpAddr {
    let n = u32::try_from(n).unwrap();
    IpAddr::V4(Ipv4Addr::from(0x7f01_0000 + n))
}

/// A series that counts things.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts are small and not negative"
)]
async fn count(bed: &bed::Bed, series: &str) -> usize {
    bed.metric(series).await as usize
}

/// Tests that load the machine, or promise a time, take turns. The first one also makes room for thousands of sockets
/// in this process.
async fn turn() -> tokio::sync::MutexGuard<'static, ()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let turn = TURN.lock().await;
    let now = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: now.maximum, maximum: now.maximum }).unwrap();
    turn
}
