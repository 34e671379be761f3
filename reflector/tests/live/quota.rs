//! The bytes of a day: a running test is cut where they end, to the byte, and a manifest moves that place.

use super::*;

const QUOTAS: &str = "  quotas: { cooldown: 0s, testsPerHour: 100, bytesPerDay: LIMIT }\n";

fn limit(bed: &Bed, key: &Key, bytes: &str) {
    bed.write_peer(key, "attic", &QUOTAS.replace("LIMIT", bytes));
}

/// What the peer is told is left of its day.
async fn left(bed: &Bed, key: &Key) -> Option<u64> {
    open(bed, key).await.unwrap().1["bytes_remaining"].as_u64()
}

async fn left_is(bed: &Bed, key: &Key, bytes: u64) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while left(bed, key).await != Some(bytes) {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{bytes} were to be left, {:?} are",
            left(bed, key).await
        );
    }
}

/// Seconds to 00:00 UTC.
fn to_midnight() -> u64 {
    u64::try_from(86_400 - jiff::Timestamp::now().as_second().rem_euclid(86_400)).unwrap()
}

/// G6, X1: cut in both directions, told, raised and lowered without a restart, and kept by `kill -9`.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_running_test_is_cut_where_the_days_bytes_end_and_a_manifest_moves_that_place() {
    well_before_midnight().await;
    let mut bed = Bed::launch("", &[("REFLECTOR_TESTBED_PACE", "40000000")]).await;
    let key = Key::generate();
    limit(&bed, &key, "50M");
    let mut control = let_in(&bed, &key).await;
    assert_eq!(left(&bed, &key).await, Some(50_000_000));

    // 30 of 50 MB, by the client's own will.
    let grant = control.request(&Test::throughput(60)).await.unwrap().granted().unwrap();
    let limits = Limits { bytes: Some(30_000_001), ..Limits::default() };
    let moved = transfer(&Target::from(&grant), Direction::Upload, limits).finish().await.unwrap();
    assert_eq!(moved.bytes, 30_000_001);
    assert_eq!(end_of(&bed, &grant).await["reason"], "completed");
    assert_eq!(left(&bed, &key).await, Some(19_999_999));

    // The reflector sends the rest, and not one byte more.
    let (grant, data) = running_download(&mut control).await;
    assert_eq!(data.finish().await.unwrap().bytes, 19_999_999, "no byte over the limit arrives");
    let end = end_of(&bed, &grant).await;
    assert_eq!((&end["reason"], &end["bytes"]), (&"quota_exceeded".into(), &19_999_999.into()));
    assert_eq!(left(&bed, &key).await, Some(0));
    let denied = control.request(&Test::throughput(60)).await.unwrap().denied().unwrap();
    assert_eq!(denied.reason, "quota_exceeded");
    let (wait, midnight) = (denied.retry_after_sec.unwrap(), to_midnight());
    assert!(wait.abs_diff(midnight) <= 5, "to 00:00 UTC: {wait}, {midnight}");
    assert!(
        denied.message.contains("50000000 of 50000000") && denied.message.contains("0 remain"),
        "{denied}"
    );

    // Raised: the same connection goes on. An upload that would never end is cut where the new budget does.
    limit(&bed, &key, "60M");
    left_is(&bed, &key, 10_000_000).await;
    let grant = control.request(&Test::throughput(60)).await.unwrap().granted().unwrap();
    let moved = transfer(&Target::from(&grant), Direction::Upload, Limits::default()).finish().await.unwrap();
    assert!(moved.bytes >= 10_000_000, "what the kernel took is at least what was read: {moved:?}");
    let end = end_of(&bed, &grant).await;
    assert_eq!((&end["reason"], &end["bytes"]), (&"quota_exceeded".into(), &10_000_000.into()));

    // Lowered in the middle of a test, below what is used: it ends now.
    limit(&bed, &key, "100G");
    left_is(&bed, &key, 99_940_000_000).await;
    let (grant, data) = running_download(&mut control).await;
    limit(&bed, &key, "50M");
    let moved = data.finish().await.unwrap().bytes;
    let end = end_of(&bed, &grant).await;
    assert_eq!((&end["reason"], &end["bytes"]), (&"quota_exceeded".into(), &moved.into()));
    assert_eq!(bed.json(&["peers", "list", "--json"])["peers"][0]["bytes_today"], 60_000_000 + moved);

    // The last grant took the 60 MB before it to the disk, so no kill can bring them back under 50.
    bed.daemon.kill_9().await.unwrap();
    bed.restart().await;
    let (mut control, hello) = open(&bed, &key).await.unwrap();
    assert_eq!(hello["bytes_remaining"], 0, "a used up day stays used up");
    let denied = control.request(&Test::throughput(1)).await.unwrap().denied().unwrap();
    assert_eq!(denied.reason, "quota_exceeded");
}
