//! A fleet on real nodes: who becomes a member, who stays one, and what is taken back.

use anyhow::{Context as _, Result, ensure};
use crds::{Reflector, ReflectorFleet};
use e2e::scenario::{MINUTE, Scenario, alone, scenario, wait_until};
use k8s_openapi::api::core::v1::{Node, PersistentVolumeClaim};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use super::running::Operator;
use crate::crds::install;

/// A label of nodes that is this story's alone.
pub(crate) fn label(story: &Scenario, name: &str) -> String {
    format!("{}.example/{name}", story.namespace)
}

pub(crate) async fn set_label(story: &Scenario, node: &str, label: &str, value: Option<&str>) -> Result<()> {
    let nodes: Api<Node> = Api::all(story.client.clone());
    let labels = json!({ "metadata": { "labels": { label: value } } });
    nodes.patch(node, &PatchParams::default(), &Patch::Merge(&labels)).await.context("label a node")?;
    Ok(())
}

pub(super) async fn create(story: &Scenario, selector: &str, port: u16, more: &Value) -> Result<()> {
    let mut spec = json!({
        "nodeSelector": { selector: "yes" },
        "template": { "spec": {
            "image": { "pullPolicy": "Never" },
            "network": { "port": port, "healthPort": port + 1 },
        } },
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    let fleet = json!({
        "apiVersion": "packetparamedic.io/v1alpha1",
        "kind": "ReflectorFleet",
        "metadata": { "name": "homes" },
        "spec": spec,
    });
    let fleet: ReflectorFleet = serde_json::from_value(fleet).context("read the fleet")?;
    story.api().create(&PostParams::default(), &fleet).await.context("create the fleet")?;
    Ok(())
}

pub(super) async fn edit<K>(story: &Scenario, name: &str, patch: &Value) -> Result<()>
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let api: Api<K> = story.api();
    // As kubectl does it: a field that is not there is an error, and not an edit of nothing.
    let strictly = PatchParams::default().validation_strict();
    api.patch(name, &strictly, &Patch::Merge(patch)).await.with_context(|| format!("edit {name}"))?;
    Ok(())
}

/// Waits until the fleet has looked at its newest spec and counts so: `desired/updated: names`.
async fn counts(story: &Scenario, expected: &str) -> Result<()> {
    let fleets = story.api::<ReflectorFleet>();
    wait_until(&format!("the fleet has {expected}"), MINUTE, async || {
        let fleet = fleets.get("homes").await?;
        let status = fleet.status.context("it has no status yet")?;
        ensure!(status.observed_generation == fleet.metadata.generation, "it has not seen its newest spec");
        let names: Vec<&str> = status.members.iter().map(|member| member.reflector.as_str()).collect();
        let (desired, updated) = (status.desired.unwrap_or(-1), status.updated.unwrap_or(-1));
        let seen = format!("{desired}/{updated}: {}", names.join(" "));
        ensure!(seen == expected, "{seen}, {:?}", status.conditions);
        Ok(())
    })
    .await
}

/// What stays the same while nobody touches a member.
async fn untouched(story: &Scenario, name: &str) -> Result<(Option<String>, Option<i64>)> {
    let member = story.api::<Reflector>().get(name).await.with_context(|| format!("read {name}"))?;
    Ok((member.uid(), member.metadata.generation))
}

/// F2
#[tokio::test]
async fn a_change_of_the_selector_adds_and_removes_members_and_leaves_the_others_untouched() {
    scenario("fleets", async |story: &mut Scenario| {
        install(story).await?;
        let operator = Operator::start(story, &[]).await?;
        let (one, other) = (label(story, "one"), label(story, "other"));
        set_label(story, "node-1", &one, Some("yes")).await?;
        create(story, &one, 14700, &json!({})).await?;
        counts(story, "1/1: homes-node-1").await?;
        let reflectors = story.api::<Reflector>();
        let member = reflectors.get("homes-node-1").await?;
        let owner = story.api::<ReflectorFleet>().get("homes").await?.uid();
        ensure!(member.owner_references().first().map(|owner| owner.uid.clone()) == owner, "{member:?}");
        let selector = member.spec.placement.context("its placement")?.node_selector;
        ensure!(selector.get("kubernetes.io/hostname").is_some_and(|node| node == "node-1"), "{selector:?}");

        // A node that begins to match.
        let first = untouched(story, "homes-node-1").await?;
        set_label(story, "node-2", &one, Some("yes")).await?;
        counts(story, "2/2: homes-node-1 homes-node-2").await?;
        ensure!(untouched(story, "homes-node-1").await? == first, "the first was touched");

        // Another selector, which only the second node has.
        let second = untouched(story, "homes-node-2").await?;
        let claims = story.api::<PersistentVolumeClaim>();
        wait_until("the first has a claim", MINUTE, async || {
            Ok(claims.get("rfl-homes-node-1-identity").await?)
        })
        .await?;
        set_label(story, "node-2", &other, Some("yes")).await?;
        let selector = json!({ "spec": { "nodeSelector": { &one: null, &other: "yes" } } });
        edit::<ReflectorFleet>(story, "homes", &selector).await?;
        counts(story, "1/1: homes-node-2").await?;
        ensure!(reflectors.get_opt("homes-node-1").await?.is_none(), "it is still there");
        ensure!(untouched(story, "homes-node-2").await? == second, "the second was touched");
        claims.get("rfl-homes-node-1-identity").await.context("its claim, which is retained")?;

        // And back: a node that ceases to match, and one that matches again.
        set_label(story, "node-1", &other, Some("yes")).await?;
        counts(story, "2/2: homes-node-1 homes-node-2").await?;
        ensure!(untouched(story, "homes-node-2").await? == second, "the second was touched");
        for node in ["node-1", "node-2"] {
            set_label(story, node, &one, None).await?;
            set_label(story, node, &other, None).await?;
        }
        counts(story, "0/0: ").await?;
        operator.end().await
    })
    .await;
}

#[tokio::test]
async fn a_template_reaches_every_member_and_edits_of_a_member_are_taken_back_but_for_its_suspend() {
    scenario("fleets-edits", async |story: &mut Scenario| {
        install(story).await?;
        let operator = Operator::start(story, &[]).await?;
        let home = label(story, "home");
        for node in ["node-1", "node-2"] {
            set_label(story, node, &home, Some("yes")).await?;
        }
        create(story, &home, 14800, &json!({})).await?;
        counts(story, "2/2: homes-node-1 homes-node-2").await?;
        let reflectors = story.api::<Reflector>();

        let edits = json!({ "spec": { "suspend": true, "network": { "port": 14900 }, "quotas": { "maxStreams": 3 } } });
        edit::<Reflector>(story, "homes-node-1", &edits).await?;
        wait_until("the edits are taken back and the suspend is not", MINUTE, async || {
            let spec = reflectors.get("homes-node-1").await?.spec;
            ensure!(spec.network.as_ref().and_then(|network| network.port) == Some(14800), "{spec:?}");
            ensure!(spec.quotas.clone().unwrap_or_default().max_streams.is_none(), "{spec:?}");
            ensure!(spec.suspend == Some(true), "{spec:?}");
            Ok(())
        })
        .await?;

        let template = json!({ "spec": { "template": { "spec": { "network": { "plainOnControlPort": false } } } } });
        edit::<ReflectorFleet>(story, "homes", &template).await?;
        counts(story, "2/2: homes-node-1 homes-node-2").await?;
        for name in ["homes-node-1", "homes-node-2"] {
            let network = reflectors.get(name).await?.spec.network.context("its network")?;
            ensure!(network.plain_on_control_port == Some(false), "{name}: {network:?}");
        }
        let template = json!({ "spec": { "template": { "spec": { "network": { "plainOnControlPort": null } } } } });
        edit::<ReflectorFleet>(story, "homes", &template).await?;
        counts(story, "2/2: homes-node-1 homes-node-2").await?;
        let network = reflectors.get("homes-node-1").await?.spec.network.context("its network")?;
        ensure!(network.plain_on_control_port.is_none(), "what the template no longer says stays: {network:?}");

        // A second look writes nothing. On a busy machine pods may still have something to say when it has settled: then
        // it is touched again.
        let touches = std::cell::Cell::new(0);
        wait_until("a look at what did not change writes nothing", 3 * MINUTE, async || {
            operator.settled().await?;
            let (writes, looks) = (operator.writes().await?, operator.reconciles("unchanged").await?);
            touches.set(touches.get() + 1);
            let annotation = format!("example.net/touched={}", touches.get());
            story.kubectl(["annotate", "--overwrite", "reflectorfleet", "homes", &annotation]).await?;
            wait_until("it was looked at again", MINUTE, async || {
                let now = operator.reconciles("unchanged").await?;
                ensure!(now > looks, "{now} looks that changed nothing");
                Ok(())
            })
            .await?;
            ensure!(operator.writes().await? <= writes, "it wrote: {}", operator.log()?);
            Ok(())
        })
        .await?;

        story.api::<ReflectorFleet>().delete("homes", &DeleteParams::background()).await?;
        wait_until("its members went with it", MINUTE, async || {
            let left = reflectors.list(&kube::api::ListParams::default()).await?.items.len();
            ensure!(left == 0, "{left} are left");
            Ok(())
        })
        .await?;
        for node in ["node-1", "node-2"] {
            set_label(story, node, &home, None).await?;
        }
        operator.end().await
    })
    .await;
}

/// A node without a machine: it can be deleted and come back as one likes.
async fn ghost(story: &Scenario, label: &str) -> Result<()> {
    let nodes: Api<Node> = Api::all(story.client.clone());
    let labels = json!({ label: "yes", "kubernetes.io/hostname": "ghost" });
    let node =
        json!({ "metadata": { "name": "ghost", "labels": labels }, "spec": { "unschedulable": true } });
    let node: Node = serde_json::from_value(node)?;
    nodes.create(&PostParams::default(), &node).await.context("create a node")?;
    Ok(())
}

async fn banish(story: &Scenario) -> Result<()> {
    let nodes: Api<Node> = Api::all(story.client.clone());
    if nodes.get_opt("ghost").await?.is_some() {
        nodes.delete("ghost", &DeleteParams::default()).await.context("delete a node")?;
    }
    Ok(())
}

/// F2
#[tokio::test]
async fn a_node_that_is_gone_keeps_its_member_and_claim_until_the_fleet_says_prune() {
    alone("fleets-gone", async |story: &mut Scenario| {
        install(story).await?;
        let operator = Operator::start(story, &[]).await?;
        let told = gone(story).await;
        banish(story).await?;
        told?;
        operator.end().await
    })
    .await;
}

async fn gone(story: &Scenario) -> Result<()> {
    let home = label(story, "home");
    ghost(story, &home).await?;
    create(story, &home, 15000, &json!({})).await?;
    counts(story, "1/1: homes-ghost").await?;
    let member = untouched(story, "homes-ghost").await?;
    let claims = story.api::<PersistentVolumeClaim>();
    let claim = "rfl-homes-ghost-identity";
    wait_until("it has a claim", MINUTE, async || Ok(claims.get(claim).await?)).await?;
    let kept = claims.get(claim).await?.uid();

    banish(story).await?;
    counts(story, "0/0: homes-ghost").await?;
    ensure!(untouched(story, "homes-ghost").await? == member, "the member was touched");
    ghost(story, &home).await?;
    counts(story, "1/1: homes-ghost").await?;
    ensure!(untouched(story, "homes-ghost").await? == member, "it is another member");
    ensure!(claims.get(claim).await?.uid() == kept, "it is another claim");

    banish(story).await?;
    edit::<ReflectorFleet>(story, "homes", &json!({ "spec": { "prune": true } })).await?;
    counts(story, "0/0: ").await?;
    ensure!(story.api::<Reflector>().get_opt("homes-ghost").await?.is_none(), "the member is still there");
    wait_until("its claim went with it", MINUTE, async || {
        let left = claims.get_opt(claim).await?;
        ensure!(left.is_none(), "{:?}", left.map(|claim| claim.metadata));
        Ok(())
    })
    .await
}
