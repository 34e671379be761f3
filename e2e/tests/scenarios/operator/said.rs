//! The status of a Reflector, held to the specification's list: each field and condition, who says it, and of which
//! generation.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use crds::reflector::ReflectorStatus;
use crds::{EndpointId, Reflector};
use e2e::scenario::{MINUTE, Scenario, scenario, wait_until};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::ResourceExt as _;
use kube::api::ListParams;
use serde_json::{Map, Value, json};

use super::fleets::edit;
use super::pairing::acting::{appliance, create_peer};
use super::running::{Operator, image_on};
use super::{create, reflector, says};
use crate::chart;
use crate::crds::install;

const NODE: &str = "node-2";
const PORT: u16 = 17020;

/// Fields and conditions, by who writes them.
const OPERATOR: [&[&str]; 2] =
    [&["observedGeneration", "node", "addresses", "peers"], &["Ready", "Scheduled", "IdentityReady"]];
const POD: [&[&str]; 2] = [
    &["podUID", "endpointId", "shortId", "version", "policyGeneration", "networkPosition", "activeTests"],
    &["Accepting", "PolicyCurrent", "HardwareReady"],
];
/// Only while they are true, and the operator's.
const WHILE_TRUE: [&str; 2] = ["Reconciling", "Stalled"];

/// H5: `selfTest`, which takes a minute, is in `measured`.
#[tokio::test]
async fn each_field_and_condition_of_the_specification_is_there_of_its_generation_and_said_by_its_writer() {
    scenario("operator-said", async |story: &mut Scenario| {
        install(story).await?;
        chart::apply(story, &["templates/access/endpoint.yaml"]).await?;
        chart::apply(story, &chart::POLICIES).await?;
        image_on(story, NODE, "said").await?;
        let operator = Operator::start(story, &[]).await?;
        let image = json!({ "image": { "tag": "said", "pullPolicy": "Never" } });
        create(story, &reflector("attic", NODE, PORT, &image)).await?;
        create_peer(story, "den", &json!({ "endpointId": appliance(1) })).await?;
        create_peer(story, "guest", &json!({})).await?;
        create_peer(story, "out", &json!({ "endpointId": appliance(2), "suspend": true })).await?;
        says(story, "attic", "Ready", "True", "Serving").await?;
        settled(story, &[]).await?;
        fields(story).await?;
        is_said_by(story, "reflector-operator", OPERATOR).await?;
        is_said_by(story, "rfl-attic", POD).await?;

        // Policy: a new generation, and everything is of that one.
        edit::<Reflector>(story, "attic", &json!({ "spec": { "quotas": { "testsPerHour": 7 } } })).await?;
        settled(story, &[]).await?;
        // What cannot be done is said beside what still is.
        edit::<Reflector>(
            story,
            "attic",
            &json!({ "spec": { "image": { "repository": "evil.example/r" } } }),
        )
        .await?;
        says(story, "attic", "Stalled", "True", "ImageNotAllowed").await?;
        settled(story, &["Stalled"]).await?;
        says(story, "attic", "Ready", "False", "ImageNotAllowed").await?;
        edit::<Reflector>(story, "attic", &json!({ "spec": { "image": { "repository": null } } })).await?;
        says(story, "attic", "Ready", "True", "Serving").await?;
        settled(story, &[]).await?;
        operator.end().await
    })
    .await;
}

async fn status(story: &Scenario) -> Result<(Option<i64>, ReflectorStatus)> {
    let now = story.api::<Reflector>().get("attic").await?;
    Ok((now.metadata.generation, now.status.context("it has no status")?))
}

/// Waits until each condition of the list is there once, with words, and of the newest generation, and no other is but
/// these.
async fn settled(story: &Scenario, more: &[&str]) -> Result<()> {
    let wanted: BTreeSet<&str> = [OPERATOR[1], POD[1], more].concat().into_iter().collect();
    wait_until("every condition is of the newest generation", MINUTE, async || {
        let (generation, status) = status(story).await?;
        ensure!(status.observed_generation == generation, "observed: {:?}", status.observed_generation);
        ensure!(status.policy_generation == generation, "in force: {:?}", status.policy_generation);
        let there: Vec<&str> = status.conditions.iter().map(|one| one.type_.as_str()).collect();
        ensure!(there.len() == wanted.len(), "{there:?}");
        ensure!(there.iter().copied().collect::<BTreeSet<_>>() == wanted, "{there:?}");
        for one in &status.conditions {
            ensure!(one.observed_generation == generation && !one.message.is_empty(), "{one:?}");
            ensure!(["True", "False", "Unknown"].contains(&one.status.as_str()), "{one:?}");
        }
        Ok(())
    })
    .await
}

/// Each field says what is so.
async fn fields(story: &Scenario) -> Result<()> {
    let counts = json!({ "authorized": 1, "pairing": 1, "suspended": 1 });
    // Counts alone are written once a minute at most.
    let status = wait_until("it counts its peers", 2 * MINUTE, async || {
        let (_, status) = status(story).await?;
        ensure!(json!(status.peers) == counts, "{:?}", status.peers);
        Ok(status)
    })
    .await?;
    let selector = ListParams::default().labels("packetparamedic.io/reflector=attic");
    let pods = story.api::<Pod>().list(&selector).await?.items;
    let uid = pods.first().and_then(Pod::uid);
    ensure!(pods.len() == 1 && status.pod_uid == uid, "{:?} is not {uid:?}", status.pod_uid);
    let id: EndpointId = status.endpoint_id.as_deref().context("its Endpoint ID")?.parse()?;
    ensure!(status.short_id == Some(id.short()), "{:?}", status.short_id);
    ensure!(status.addresses == [format!("10.99.0.12:{PORT}")], "{:?}", status.addresses);
    ensure!(status.node.as_deref() == Some(NODE), "{:?}", status.node);
    ensure!(status.version.as_deref() == Some(env!("CARGO_PKG_VERSION")), "{:?}", status.version);
    ensure!(status.active_tests == Some(0), "{:?}", status.active_tests);
    let position = status.network_position.as_deref().unwrap_or_default();
    ensure!(["lan", "wan", "hybrid", "unknown"].contains(&position), "{position}");
    Ok(())
}

/// Whether this manager has just these fields and conditions.
async fn is_said_by(story: &Scenario, manager: &str, [fields, conditions]: [&[&str]; 2]) -> Result<()> {
    let (their_fields, their_conditions) = said_by(story, manager).await?;
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    ensure!(their_fields == set(fields), "{manager} has the fields {their_fields:?}");
    ensure!(their_conditions == set(conditions), "{manager} has the conditions {their_conditions:?}");
    Ok(())
}

/// The fields and conditions in the status of attic that a manager has, without those that are there while true.
pub(super) async fn said_by(story: &Scenario, manager: &str) -> Result<(BTreeSet<String>, BTreeSet<String>)> {
    let now = story.api::<Reflector>().get("attic").await?;
    let is_theirs = |one: &&ManagedFieldsEntry| {
        one.manager.as_deref() == Some(manager) && one.subresource.as_deref() == Some("status")
    };
    let theirs = now.managed_fields().iter().find(is_theirs).and_then(|one| one.fields_v1.as_ref());
    let theirs =
        theirs.map(|fields| &fields.0["f:status"]).with_context(|| format!("{manager} said nothing"))?;
    let names = theirs.as_object().into_iter().flat_map(Map::keys);
    let fields = names.filter_map(|name| name.strip_prefix("f:")).filter(|name| *name != "conditions");
    let keys = theirs["f:conditions"].as_object().into_iter().flat_map(Map::keys);
    let types = keys.filter_map(|key| {
        let key: Value = serde_json::from_str(key.strip_prefix("k:")?).ok()?;
        key["type"].as_str().map(str::to_owned)
    });
    let types = types.filter(|type_| !WHILE_TRUE.contains(&type_.as_str()));
    Ok((fields.map(str::to_owned).collect(), types.collect()))
}
