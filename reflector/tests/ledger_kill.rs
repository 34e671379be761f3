//! `kill -9` at random moments, for real: a child process charges a ledger and says how far it is, we kill it and
//! compare. The child is this same test binary.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail by panicking")]

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use crds::EndpointId;
use jiff::Timestamp;
use reflector::clock::Now;
use reflector::ledger::Ledger;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::{Instant, timeout_at};

/// Tells the child that it is one, and where the ledger is.
const CHILD: &str = "REFLECTOR_TEST_LEDGER";

/// What a kill may cost: the promise, not the flush interval it is kept with.
const PROMISE: Duration = Duration::from_secs(1);

const KILLS: u64 = 6;

fn peer() -> EndpointId {
    EndpointId::from_public_key([7; 32])
}

fn open(path: &Path) -> Ledger {
    // A wall clock that stands still: nothing resets because somebody runs this at midnight.
    let noon = Timestamp::constant(1_800_014_400, 0);
    Ledger::open(path, Arc::new(move || Now { wall: noon, ..reflector::clock::now() })).unwrap()
}

/// The child: moves a little every few milliseconds until it is killed. Without the variable it is nobody's child.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "how a process of this test learns its part")]
async fn child_that_charges_until_it_is_killed() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let ledger = open(Path::new(&path));
    let account = ledger.account(peer());
    let mut total = account.usage(ledger.moment()).bytes_today;
    let mut tick = tokio::time::interval(Duration::from_millis(3));
    loop {
        tick.tick().await;
        account.lease(1009, u64::MAX).settle(1009);
        total += 1009;
        println!("moved {total}");
    }
}

/// G7, X1
#[tokio::test]
async fn kill_9_costs_no_more_than_a_second_of_traffic_and_refills_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.redb");
    let mut before = 0;
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_charges_until_it_is_killed", "--nocapture"])
            .env(CHILD, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said: Vec<(Instant, u64)> = Vec::new();
        // Anywhere in a flush interval, and once before the first.
        let until = Instant::now() + Duration::from_millis(150 + (kill * 937) % 1900);
        while let Ok(line) = timeout_at(until, lines.next_line()).await {
            if let Some(total) = line.unwrap().unwrap().strip_prefix("moved ") {
                said.push((Instant::now(), total.parse().unwrap()));
            }
        }
        let killed = Instant::now();
        child.kill().await.unwrap();
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some(total) = line.strip_prefix("moved ") {
                said.push((killed, total.parse().unwrap()));
            }
        }
        let kept = open(&path).usage(&peer()).map_or(0, |usage| usage.bytes_today);
        let safe = said.iter().rev().find(|(at, _)| killed.duration_since(*at) >= PROMISE);
        assert!(kept >= before, "refilled: {kept} after {before}");
        assert!(kept >= safe.map_or(0, |(_, total)| *total), "kill {kill}: {kept} of {safe:?}");
        // The last charge may not have been said.
        assert!(
            kept <= said.last().map_or(before, |(_, total)| *total) + 1009,
            "kill {kill}: invented {kept}"
        );
        before = kept;
    }
    assert!(before > 0, "nothing was ever kept");
}
