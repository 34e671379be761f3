//! What is written into the datastore while peers measure: little.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use e2e::appliance::data::{Limits, Running, Target, transfer};
use e2e::appliance::{Appliance, Connection, Direction, Key, Test};
use serde_json::json;
use tokio::time::interval;

use super::moments::{is_true, moments};
use super::scene::{Scene, create, object, reflector_name};
use super::spread::Row;

const MINUTE: Duration = Duration::from_secs(60);
/// The longest test there is: 300 s.
const TEST: u64 = 300;

/// While each of these peers has a test that runs. The first minute is not counted: in it, everybody starts.
pub(super) async fn busy(scene: &Scene, peers: u16, minutes: u16) -> Result<Vec<Row>> {
    let quotas = json!({ "quotas": {
        "maxTestDuration": "300s", "maxConcurrentTests": 64, "cooldown": "0s", "maxRate": "1M",
    } });
    let (_, address) = scene.serve(0, &quotas).await?;
    let address = address.parse().context("read the address")?;
    let mut running = Vec::new();
    for number in 0..peers {
        running.push(begin(scene, number, address).await?);
    }
    by_minute(scene, 1).await?;
    let (ours, operator) = by_minute(scene, minutes.min(3)).await?;
    let moved = running.iter().filter(|(_, data)| !data.is_finished()).count();
    anyhow::ensure!(moved == running.len(), "only {moved} of {peers} tests still run");
    let what = format!("{peers} peers measure");
    Ok(vec![
        Row::new(format!("{what}: writes to our kinds, by anybody, a minute"), "", ours),
        Row::new(format!("{what}: of them the operator's, a minute"), "", operator),
    ])
}

async fn begin(
    scene: &Scene,
    number: u16,
    address: SocketAddr,
) -> Result<(Connection, Running<e2e::appliance::data::Moved>)> {
    let (key, name, peers) = (Key::generate(), format!("p-{number}"), scene.peers());
    let spec = json!({
        "reflectorRef": { "kind": "Reflector", "name": reflector_name(0) },
        "endpointId": key.endpoint_id(),
    });
    create(&peers, object("ReflectorPeer", &name, &spec)).await?;
    moments(&peers, &name, tokio::time::Instant::now(), [|peer| is_true(peer, "Ready")]).await?;
    let (mut control, _) = Appliance::builder(key).open(address).await?;
    let grant = control.request(&Test::throughput(TEST).download()).await?.granted()?;
    Ok((control, transfer(&Target::from(&grant), Direction::Download, Limits::default())))
}

/// Writes in each of the next minutes: to our kinds, and the operator's.
async fn by_minute(scene: &Scene, minutes: u16) -> Result<(Vec<f64>, Vec<f64>)> {
    let (mut ours, mut operator) = (Vec::new(), Vec::new());
    let mut tick = interval(MINUTE);
    tick.tick().await;
    let mut last = (scene.writes().await?, scene.operator_writes().await?);
    for _ in 0..minutes {
        tick.tick().await;
        let now = (scene.writes().await?, scene.operator_writes().await?);
        ours.push(now.0 - last.0);
        operator.push(now.1 - last.1);
        anstream::eprintln!("a minute: {} to our kinds, {} of the operator", now.0 - last.0, now.1 - last.1);
        last = now;
    }
    Ok((ours, operator))
}
