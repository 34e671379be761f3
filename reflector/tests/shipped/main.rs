//! The program as it is shipped, with its own engines, and stock clients that know nothing of this source.
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

mod iperf;
mod leaks;
mod records;
mod speed;
mod strangers;

use std::path::Path;

use bed::Bed;

/// The shipped program, with whole sections of configuration.
async fn shipped(extra: &str) -> Bed {
    with_env(extra, &[]).await
}

/// The same, with overrides from the environment.
async fn with_env(extra: &str, env: &[(&str, &str)]) -> Bed {
    Bed::run(Path::new(env!("CARGO_BIN_EXE_reflector")), extra, env).await
}
