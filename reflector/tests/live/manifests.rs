//! Manifests come, go and break while others are served.

use e2e::appliance::Ending;
use jiff::Timestamp;

use super::*;

/// A1's promise for a manifest. Held against what the reflector itself wrote down: how quickly a client connects or a test
/// notices on a busy machine is no part of it.
const PROMISE: Duration = Duration::from_secs(2);

/// When the policy changed last, by the reflector's own account.
async fn changed_at(bed: &Bed) -> Timestamp {
    let now = Timestamp::now();
    let age = bed.metric("reflector_policy_last_event_age_seconds").await;
    now - Duration::from_secs_f64(age)
}

/// From a change of the folder to the last socket of this peer closed: the line that says who was cut off, and how long
/// that took after the change was seen.
async fn cut_within_the_promise(bed: &Bed, key: &Key, changed: Timestamp) {
    let id = key.endpoint_id();
    let removed = bed.audited("peer_removed", |line| line["peer_id"] == id.as_str()).await;
    assert_eq!((&removed["reason"], &removed["peer"]), (&"revoked".into(), &"attic".into()));
    let cut = |line: &Value| line["peer_id"] == id.as_str() && line["params"]["latency_ms"].is_u64();
    let cut = bed.audited("connection_denied", cut).await;
    assert_eq!(cut["reason"], "revoked", "{cut}");
    for line in [&removed, &cut] {
        let at: Timestamp = line["timestamp"].as_str().unwrap().parse().unwrap();
        let took = Duration::try_from(at.duration_since(changed)).unwrap_or_default();
        assert!(took < PROMISE, "{took:?}: {line}");
    }
}

/// A1: added, removed, in place of each other, without a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_manifest_lets_in_and_shuts_out_within_two_seconds() {
    let bed = Bed::start().await;
    let (key, other) = (Key::generate(), Key::generate());
    forbidden(open(&bed, &key).await);
    let added = Timestamp::now();
    bed.write_peer(&key, "attic", "");
    let mut control = let_in(&bed, &key).await;
    let took = Duration::try_from(changed_at(&bed).await.duration_since(added)).unwrap_or_default();
    assert!(took < PROMISE, "{took:?}");

    // The file now names somebody else.
    let replaced = Timestamp::now();
    bed.write_peer(&other, "attic", "");
    control.set_wait(PATIENCE);
    assert_ne!(control.read_raw_until_closed().await.how, Ending::Deadline);
    cut_within_the_promise(&bed, &key, replaced).await;
    let mut control = let_in(&bed, &other).await;
    forbidden(open(&bed, &key).await);

    let removed = Timestamp::now();
    std::fs::remove_file(bed.path("peers/attic.yaml")).unwrap();
    control.set_wait(PATIENCE);
    assert_ne!(control.read_raw_until_closed().await.how, Ending::Deadline);
    cut_within_the_promise(&bed, &other, removed).await;
    forbidden(open(&bed, &other).await);
    assert!(bed.daemon.stderr().unwrap().matches("\"serving\"").count() <= 1, "it never restarted");
}

/// G12: a broken file costs whom it names, and nobody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_broken_manifest_is_named_while_the_others_go_on() {
    let bed = Bed::launch("", &[("REFLECTOR_TESTBED_PACE", "5000000")]).await;
    let (attic, mut control) = bed.appliance("attic").await;
    let (_, mut named) = bed.appliance("cellar").await;
    let (grant, data) = running_download(&mut control).await;

    // Half a file, as an editor that died leaves it. It still names the cellar.
    let path = bed.path("peers/cellar.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text + "  quotas: { bytesPerDay: [\n").unwrap();
    let status = status_until(&bed, "a broken file", |s| s["policy"]["broken"][0].is_object()).await;
    let broken = &status["policy"]["broken"][0];
    assert!(broken["name"].as_str().unwrap().contains("cellar.yaml"), "{broken}");
    assert!(broken["problem"].as_str().unwrap().contains("not YAML"), "{broken}");
    assert_eq!((&status["serving"], &status["policy"]["state"]), (&true.into(), &"current".into()));
    assert_eq!(number(&bed, "reflector_policy_broken_objects").await, 1);
    named.read_raw_until_closed().await;

    let (late, _) = bed.appliance("kitchen").await;
    open(&bed, &late).await.unwrap();
    open(&bed, &attic).await.unwrap();
    let before = data.bytes();
    until(|| (data.bytes() > before).then_some(()), "traffic").await;
    control.close_session(&grant.test_id).await.unwrap();
    assert_eq!(end_of(&bed, &grant).await["reason"], "client_terminated");

    std::fs::remove_file(path).unwrap();
    status_until(&bed, "an end of the trouble", |s| s["policy"]["broken"] == serde_json::json!([])).await;
    assert_eq!(number(&bed, "reflector_policy_broken_objects").await, 0);
}

/// Of two files that name one key the first by name decides; the other is called a duplicate, and takes over when it
/// is alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_second_file_of_one_key_is_a_duplicate() {
    let bed = Bed::start().await;
    let key = Key::generate();
    bed.write_peer(&key, "a-first", "");
    bed.write_peer(&key, "b-second", "  suspend: true\n");
    let status = status_until(&bed, "a duplicate", |s| s["policy"]["broken"][0].is_object()).await;
    let broken = &status["policy"]["broken"][0];
    assert!(broken["name"].as_str().unwrap().contains("b-second.yaml"), "{broken}");
    let problem = broken["problem"].as_str().unwrap();
    assert!(problem.starts_with("Duplicate") && problem.contains("a-first"), "{problem}");
    let list = bed.json(&["peers", "list", "--json"]);
    assert_eq!(
        (&list["peers"][0]["state"], &list["peers"][1]["state"]),
        (&"authorized".into(), &"duplicate".into())
    );
    let (mut control, _) = open(&bed, &key).await.unwrap();

    std::fs::remove_file(bed.path("peers/a-first.yaml")).unwrap();
    control.read_raw_until_closed().await;
    assert_eq!(forbidden(open(&bed, &key).await), "access is revoked");
}

/// A10: `expiresAt` passes in the middle of a test.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_peer_that_expires_during_a_test_loses_it() {
    let bed = Bed::launch("", &[("REFLECTOR_TESTBED_PACE", "5000000")]).await;
    let key = Key::generate();
    bed.write_peer(&key, "guest", "");
    let mut control = let_in(&bed, &key).await;
    let (grant, data) = running_download(&mut control).await;
    let expiry = jiff::Timestamp::now() + Duration::from_secs(2);
    bed.write_peer(&key, "guest", &format!("  expiresAt: {expiry:.3}\n"));
    let moved = data.finish().await.unwrap().bytes;
    assert!(jiff::Timestamp::now() >= expiry, "not before its time");
    control.read_raw_until_closed().await;
    let end = end_of(&bed, &grant).await;
    assert_eq!((&end["reason"], &end["bytes"]), (&"expired".into(), &moved.into()));
    let message = forbidden(open(&bed, &key).await);
    assert!(message.contains("expired"), "{message}");
    let line = bed.audited("peer_removed", |line| line["peer"] == "guest").await;
    assert_eq!(line["reason"], "expired");

    // A later date opens again.
    let later = jiff::Timestamp::now() + Duration::from_secs(600);
    bed.write_peer(&key, "guest", &format!("  expiresAt: {later:.0}\n"));
    let_in(&bed, &key).await;
}
