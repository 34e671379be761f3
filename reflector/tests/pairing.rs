//! Pairing and a first session through the front door: the CLI opens a window, an appliance uses it.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic, reason = "a test")]

#[path = "support/bed.rs"]
#[allow(dead_code, reason = "shared by all tests of the whole program")]
mod bed;

use e2e::appliance::data::{Limits, Target, transfer};
use e2e::appliance::{Appliance, Direction, Key, Test};

use bed::{Bed, until};
use e2e::proc::Ready;

/// A2, A5, A7
#[tokio::test]
async fn a_code_from_the_cli_pairs_an_appliance_and_a_session_follows_on_the_same_connection() {
    let bed = Bed::start().await;
    let key = Key::generate();
    let stranger = Appliance::builder(key.clone()).open(bed.addr).await.unwrap_err();
    assert_eq!(stranger.code(), Some(403), "{stranger}");

    let code = bed.pair();
    let (mut connection, hello) = Appliance::builder(key.clone()).open(bed.addr).await.unwrap();
    assert_eq!(hello["version"], "1.0");
    let early = connection.status().await.unwrap_err();
    assert_eq!(early.code(), Some(403), "{early}");
    let paired = connection.pair(&code.to_lowercase()).await.unwrap();
    assert_eq!(
        (&paired["success"], &paired["endpoint_id"]),
        (&true.into(), &bed.endpoint_id.as_str().into())
    );

    let grant = connection.request(&Test::throughput(1)).await.unwrap().granted().unwrap();
    let moved = transfer(
        &Target::from(&grant),
        Direction::Upload,
        Limits { bytes: Some(300_000), ..Limits::default() },
    )
    .finish()
    .await
    .unwrap();
    assert_eq!(moved.bytes, 300_000);
    bed.audited("peer_paired", |line| line["peer_id"] == key.endpoint_id().as_str()).await;
    let done = bed.audited("session_completed", |line| line["test_id"] == grant.test_id.as_str()).await;
    assert_eq!(done["bytes"], 300_000);
    assert_eq!(connection.status().await.unwrap()["bytes_today"], 300_000);
    assert!(bed.path("peers").read_dir().unwrap().count() == 1);
    let again = Appliance::builder(Key::generate()).open(bed.addr).await.unwrap_err();
    assert_eq!(again.code(), Some(403), "one code pairs one appliance: {again}");
}

/// A5: a window of `pairing_enabled` is there once the policy is, survives a restart with its code, and the code is in no
/// log: whoever reads logs could pair.
#[tokio::test]
async fn pairing_enabled_opens_a_window_at_start_without_telling_the_log_its_code() {
    let mut bed = Bed::with("[access]\nname = \"attic\"\npairing_enabled = true\n").await;
    let code = |bed: &Bed| {
        let saved = std::fs::read(bed.path("pairing.json")).ok()?;
        let saved: serde_json::Value = serde_json::from_slice(&saved).ok()?;
        Some(saved["code"].as_str().unwrap().to_owned())
    };
    let first = until(|| code(&bed), "a window").await;
    let opened = "a code that pairs one appliance is good now";
    bed.daemon.ready(&Ready::Line(opened.into()), bed::PATIENCE).await.unwrap();
    assert!(!bed.daemon.stderr().unwrap().contains(&first));
    bed.daemon.kill_9().await.unwrap();
    bed.restart().await;
    bed.daemon.ready(&Ready::Line(opened.into()), bed::PATIENCE).await.unwrap();
    assert_eq!(code(&bed).unwrap(), first, "somebody may just be typing it");
    let (mut connection, _) = Appliance::builder(Key::generate()).open(bed.addr).await.unwrap();
    assert_eq!(connection.pair(&first).await.unwrap()["success"], true);
}
