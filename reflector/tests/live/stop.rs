//! The way out is nobody's to block.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use e2e::appliance::Key;

use super::{Bed, PATIENCE, until};

/// C6: a command that waits for something may wait longer than a service manager does.
#[tokio::test]
async fn a_command_that_waits_does_not_hold_up_the_stop() {
    let mut bed = Bed::start().await;
    let mut waiting = UnixStream::connect(bed.path("admin.sock")).unwrap();
    let never = Key::generate().endpoint_id();
    // A minute, longer than this test has patience.
    let question =
        format!("{{\"command\":\"await_authorised\",\"endpoint_id\":\"{never}\",\"timeout_ms\":60000}}\n");
    waiting.write_all(question.as_bytes()).unwrap();
    // Answered after it by the same process: the first question was read.
    until(|| bed.cli(&["status"]).status.success().then_some(()), "an answer").await;
    bed.daemon.sigterm().unwrap();
    assert_eq!(bed.daemon.wait(PATIENCE).await.unwrap().code(), Some(0));
    let mut answer = Vec::new();
    waiting.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, b"", "its waiting ended with the process");
    assert!(bed.cli(&["audit", "verify"]).status.success());
}
