//! The folder of manifests itself goes away: what was granted holds for the grace, nobody new comes in, and then
//! nobody at all.

use e2e::proc::{Daemon, Ready};

use super::*;

async fn health(bed: &Bed) -> Value {
    serde_json::from_str(&bed::http_get(bed.health, "/health").await).unwrap()
}

fn state(status: &Value) -> &str {
    status["policy"]["state"].as_str().unwrap()
}

/// G12, X2, H2: stale is the last policy, never a wider one.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lost_folder_keeps_known_peers_and_pairs_nobody() {
    let bed = Bed::launch("", &[("REFLECTOR_TESTBED_PACE", "5000000")]).await;
    let (key, mut control) = bed.appliance("attic").await;
    let (grant, data) = running_download(&mut control).await;
    let code = bed.pair();
    assert_eq!(health(&bed).await["status"], "ok");

    std::fs::rename(bed.path("peers"), bed.path("away")).unwrap();
    let status = status_until(&bed, "a stale policy", |s| state(s) == "stale").await;
    assert_eq!(status["serving"], true);
    assert_eq!(status["policy"]["broken"][0]["name"], "policy source");
    let report = health(&bed).await;
    assert_eq!(report["status"], "degraded", "{report}");
    assert!(report["problems"][0].as_str().unwrap().contains("peers folder"), "{report}");
    assert_eq!(number(&bed, "reflector_policy_state{state=\"stale\"}").await, 1);
    // Known peers: the running test, the connection, a new one and its test.
    let before = data.bytes();
    until(|| (data.bytes() > before).then_some(()), "traffic").await;
    control.close_session(&grant.test_id).await.unwrap();
    let (mut again, _) = open(&bed, &key).await.unwrap();
    assert!(again.status().await.is_ok());
    // The other direction on the same connection is the second half of the test: no cooldown.
    control.request(&Test::throughput(1)).await.unwrap().granted().unwrap();
    // Nobody new: neither with the code that is out, nor with a new one.
    let stranger = Key::generate();
    forbidden(open(&bed, &stranger).await);
    let refused = bed.cli(&["pair"]);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("peers folder"));

    std::fs::rename(bed.path("away"), bed.path("peers")).unwrap();
    status_until(&bed, "a current policy", |s| state(s) == "current").await;
    assert_eq!(health(&bed).await["status"], "ok");
    let (mut restricted, _) = open(&bed, &stranger).await.unwrap();
    assert_eq!(restricted.pair(&code).await.unwrap()["success"], true, "the window was only out of reach");
}

/// G12, X2: when the grace is over everybody is out, with the reason, until the folder is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_end_of_the_grace_ends_everything() {
    let access = "[access]\nname = \"attic\"\noffline_grace = \"3s\"\n";
    let bed = Bed::launch(access, &[("REFLECTOR_TESTBED_PACE", "5000000")]).await;
    let (key, mut control) = bed.appliance("attic").await;
    let (grant, data) = running_download(&mut control).await;
    let lost = tokio::time::Instant::now();
    std::fs::rename(bed.path("peers"), bed.path("away")).unwrap();
    data.finish().await.unwrap();
    control.read_raw_until_closed().await;
    assert!(lost.elapsed() >= Duration::from_secs(3), "the grace is kept: {:?}", lost.elapsed());
    assert_eq!(end_of(&bed, &grant).await["reason"], "expired");
    let message = forbidden(open(&bed, &key).await);
    assert!(message.contains("policy source"), "{message}");
    let id = key.endpoint_id();
    let of_ours = |line: &Value| line["peer_id"] == id.as_str() && line["reason"] == "grace_over";
    bed.audited("connection_denied", of_ours).await;
    let status = bed.status();
    assert_eq!((&status["serving"], state(&status)), (&false.into(), "grace_over"));
    assert!(!bed.cli(&["status"]).status.success());
    assert_eq!(health(&bed).await["status"], "degraded");

    std::fs::rename(bed.path("away"), bed.path("peers")).unwrap();
    let_in(&bed, &key).await;
    assert_eq!(bed.status()["serving"], true);
}

/// G12: a policy that was never read is no policy: nobody is known, nobody can pair, and everything says so. What
/// stands in the folder's place is put right without a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_folder_that_cannot_be_read_at_start_grants_nothing() {
    let mut bed = Bed::start().await;
    let (key, _) = bed.appliance("attic").await;
    bed.daemon.kill_9().await.unwrap();
    std::fs::rename(bed.path("peers"), bed.path("away")).unwrap();
    // As a mount that is not there: root may read anything, but not through this.
    std::os::unix::fs::symlink(bed.path("nowhere"), bed.path("peers")).unwrap();
    let config = bed.path("reflector.toml");
    let args = [std::path::Path::new("-c"), &config, std::path::Path::new("serve")];
    bed.daemon = Daemon::spawn(bed::testbed(), bed.dir.path(), args).unwrap();
    bed.daemon.ready(&Ready::Socket(bed.path("admin.sock")), PATIENCE).await.unwrap();
    let status = status_until(&bed, "a reason", |s| s["policy"]["broken"][0].is_object()).await;
    assert_eq!((&status["serving"], state(&status)), (&false.into(), "never_loaded"));
    bed.addr = status["listen_address"].as_str().unwrap().parse().unwrap();
    bed.health = status["health_address"].as_str().unwrap().parse().unwrap();
    let report = health(&bed).await;
    assert_eq!((&report["status"], &report["problems"][0]), (&"degraded".into(), &"no policy loaded".into()));
    let message = forbidden(open(&bed, &key).await);
    assert!(message.contains("no policy"), "{message}");
    assert!(!bed.cli(&["pair"]).status.success());
    let id = key.endpoint_id();
    bed.audited("connection_denied", |l| l["peer_id"] == id.as_str() && l["reason"] == "no_policy").await;

    std::fs::rename(bed.path("away"), bed.path("nowhere")).unwrap();
    let mut control = let_in(&bed, &key).await;
    control.request(&Test::throughput(1)).await.unwrap().granted().unwrap();
    assert_eq!(bed.status()["serving"], true);
}
