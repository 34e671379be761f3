//! The other side of every limit: what a stock appliance does on the default policy is no abuse.

use std::time::Duration;

use e2e::appliance::data::{Limits, Moved, Target, transfer};
use e2e::appliance::{Appliance, Direction, Error, Key, SpeedTest, Test};
use tokio::time::{Instant, sleep};

use super::Bed;

async fn run(connection: &mut e2e::appliance::Connection) -> Result<SpeedTest<Moved>, Error> {
    let moving = async |grant, direction| {
        let bytes = if direction == Direction::Upload { 3_000_000 } else { 5_000_000 };
        let limits = Limits { bytes: Some(bytes), ..Limits::default() };
        transfer(&Target::from(&grant), direction, limits).finish().await.unwrap()
    };
    connection.speed_test(10, moving).await
}

/// P3: paired by code; upload and download back to back, two numbers, nobody busy or limited; at once again is one test
/// too many, and after exactly the wait that was named it is not.
#[tokio::test]
async fn a_stock_speed_test_passes_on_the_default_policy() {
    let bed = Bed::start().await;
    let code = bed.pair();
    let (mut connection, _) = Appliance::builder(Key::generate()).open(bed.addr).await.unwrap();
    assert_eq!(connection.pair(&code).await.unwrap()["success"], true);
    let first = run(&mut connection).await.unwrap();
    assert_eq!((first.upload.1.bytes, first.download.1.bytes), (3_000_000, 5_000_000));
    assert_ne!(first.upload.0.test_id, first.download.0.test_id);
    for (grant, reverse) in [(&first.upload.0, false), (&first.download.0, true)] {
        let line = bed.audited("session_granted", |line| line["test_id"] == grant.test_id.as_str()).await;
        assert_eq!((&line["params"]["streams"], &line["params"]["reverse"]), (&4.into(), &reverse.into()));
        bed.audited("session_completed", |line| line["test_id"] == grant.test_id.as_str()).await;
    }
    let ended = Instant::now();
    let denial = connection.request(&Test::throughput(10)).await.unwrap().denied().unwrap();
    let least = 5_u64.saturating_sub(ended.elapsed().as_secs() + 1);
    assert_eq!(denial.reason, "rate_limited");
    let wait = denial.retry_after_sec.unwrap();
    assert!((least.max(1)..=5).contains(&wait), "{denial}");
    assert_eq!(denial.message, format!("5 s must pass between tests; {wait} s are left"));
    assert_eq!(connection.status().await.unwrap()["tests_today"], 1, "both halves are one test");
    // This wait is what is tested.
    sleep(Duration::from_secs(wait)).await;
    let second = run(&mut connection).await.unwrap();
    assert_eq!((second.upload.1.bytes, second.download.1.bytes), (3_000_000, 5_000_000));
    let denied = |line: &serde_json::Value| line["event_type"] == "session_denied";
    assert_eq!(bed.audit().iter().filter(|line| denied(line)).count(), 1);
}
