//! Many objects, and the wait until the operator has nothing more to do about them.

use std::time::Duration;

use anyhow::{Result, bail};
use e2e::appliance::Key;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::scene::{Scene, create, object, reflector_name};

/// Requests at one time.
const AT_ONCE: usize = 16;
/// Nothing was written for so long: whatever waits a minute has had its turn.
const CALM: Duration = Duration::from_secs(90);
/// For ten thousand objects on two busy cores.
const PATIENCE: Duration = Duration::from_secs(60 * 60);
const LOOK: Duration = Duration::from_secs(10);

/// Makes reflectors, the first of which serve, and peers whose appliances are known, in turn for each; then waits for calm.
pub(super) async fn gather(scene: &Scene, serving: u16, waiting: u16, peers: u16) -> Result<()> {
    for number in 0..serving {
        scene.serve(number, &json!({})).await?;
    }
    let reflectors = scene.reflectors();
    let all = serving + waiting;
    let waiting = stream::iter(serving..all)
        .map(|number| create(&reflectors, scene.reflector(number, false, &json!({}))))
        .buffer_unordered(AT_ONCE);
    waiting.try_collect::<Vec<()>>().await?;
    anstream::eprintln!("{all} reflectors");
    let api = scene.peers();
    let made = stream::iter(0..peers).map(|number| {
        let spec = json!({
            "reflectorRef": { "kind": "Reflector", "name": reflector_name(number % all.max(1)) },
            "endpointId": Key::generate().endpoint_id(),
        });
        create(&api, object("ReflectorPeer", &format!("p-{number}"), &spec))
    });
    made.buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    anstream::eprintln!("{peers} peers");
    calm(scene).await
}

/// Waits until neither the operator nor anybody else has written for a while.
async fn calm(scene: &Scene) -> Result<()> {
    let began = Instant::now();
    let mut tick = interval(LOOK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = (scene.writes().await?, scene.operator_writes().await?);
    let mut since = Instant::now();
    while since.elapsed() < CALM {
        tick.tick().await;
        let now = (scene.writes().await?, scene.operator_writes().await?);
        if now != last {
            (last, since) = (now, Instant::now());
        }
        if began.elapsed() > PATIENCE {
            bail!("it writes on and on: {last:?}");
        }
    }
    anstream::eprintln!("calm after {:.0?}", began.elapsed().saturating_sub(CALM));
    Ok(())
}
