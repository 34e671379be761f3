//! One code for a whole fleet, and what is left of a member that went.

use anyhow::{Context as _, Result, ensure};
use crds::peer::PairingState;
use crds::{ReflectorFleet, ReflectorPeer};
use e2e::scenario::{MINUTE, Scenario, scenario, wait_until};
use kube::ResourceExt as _;
use serde_json::json;

use super::super::fleets::{create, label, set_label};
use super::super::running::Operator;
use super::acting::{
    Pod, appliance, create_peer, gone, is_in, is_waiting, read, says, secret_of, told, until,
};
use crate::crds::install;

/// The entries a peer has, by name.
fn entries(peer: &ReflectorPeer) -> Vec<&str> {
    peer.status.iter().flat_map(|status| &status.reflectors).map(|entry| entry.name.as_str()).collect()
}

/// A6, A10
#[tokio::test]
async fn one_code_enrols_on_a_whole_fleet_and_a_member_that_leaves_takes_its_words_along() {
    scenario("pairing-fleet", async |story: &mut Scenario| {
        install(story).await?;
        let operator = Operator::start(story, &[]).await?;
        let here = label(story, "here");
        set_label(story, "node-1", &here, Some("yes")).await?;
        create(story, &here, 15600, &json!({})).await?;
        let fleet = story.api::<ReflectorFleet>().get("homes").await?.uid().context("its uid")?;
        create_peer(story, "den", &json!({ "reflectorRef": { "kind": "ReflectorFleet", "name": "homes" } }))
            .await?;
        let den = until(story, "den", "Waiting with an entry for its one member", |status| {
            is_waiting(status) && status.reflectors.len() == 1
        })
        .await?;
        set_label(story, "node-2", &here, Some("yes")).await?;
        let den = until(story, "den", "told of the second member", |status| status.reflectors.len() == 2)
            .await
            .with_context(|| format!("after {:?}", entries(&den)))?;
        ensure!(entries(&den) == ["homes-node-1", "homes-node-2"], "{:?}", den.status);

        let one = Pod { story, reflector: "homes-node-1", salt: fleet.clone() };
        let other = Pod { story, reflector: "homes-node-2", salt: fleet };
        let secret = secret_of(&den)?;
        let code = read(story, &secret, "code").await?;
        one.claims(&den, "ZZZZ-ZZZZ", appliance(7)).await?;
        told(story, "den", "ClaimRefused").await?;
        other.claims(&den, &code, appliance(1)).await?;
        let den = until(story, "den", "Bound", |status| is_in(status, &PairingState::Bound)).await?;
        gone(story, &secret).await?;
        let generation = den.metadata.generation;
        let loaded = json!({
            "loadedGeneration": generation,
            "loadedEndpointId": appliance(1),
            "lastSeen": "2026-01-02T03:04:05Z",
            "usage": { "testsToday": 2, "bytesToday": 50, "day": "2026-01-02" },
        });
        one.says("den", &loaded).await?;
        until(story, "den", "loaded by one of two", |status| {
            says(status, "Ready", "NotLoaded")
                && status.usage.as_ref().is_some_and(|usage| usage.tests_today == Some(2))
        })
        .await?;
        other.says("den", &loaded).await?;
        let den = until(story, "den", "loaded by both", |status| {
            says(status, "Ready", "Authorized")
                && status.usage.as_ref().is_some_and(|usage| usage.tests_today == Some(4))
        })
        .await?;
        ensure!(den.status.as_ref().is_some_and(|status| status.last_seen.is_some()), "{:?}", den.status);

        set_label(story, "node-1", &here, None).await?;
        let den = until(story, "den", "left by the first member", |status| {
            status.reflectors.len() == 1
                && status.usage.as_ref().is_some_and(|usage| usage.tests_today == Some(2))
        })
        .await?;
        ensure!(
            entries(&den) == ["homes-node-2"] && says(&den.status.unwrap_or_default(), "Ready", "Authorized")
        );
        nothing_more(story, &operator).await?;
        set_label(story, "node-2", &here, None).await?;
        until(story, "den", "without members", |status| {
            says(status, "Ready", "NoMembers") && status.reflectors.is_empty()
        })
        .await?;
        operator.end().await
    })
    .await;
}

/// A second look writes nothing.
async fn nothing_more(story: &Scenario, operator: &Operator) -> Result<()> {
    let writes =
        async || operator.number("reflector_operator_api_writes_total", &["kind=\"ReflectorPeer\""]).await;
    let looks = async || {
        let unchanged = ["kind=\"ReflectorPeer\"", "result=\"unchanged\""];
        operator.number("reflector_operator_reconcile_total", &unchanged).await
    };
    let before = (writes().await?, looks().await?);
    story.kubectl(["annotate", "reflectorpeer", "den", "example.net/touched=yes"]).await?;
    wait_until("it was looked at again", MINUTE, async || {
        ensure!(looks().await? > before.1, "not yet");
        Ok(())
    })
    .await?;
    ensure!(writes().await? <= before.0, "it wrote: {}", operator.log()?);
    Ok(())
}
