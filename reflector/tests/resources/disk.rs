//! A full disk: for the audit log as its owner chose, for the ledger always no.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use e2e::appliance::{Appliance, Connection, Key, Test};
use e2e::confine::{Confine, disk_of};
use serde_json::Value;
use tokio::time::Instant;

use crate::bed::{Bed, PATIENCE, http_get, testbed, until};
use crate::good::{Good, run};
use crate::{GENEROUS, count};

/// A disk small enough to fill in no time.
const DISK: u64 = 8 * 1024 * 1024;

const AUDIT_ON_DISK: &[(&str, &str)] = &[("REFLECTOR__LOGGING__AUDIT_LOG_PATH", "audit.jsonl")];
const FAILING: &str = "reflector_audit_failing";
const LOST: &str = "reflector_audit_lost_total";

/// A reflector with a small disk for some of its files; `None` where nobody may mount one.
struct Small {
    bed: Bed,
}

impl Small {
    async fn start(extra: &str, on_disk: &[(&str, &str)]) -> Option<Self> {
        if let Some(why) = Confine::missing() {
            e2e::skipping::skip_test(&format!("a disk of its own: {why}"));
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let disk = dir.path().join("disk");
        std::fs::create_dir(&disk).unwrap();
        // A peers folder that is named must exist.
        std::fs::create_dir(dir.path().join("peers")).unwrap();
        let beside = |name: &str| dir.path().join(name);
        let mut env = vec![
            ("REFLECTOR__NETWORK__ADMIN_SOCKET", beside("admin.sock")),
            ("REFLECTOR__ACCESS__PEERS_DIR", beside("peers")),
            ("REFLECTOR__LOGGING__AUDIT_LOG_PATH", beside("audit.jsonl")),
        ];
        env.extend(on_disk.iter().map(|(key, name)| (*key, disk.join(name))));
        let confine = Confine::default().disk(&disk, DISK);
        let bed = Bed::launch_as(testbed(), dir, extra, |spawn| {
            env.into_iter().fold(spawn.confined(confine), |spawn, (key, value)| spawn.env(key, value))
        })
        .await;
        Some(Self { bed })
    }

    fn on_disk(&self, name: &str) -> PathBuf {
        disk_of(self.bed.daemon.pid(), &self.bed.path("disk").join(name))
    }

    /// Until not one more byte fits.
    fn fill(&self) {
        let mut filler = File::create(self.on_disk("filler")).unwrap();
        let block = vec![0; 4096];
        let full = loop {
            if let Err(full) = filler.write_all(&block) {
                break full;
            }
        };
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    }

    fn free(&self) {
        std::fs::remove_file(self.on_disk("filler")).unwrap();
    }

    fn problem(&self, about: &str) -> Option<String> {
        let problems = self.bed.status()["problems"].as_array().unwrap().clone();
        problems.iter().filter_map(Value::as_str).find(|text| text.contains(about)).map(str::to_owned)
    }

    fn audit(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.on_disk("audit.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The next lines say how many are missing before them, and the chain holds.
    async fn tells_what_it_lost(&self) {
        let lost = count(&self.bed, LOST).await;
        let told = || self.audit().iter().filter_map(|line| line["lost"].as_u64()).sum::<u64>();
        until(|| (told() == lost as u64).then_some(()), "a line that says what was lost").await;
        let log = self.on_disk("audit.jsonl");
        assert!(self.bed.cli(&["audit", "verify", log.to_str().unwrap()]).status.success());
    }

    async fn health(&self) -> Value {
        serde_json::from_str(&http_get(self.bed.health, "/health").await).unwrap()
    }
}

/// One request that must be denied because something cannot be written.
async fn is_denied(connection: &mut Connection, because: &str) {
    let denial = connection.request(&Test::throughput(5)).await.unwrap().denied().unwrap();
    assert_eq!((denial.reason.as_str(), denial.retry_after_sec), ("busy", Some(60)), "{denial}");
    assert!(denial.message.contains(because), "{denial}");
}

/// L3
#[tokio::test]
async fn a_full_disk_stops_no_test_when_the_audit_log_may_lose_lines() {
    let Some(small) = Small::start(GENEROUS, AUDIT_ON_DISK).await else { return };
    let bed = &small.bed;
    let good = Good::new(bed, "good");
    good.is_served().await;
    small.fill();
    // The last block has room for a few more lines.
    while count(bed, FAILING).await == 0 {
        good.is_served().await;
    }
    good.is_served().await;
    assert_eq!(small.health().await["status"], "degraded");
    assert!(small.problem("audit log").unwrap().contains("disk full"));
    assert_eq!(bed.status()["serving"], true);
    let lost = count(bed, LOST).await;
    assert!(lost >= 2, "{lost}");

    small.free();
    good.is_served().await;
    until(|| small.problem("audit log").is_none().then_some(()), "an audit log that is written").await;
    assert_eq!(count(bed, FAILING).await, 0);
    small.tells_what_it_lost().await;
}

/// L3
#[tokio::test]
async fn a_full_disk_stops_new_tests_when_every_line_must_be_kept() {
    let extra = format!("[logging]\naudit_on_failure = \"deny\"\n{GENEROUS}");
    let Some(small) = Small::start(&extra, AUDIT_ON_DISK).await else { return };
    let bed = &small.bed;
    let (good, other) = (Good::new(bed, "good"), Good::new(bed, "other"));
    let mut running = other.connect().await.unwrap();
    let test = running.request(&Test::throughput(30)).await.unwrap().granted().unwrap();
    let mut connection = good.connect().await.unwrap();
    small.fill();
    while let Ok(grant) = connection.request(&Test::throughput(5)).await.unwrap().granted() {
        run(&grant).await;
    }
    // As often as it likes: more often than its denials would be written.
    for _ in 0..15 {
        is_denied(&mut connection, "audit log").await;
    }
    assert_eq!(small.health().await["status"], "degraded");
    assert!(small.problem("audit log").is_some());
    assert_eq!(bed.status()["serving"], false);
    assert_eq!(bed.cli(&["status"]).status.code(), Some(2));
    // What was granted before goes on, and who is known is still answered.
    run(&test).await;
    connection.status().await.unwrap();

    // Every request it denies tries the log again.
    small.free();
    let freed = Instant::now();
    let grant = loop {
        match connection.request(&Test::throughput(5)).await.unwrap().granted() {
            Ok(grant) => break grant,
            Err(denied) => assert!(freed.elapsed() < PATIENCE, "{denied}"),
        }
    };
    run(&grant).await;
    assert!(small.problem("audit log").is_none());
    assert_eq!(bed.status()["serving"], true);
    small.tells_what_it_lost().await;
}

/// L3
#[tokio::test]
async fn a_full_ledger_grants_nothing_until_there_is_space() {
    let on_disk = &[("REFLECTOR__IDENTITY__PRIVATE_KEY_PATH", "identity.ed25519")];
    let Some(small) = Small::start(GENEROUS, on_disk).await else { return };
    let bed = &small.bed;
    let (good, other) = (Good::new(bed, "good"), Good::new(bed, "other"));
    good.is_served().await;
    let mut running = other.connect().await.unwrap();
    let test = running.request(&Test::throughput(30)).await.unwrap().granted().unwrap();
    let mut connection = good.connect().await.unwrap();
    let before = connection.status().await.unwrap();
    small.fill();
    for _ in 0..3 {
        is_denied(&mut connection, "record usage").await;
    }
    assert_eq!(small.health().await["status"], "degraded");
    assert!(small.problem("ledger").unwrap().contains("disk full"));
    assert_eq!(bed.status()["serving"], false);
    assert_eq!(bed.cli(&["status"]).status.code(), Some(2));
    assert_eq!(http_get(bed.health, "/livez").await, "alive\n", "a restart would free nothing");
    // What was granted before goes on and is counted; denied requests cost the peer none of its tests.
    let moved = run(&test).await;
    assert_eq!(running.status().await.unwrap()["bytes_today"], moved);
    assert_eq!(connection.status().await.unwrap()["tests_today"], before["tests_today"]);

    // The next request finds the space, and what was counted meanwhile is written with it.
    small.free();
    good.is_served().await;
    assert!(small.problem("ledger").is_none());
    assert_eq!(bed.status()["serving"], true);
    assert_eq!(small.health().await["status"], "ok");
    assert_eq!(running.status().await.unwrap()["bytes_today"], moved);
}

/// A3: whom the disk had no room for may use its code again.
#[tokio::test]
async fn a_code_is_spent_only_when_its_appliance_is_written_down() {
    let Some(small) = Small::start("", &[("REFLECTOR__ACCESS__PEERS_DIR", ".")]).await else { return };
    let bed = &small.bed;
    let code = bed.pair();
    small.fill();
    let key = Key::generate();
    let (mut connection, _) = Appliance::builder(key.clone()).open(bed.addr).await.unwrap();
    let refused = connection.pair(&code).await.unwrap();
    let message = refused["message"].as_str().unwrap();
    assert!(refused["success"] == false && message.contains("could not write you down"), "{refused}");

    small.free();
    let paired = connection.pair(&code).await.unwrap();
    assert_eq!(paired["success"], true, "{paired}");
    bed.audited("peer_paired", |line| line["peer_id"] == key.endpoint_id().as_str()).await;
}
