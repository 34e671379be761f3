//! Many objects, and the wait until nobody has anything more to do about them.

use std::time::Duration;

use anyhow::{Result, bail};
use e2e::appliance::Key;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::scene::{Scene, create, object, reflector_name};

/// Requests at one time.
const AT_ONCE: usize = 16;
/// Pods that start at one time: more would wait for each other.
const STARTING: usize = 8;
/// On busy cores.
const PATIENCE: Duration = Duration::from_secs(60 * 60);
const LOOK: Duration = Duration::from_secs(5);

/// Reflectors that serve, in turn on each of the bed's nodes: one node takes 110 pods.
pub(super) async fn serving(scene: &Scene, count: u16) -> Result<()> {
    let nodes: Vec<String> = scene.bed().layout().nodes().map(|node| node.name).collect();
    for node in nodes.iter().skip(1) {
        scene.bring(node).await?;
    }
    let all = (0..count).zip(nodes.iter().cycle()).map(|(number, node)| async move {
        let place = json!({ "placement": { "nodeSelector": { "kubernetes.io/hostname": node } } });
        scene.serve(number, &place).await.map(drop)
    });
    stream::iter(all).buffer_unordered(STARTING).try_collect::<Vec<()>>().await?;
    anstream::eprintln!("{count} reflectors serve");
    Ok(())
}

/// Reflectors, made at once; nobody waits for them.
pub(super) async fn reflectors(
    scene: &Scene,
    numbers: std::ops::Range<u16>,
    more: impl Fn(u16) -> Value,
) -> Result<()> {
    let api = scene.reflectors();
    let made = stream::iter(numbers.clone())
        .map(|number| create(&api, scene.reflector(number, false, &more(number))))
        .buffer_unordered(AT_ONCE);
    made.try_collect::<Vec<()>>().await?;
    anstream::eprintln!("{} reflectors more", numbers.len());
    Ok(())
}

/// Peers whose appliances are known, in turn for each of so many reflectors.
pub(super) async fn peers(scene: &Scene, count: u16, reflectors: u16) -> Result<()> {
    let api = scene.peers();
    let made = stream::iter(0..count).map(|number| {
        create(&api, peer(&format!("p-{number}"), &reflector_name(number % reflectors.max(1))))
    });
    made.buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    anstream::eprintln!("{count} peers");
    Ok(())
}

/// A peer of a reflector, with a key of its own.
pub(super) fn peer(name: &str, reflector: &str) -> Value {
    let spec = json!({
        "reflectorRef": { "kind": "Reflector", "name": reflector },
        "endpointId": Key::generate().endpoint_id(),
    });
    object("ReflectorPeer", name, &spec)
}

/// Waits until neither the operator nor anybody else has written for so long.
pub(super) async fn calm(scene: &Scene, silence: Duration) -> Result<()> {
    let began = Instant::now();
    let mut tick = interval(LOOK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = (scene.writes().await?, scene.operator_writes().await?);
    let mut since = Instant::now();
    while since.elapsed() < silence {
        tick.tick().await;
        let now = (scene.writes().await?, scene.operator_writes().await?);
        if now != last {
            (last, since) = (now, Instant::now());
        }
        if began.elapsed() > PATIENCE {
            bail!("it writes on and on: {last:?}");
        }
    }
    anstream::eprintln!("calm after {:.0?}", began.elapsed().saturating_sub(silence));
    Ok(())
}
