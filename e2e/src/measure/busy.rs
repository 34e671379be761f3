//! What is written while appliances measure again and again, each on a network of its own: an address gets one control port
//! without a tunnel, and it is machines that measure, not ports.

use std::convert::Infallible;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, ensure};
use e2e::appliance::Key;
use e2e::measuring::{Measured, Tester};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::minutes::{by_minute, rows};
use super::moments::{is_true, moments};
use super::scene::{Scene, create, object, reflector_name};
use super::spread::Row;

/// Small, so that many end in a minute: each end is use that changed.
const TEST: [&str; 6] = ["--down", "-t", "5", "-P", "1", "--json"];
/// A MB in five seconds: the machine is not what is measured.
const PACE: &str = "2M";

/// What `reflector test` ends with.
const MEASURED: i32 = 0;
const NOT_REACHED: i32 = 1;

/// The first minute is not counted: in it, everybody starts.
pub(super) async fn measure(scene: &mut Scene, peers: u16, minutes: u16) -> Result<Vec<Row>> {
    let quotas = json!({ "quotas": {
        "cooldown": "0s", "testsPerHour": 1000, "maxConcurrentTests": 64, "maxRate": PACE,
    } });
    let (id, address) = scene.serve(0, &quotas).await?;
    let address = format!("{id}@{address}");
    let home = tempfile::tempdir().context("make a folder for keys")?;
    let ended = Arc::<Ended>::default();
    let mut all = JoinSet::new();
    for number in 0..peers {
        let name = format!("p-{number}");
        let tester = appliance(scene, &home.path().join(&name), &name).await?;
        all.spawn(again_and_again(tester, name, address.clone(), Arc::clone(&ended)));
    }
    anstream::eprintln!("{peers} appliances measure; the first minute is not counted");
    let counting = async {
        by_minute(scene, 1).await?;
        let before = ended.so_far();
        let all = by_minute(scene, minutes).await?;
        let now = ended.so_far();
        anyhow::Ok((all, [now.0 - before.0, now.1 - before.1]))
    };
    // Nobody of them ends but with an error.
    let (counted, tests) = tokio::select! {
        counted = counting => counted?,
        Some(one) = all.join_next() => match one.context("run an appliance")? {
            Ok(never) => match never {},
            Err(error) => return Err(error),
        },
    };
    all.shutdown().await;
    let tests = tests.map(|count| vec![f64::from(count) / f64::from(minutes)]).into_iter();
    let tests = ["tests that ended, on average", "of them not reached in time"].into_iter().zip(tests);
    let tests = tests.map(|(what, mean)| Row::new(format!("{peers} peers: {what}"), "a minute", mean));
    Ok(tests.chain(rows(&format!("{peers} peers measure"), &counted)).collect())
}

/// Tests that ended.
#[derive(Default)]
struct Ended {
    all: AtomicU32,
    /// Those that the reflector had no time for: other work keeps the machine busy. They are told, and another follows.
    late: AtomicU32,
}

impl Ended {
    fn so_far(&self) -> (u32, u32) {
        (self.all.load(Ordering::Relaxed), self.late.load(Ordering::Relaxed))
    }
}

/// Somebody on a network of their own, whom the Reflector knows.
async fn appliance(scene: &mut Scene, home: &Path, name: &str) -> Result<Tester> {
    let way = scene.appliance(&format!("measuring-{name}")).await?;
    let tester = Tester::new(&scene.reflector, home, way)?;
    let (key, file) = (Key::generate(), home.join("key"));
    std::fs::write(&file, key.seed()).context("write an appliance's key")?;
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).context("keep its key to it")?;
    let spec = json!({
        "reflectorRef": { "kind": "Reflector", "name": reflector_name(0) },
        "endpointId": key.endpoint_id(),
    });
    let peers = scene.peers();
    create(&peers, object("ReflectorPeer", name, &spec)).await?;
    moments(&peers, name, Instant::now(), [&|peer| is_true(peer, "Ready")]).await?;
    Ok(tester)
}

async fn again_and_again(
    tester: Tester,
    name: String,
    address: String,
    ended: Arc<Ended>,
) -> Result<Infallible> {
    loop {
        let words: Vec<&str> = [address.as_str()].into_iter().chain(TEST).collect();
        let measured = tester.measure(&words)?.end().await?;
        let Measured { code, told, .. } = measured;
        ensure!(code == MEASURED || code == NOT_REACHED, "{name}'s test ended with {code}: {told}");
        if code == NOT_REACHED {
            anstream::eprintln!("{name}: {}", told.trim());
            ended.late.fetch_add(1, Ordering::Relaxed);
        }
        ended.all.fetch_add(1, Ordering::Relaxed);
    }
}
