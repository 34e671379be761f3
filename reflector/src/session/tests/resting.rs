//! Pauses in which the host is measured.

use super::*;

/// X8: neither a peer's test nor the measurement has the other beside it.
#[tokio::test]
async fn while_the_host_is_measured_a_request_is_told_to_wait_and_afterwards_granted() {
    let bench = Bench::new();
    let rest = bench.sessions.rest(seconds(40)).await;
    let denied = bench.up(&bench.connect(1), &with(|_| ())).await.unwrap_err();
    assert_eq!(denied.reason, DenyReason::Busy);
    assert!(denied.retry_after_sec.unwrap() <= 40 && denied.message.contains("its own host"), "{denied}");
    drop(rest);
    bench.up(&bench.connect(1), &with(|_| ())).await.unwrap();
}

#[tokio::test]
async fn the_host_is_not_measured_before_a_running_test_has_ended() {
    let bench = Bench::new();
    let granted = bench.up(&bench.connect(1), &with(|_| ())).await.unwrap();
    let rest = bench.sessions.rest(seconds(40));
    tokio::pin!(rest);
    assert!(futures_util::poll!(&mut rest).is_pending(), "it did not wait");
    bench.stop(1, EndReason::Revoked);
    end_of(granted).await;
    tokio::time::timeout(PATIENCE, rest).await.unwrap();
}
