//! From `suspend: true` to the moment when the appliance has lost all its sockets, in the middle of a transfer.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::appliance::{Appliance, Connection, Key, Test};
use kube::api::DeleteParams;
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::download::Download;
use super::moments::moments;
use super::scene::{Scene, create, edit, object, reflector_name};
use super::spread::Row;

/// A test runs when so much has moved.
const UNDER_WAY: u64 = 1_000_000;
/// 20 MB a second: traffic that never stops, and leaves the machine time for the rest.
const PACE: &str = "160M";
/// Until a connection is let in again, or a cut is felt.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

pub(super) async fn measure(scene: &Scene, rounds: u16) -> Result<Vec<Row>> {
    let quotas = json!({ "quotas": { "cooldown": "0s", "testsPerHour": 10_000, "maxRate": PACE } });
    let (_, address) = scene.serve(0, &quotas).await?;
    let address = address.parse().context("read the address")?;
    let (mut still, mut cuts, mut said) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=rounds {
        let cut = one(scene, address, &format!("p-{round}")).await.with_context(|| format!("cut {round}"))?;
        still.push(cut.still);
        cuts.push(cut.closed);
        said.push(cut.said);
        if round % 10 == 0 {
            anstream::eprintln!("{round} of {rounds} cuts");
        }
    }
    Ok(vec![
        Row::times("`suspend: true` sent → its data socket closed", &still),
        Row::times("`suspend: true` sent → its last socket closed", &cuts),
        Row::new("the change reached the reflector → its last socket closed, by its own word", "ms", said),
    ])
}

/// What came of one.
struct Cut {
    still: Duration,
    closed: Duration,
    /// Of the reflector, in milliseconds.
    said: f64,
}

/// Somebody new measures and is cut. Nobody is cut twice: two cuts in one second may read the same in a status.
async fn one(scene: &Scene, address: SocketAddr, name: &str) -> Result<Cut> {
    let (key, peers) = (Key::generate(), scene.peers());
    let spec = json!({
        "reflectorRef": { "kind": "Reflector", "name": reflector_name(0) },
        "endpointId": key.endpoint_id(),
    });
    create(&peers, object("ReflectorPeer", name, &spec)).await?;
    let mut link = let_in(address, &key).await?;
    let grant = link.request(&Test::throughput(60).streams(1).download()).await?.granted()?;
    let download = Download::begin(&grant, UNDER_WAY).await?;
    link.set_wait(PATIENCE);
    let linked = async {
        link.read_raw_until_closed().await;
        Ok(Instant::now())
    };
    let began = Instant::now();
    let suspend = async { edit(&peers, name, &json!({ "suspend": true })).await };
    let (linked, (data, control), _) = tokio::try_join!(linked, download.closed(), suspend)?;
    let told = |peer: &Value| peer["status"]["reflectors"][0]["revocation"]["latencyMs"].is_number();
    moments(&peers, name, began, [&told]).await?;
    let entry = peers.get(name).await?.data["status"]["reflectors"][0].clone();
    ensure!(entry["lastTest"]["endReason"] == "suspended", "it ended otherwise: {entry}");
    let said = entry["revocation"]["latencyMs"].as_f64().context("no latency is written down")?;
    peers.delete(name, &DeleteParams::default()).await.context("delete the peer")?;
    let closed = linked.max(data).max(control).duration_since(began);
    Ok(Cut { still: data.duration_since(began), closed, said })
}

/// Connects as soon as policy lets it.
async fn let_in(address: SocketAddr, key: &Key) -> Result<Connection> {
    let mut tick = interval(LOOK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let coming = async {
        loop {
            tick.tick().await;
            match Appliance::builder(key.clone()).open(address).await {
                Ok((connection, _)) => return Ok(connection),
                Err(refused) if refused.code() == Some(403) => {}
                Err(other) => return Err(anyhow::Error::new(other)),
            }
        }
    };
    timeout(PATIENCE, coming).await.context("it is not let in")?
}
