//! From `suspend: true` to the moment when the appliance has lost both its sockets, in the middle of a transfer.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::appliance::data::{Limits, Target, transfer};
use e2e::appliance::{Appliance, Connection, Direction, Key, Test};
use futures_util::future::try_join_all;
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::moments::moments;
use super::scene::{Scene, create, edit, object, reflector_name};
use super::spread::Row;

/// Peers that are cut beside each other. From one address one test at a time gets the control port without a tunnel.
const LANES: u16 = 1;
/// A test runs when so much has moved.
const UNDER_WAY: u64 = 1_000_000;
/// Until a connection is let in again, bytes move, or a cut is felt.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(5);

pub(super) async fn measure(scene: &Scene, rounds: u16) -> Result<Vec<Row>> {
    let quotas = json!({ "quotas": {
        "cooldown": "0s", "testsPerHour": 10_000, "maxConcurrentTests": LANES, "maxRate": "160M",
    } });
    let (_, address) = scene.serve(0, &quotas).await?;
    let address = address.parse().context("read the address")?;
    let lanes = (0..LANES).map(|lane| one_lane(scene, address, lane, rounds.div_ceil(LANES)));
    let all = try_join_all(lanes).await?.concat();
    let (cuts, said): (Vec<Duration>, Vec<f64>) = all.into_iter().unzip();
    Ok(vec![
        Row::times("`suspend: true` sent → both sockets closed", &cuts),
        Row::new("of it, after the change reached the reflector, by its own word", "ms", said),
    ])
}

async fn one_lane(
    scene: &Scene,
    address: SocketAddr,
    lane: u16,
    rounds: u16,
) -> Result<Vec<(Duration, f64)>> {
    let (key, name, peers) = (Key::generate(), format!("p-{lane}"), scene.peers());
    let spec = json!({
        "reflectorRef": { "kind": "Reflector", "name": reflector_name(0) },
        "endpointId": key.endpoint_id(),
    });
    create(&peers, object("ReflectorPeer", &name, &spec)).await?;
    let mut all = Vec::new();
    for _ in 0..rounds {
        let mut control = let_in(address, &key).await?;
        let grant = control.request(&Test::throughput(60).download()).await?.granted()?;
        let data = transfer(&Target::from(&grant), Direction::Download, Limits::default());
        let mut tick = interval(LOOK);
        let moving = async {
            while data.bytes() < UNDER_WAY {
                tick.tick().await;
            }
        };
        timeout(PATIENCE, moving).await.context("no bytes move")?;
        control.set_wait(PATIENCE);
        let data = async {
            let moved = data.finish().await?;
            anyhow::Ok((Instant::now(), moved.how))
        };
        let control = async {
            let closed = control.read_raw_until_closed().await;
            Ok((Instant::now(), closed.how))
        };
        let began = Instant::now();
        let suspend = async { edit(&peers, &name, &json!({ "suspend": true })).await };
        let ((data, how), (control, _), generation) = tokio::try_join!(data, control, suspend)?;
        ensure!(how.is_some(), "the transfer ended by itself");
        let took = data.max(control).duration_since(began);
        moments(
            &peers,
            &name,
            began,
            [|peer| peer["status"]["reflectors"][0]["revocation"]["latencyMs"].is_number()],
        )
        .await?;
        let entry = peers.get(&name).await?.data["status"]["reflectors"][0].clone();
        ensure!(entry["loadedGeneration"].as_i64() == Some(generation), "another edit came between: {entry}");
        let said = entry["revocation"]["latencyMs"].as_f64().context("no latency is written down")?;
        all.push((took, said));
        edit(&peers, &name, &json!({ "suspend": null })).await?;
        moments(&peers, &name, began, [|peer| peer["status"]["reflectors"][0]["revocation"].is_null()])
            .await?;
    }
    Ok(all)
}

/// Connects as soon as policy lets it.
async fn let_in(address: SocketAddr, key: &Key) -> Result<Connection> {
    let mut tick = interval(LOOK * 10);
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
