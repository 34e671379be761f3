//! How soon one object is in force on every member of a fleet, by the API server's own times.

use anyhow::{Context as _, Result, ensure};
use crds::{Reflector, ReflectorPeer};
use e2e::scenario::{MINUTE, Scenario, alone, wait_until};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::ListParams;
use serde_json::{Value, json};

use super::fleets::{create, label, set_label};
use super::pairing::acting::{appliance, create_peer, says as peer_says, until};
use super::running::{Operator, image_on};
use super::says;
use crate::chart;
use crate::crds::install;

const MEMBERS: [(&str, &str); 2] = [("homes-node-1", "node-1"), ("homes-node-2", "node-2")];
/// Peers that are made, one after the other.
const ROUNDS: u8 = 10;
/// What is promised for each of them.
const SECONDS: i64 = 5;
/// A busy machine may be late for one of them.
const LATE: usize = 1;

/// F6: what a member has not loaded is said with its name.
#[tokio::test]
async fn one_peer_is_in_force_on_every_member_within_five_seconds_and_who_has_not_loaded_it_is_named() {
    alone("fleets-reached", async |story: &mut Scenario| {
        let home = label(story, "home");
        let operator = fleet(story, &home).await?;
        let mut took = Vec::new();
        for round in 0..ROUNDS {
            let name = format!("den-{round}");
            make(story, &name, round).await?;
            took.push(seconds(&authorized(story, &name).await?)?);
        }
        println!("  seconds from the object to the last of {} members: {took:?}", MEMBERS.len());
        let late = took.iter().filter(|took| **took > SECONDS).count();
        ensure!(late <= LATE, "{late} of {ROUNDS} were later than {SECONDS} s: {took:?}");

        let pod = pod_of(story, MEMBERS[1].0).await?;
        let still = story.container(&pod).await?;
        story.bed.pause(still.still()).await?;
        let named = straggler(story).await;
        story.bed.resume(still.still()).await?;
        named?;
        authorized(story, "late").await?;
        for (_, node) in MEMBERS {
            set_label(story, node, &home, None).await?;
        }
        operator.end().await
    })
    .await;
}

/// A fleet of two members that serve.
async fn fleet(story: &Scenario, home: &str) -> Result<Operator> {
    install(story).await?;
    chart::apply(story, &["templates/access/endpoint.yaml"]).await?;
    chart::apply(story, &chart::POLICIES).await?;
    let operator = Operator::start(story, &[]).await?;
    for (_, node) in MEMBERS {
        image_on(story, node, "reaching").await?;
        set_label(story, node, home, Some("yes")).await?;
    }
    let template = json!({ "spec": {
        "image": { "tag": "reaching", "pullPolicy": "Never" },
        "network": { "port": 17040, "healthPort": 17041 },
    } });
    create(story, home, 17040, &json!({ "template": template })).await?;
    for (member, _) in MEMBERS {
        wait_until(&format!("{member} is made"), MINUTE, async || {
            Ok(story.api::<Reflector>().get(member).await?)
        })
        .await?;
        says(story, member, "Ready", "True", "Serving").await?;
    }
    Ok(operator)
}

async fn make(story: &Scenario, name: &str, key: u8) -> Result<()> {
    let reference: Value = json!({ "kind": "ReflectorFleet", "name": "homes" });
    let more = json!({ "reflectorRef": reference, "endpointId": appliance(key) });
    create_peer(story, name, &more).await.map(drop)
}

async fn authorized(story: &Scenario, name: &str) -> Result<ReflectorPeer> {
    until(story, name, "Ready", |status| peer_says(status, "Ready", "Authorized")).await
}

/// From the moment the object was made to the last first word of a member, as the API server has them, to the second.
fn seconds(peer: &ReflectorPeer) -> Result<i64> {
    let created = peer.creation_timestamp().context("when it was made")?.0;
    let word = |member: &str| {
        let manager = format!("rfl-{member}");
        let entry = peer.managed_fields().iter().find(|one| one.manager.as_deref() == Some(manager.as_str()));
        entry
            .and_then(|one| one.time.as_ref())
            .map(|time| time.0.as_second())
            .with_context(|| format!("{member} said nothing"))
    };
    let words = MEMBERS.iter().map(|(member, _)| word(member)).collect::<Result<Vec<_>>>()?;
    let last = words.into_iter().max().context("there are members")?;
    Ok(last - created.as_second())
}

/// One member stands still: the peer names it, and not the other.
async fn straggler(story: &Scenario) -> Result<()> {
    make(story, "late", ROUNDS).await?;
    let late = until(story, "late", "loaded by one of two", |status| {
        status.reflectors.iter().any(|entry| entry.name == MEMBERS[0].0 && entry.loaded_generation.is_some())
            && status.conditions.iter().any(|one| one.type_ == "Ready" && !one.message.contains(MEMBERS[0].0))
            && peer_says(status, "Ready", "NotLoaded")
    })
    .await?;
    let status = late.status.unwrap_or_default();
    let ready = status.conditions.iter().find(|one| one.type_ == "Ready").context("it has no Ready")?;
    ensure!(ready.message.contains(MEMBERS[1].0), "{}", ready.message);
    let entry = status.reflectors.iter().find(|entry| entry.name == MEMBERS[1].0).context("its entry")?;
    ensure!(entry.loaded_generation.is_none(), "{entry:?}");
    Ok(())
}

async fn pod_of(story: &Scenario, member: &str) -> Result<String> {
    let selector = ListParams::default().labels(&format!("packetparamedic.io/reflector={member}"));
    let pods = story.api::<Pod>().list(&selector).await?;
    pods.items.first().map(Pod::name_any).context("it has no pod")
}
