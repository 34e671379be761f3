//! The reflector with the test engine: what tests and the demo run where a session has to move real bytes.
//!
//! The whole command line works as in `reflector`; only the engines differ. `REFLECTOR_TESTBED_PACE` (bytes a second)
//! keeps transfers calm.

#[path = "../tests/support/engine.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the tests, which use more of it")]
mod engine;

use std::process::ExitCode;
use std::sync::Arc;

use reflector::cli::{self, Extra};
use reflector::daemon::Engines;
use reflector::link::message::TestType;

use engine::TestEngine;

fn main() -> ExitCode {
    let pace = pace();
    let paced = |engine: TestEngine| match pace {
        Some(pace) => engine.paced(pace),
        None => engine,
    };
    let engines: Vec<Arc<dyn reflector::engine::Engine>> = vec![
        Arc::new(paced(TestEngine::new(TestType::Throughput))),
        Arc::new(TestEngine::new(TestType::UdpEcho)),
    ];
    cli::run(std::env::args_os(), Extra { engines: Engines::Instead(engines) })
}

#[expect(clippy::disallowed_methods, reason = "a program may read its environment")]
fn pace() -> Option<u64> {
    std::env::var("REFLECTOR_TESTBED_PACE").ok()?.parse().ok()
}
