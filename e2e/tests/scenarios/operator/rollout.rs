//! A change of a fleet's template on reflectors that serve: the next is changed only when the last serves again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use crds::{Reflector, ReflectorFleet};
use e2e::scenario::{MINUTE, Scenario, scenario, wait_until};
use futures_util::TryStreamExt as _;
use kube::ResourceExt as _;
use kube::api::{ListParams, WatchEvent, WatchParams};
use serde_json::json;
use tokio::time::timeout;

use super::fleets::{create, edit, label, set_label};
use super::running::{Operator, image_on};
use crate::chart;
use crate::crds::install;

/// Two pods, one after the other, each with its start and its end.
const ROLLOUT: Duration = Duration::from_secs(180);

/// F5, the part of it that needs no test running.
#[tokio::test]
async fn a_change_of_the_template_interrupts_one_member_at_a_time() {
    scenario("fleets-rollout", async |story: &mut Scenario| {
        install(story).await?;
        chart::apply(story, &["templates/access/endpoint.yaml"]).await?;
        let home = label(story, "home");
        for node in ["node-1", "node-2"] {
            image_on(story, node, "fleet").await?;
            set_label(story, node, &home, Some("yes")).await?;
        }
        let operator = Operator::start(story, &[]).await?;
        create(
            story,
            &home,
            15100,
            &json!({ "template": { "spec": {
            "image": { "tag": "fleet", "pullPolicy": "Never" },
            "network": { "port": 15100, "healthPort": 15101 },
        } } }),
        )
        .await?;
        let fleets = story.api::<ReflectorFleet>();
        let all_ready = async || {
            let status = fleets.get("homes").await?.status.unwrap_or_default();
            let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
            ensure!(ready.is_some_and(|ready| ready.reason == "AllReady"), "{status:?}");
            Ok(())
        };
        wait_until("both members serve", 2 * MINUTE, all_ready).await?;

        let before = story.api::<Reflector>().list(&ListParams::default()).await?;
        let template =
            json!({ "spec": { "template": { "spec": { "network": { "plainOnControlPort": false } } } } });
        edit::<ReflectorFleet>(story, "homes", &template).await?;
        let version = before.metadata.resource_version.context("the list has no version")?;
        match timeout(ROLLOUT, follow(story, before.items, &version)).await {
            Ok(followed) => followed?,
            Err(_) => bail!("it did not end: {:?}", fleets.get("homes").await?.status),
        }
        wait_until("the fleet says so", MINUTE, all_ready).await?;
        for node in ["node-1", "node-2"] {
            set_label(story, node, &home, None).await?;
        }
        operator.end().await
    })
    .await;
}

/// Looks at every state each member is in, until both serve as changed.
async fn follow(story: &Scenario, before: Vec<Reflector>, version: &str) -> Result<()> {
    let reflectors = story.api::<Reflector>();
    let mut members: BTreeMap<String, Reflector> =
        before.into_iter().map(|member| (member.name_any(), member)).collect();
    ensure!(members.len() == 2, "there are {} members", members.len());
    let mut interrupted = BTreeSet::new();
    let mut events = Box::pin(reflectors.watch(&WatchParams::default(), version).await?);
    while let Some(event) = events.try_next().await? {
        let WatchEvent::Modified(member) = event else { bail!("a member came or went: {event:?}") };
        members.insert(member.name_any(), member);
        let down: Vec<&str> = members
            .values()
            .filter(|member| !serves(member))
            .filter_map(|one| one.metadata.name.as_deref())
            .collect();
        ensure!(down.len() < 2, "both are down: {members:?}");
        interrupted.extend(down.into_iter().map(str::to_owned));
        let changed = |member: &Reflector| {
            member.spec.network.as_ref().and_then(|network| network.plain_on_control_port) == Some(false)
        };
        if members.values().all(|member| changed(member) && serves(member)) {
            ensure!(interrupted.len() == 2, "nobody saw the change of both: {interrupted:?}");
            return Ok(());
        }
    }
    bail!("the watch ended")
}

/// Ready, as it is now.
fn serves(member: &Reflector) -> bool {
    let conditions = member.status.iter().flat_map(|status| &status.conditions);
    conditions.into_iter().any(|condition| {
        condition.type_ == "Ready"
            && condition.status == "True"
            && condition.observed_generation == member.metadata.generation
    })
}
