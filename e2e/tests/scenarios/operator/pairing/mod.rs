//! Pairing on a real API server: the operator makes codes, and this test is the person who reads one and the pod that
//! saw it typed (`acting`).

pub(super) mod acting;
mod crashes;
mod fleets;
mod rights;

use anyhow::{Result, ensure};
use crds::peer::{PairingState, ReflectorPeerStatus};
use crds::{Reflector, ReflectorPeer};
use e2e::scenario::{MINUTE, Scenario, scenario, wait_until};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, ResourceExt as _};
use serde_json::json;
use tokio::time::Instant;

use super::running::Operator;
use super::{create, reflector};
use crate::crds::install;
use acting::{Pod, appliance, create_peer, gone, is_in, is_waiting, read, says, secret_of, told, until};

/// A2, A3, A5
#[tokio::test]
async fn whoever_presents_the_code_is_bound_and_whoever_only_says_so_is_not() {
    scenario("pairing", async |story: &mut Scenario| {
        install(story).await?;
        let operator = Operator::start(story, &[]).await?;
        create(story, &reflector("attic", "node-1", 15000, &json!({}))).await?;
        let attic = Pod::attic(story).await?;
        let began = Instant::now();
        create_peer(story, "den", &json!({})).await?;
        let den = until(story, "den", "Waiting", is_waiting).await?;
        println!("  {:>5.0} ms from the object to its code", began.elapsed().as_secs_f64() * 1000.0);
        let name = secret_of(&den)?;
        let secret = story.api::<Secret>().get(&name).await?;
        ensure!(
            secret.owner_references().iter().any(|owner| Some(&owner.uid) == den.uid().as_ref()),
            "{secret:?}"
        );
        let code = read(story, &name, "code").await?;
        let public = serde_json::to_string(&den)?;
        ensure!(!public.contains(&code), "the object has the code: {public}");

        // A pod that never saw the code, and one that says another appliance presented it.
        attic.claims(&den, "0000-0000", appliance(2)).await?;
        told(story, "den", "ClaimRefused").await?;
        let den = story.api::<ReflectorPeer>().get("den").await?;
        let status = den.status.clone().unwrap_or_default();
        ensure!(is_waiting(&status) && status.endpoint_id.is_none(), "{status:?}");
        ensure!(read(story, &name, "code").await? == code, "it is another code");

        let began = Instant::now();
        attic.claims(&den, &code.to_lowercase(), appliance(1)).await?;
        let den = until(story, "den", "Bound", |status| is_in(status, &PairingState::Bound)).await?;
        println!("  {:>5.0} ms from the claim to Bound", began.elapsed().as_secs_f64() * 1000.0);
        let status = den.status.clone().unwrap_or_default();
        ensure!(status.endpoint_id == Some(appliance(1).to_string()), "{status:?}");
        ensure!(status.short_id == Some(appliance(1).short()) && status.paired_at.is_some(), "{status:?}");
        ensure!(says(&status, "Ready", "NotLoaded") && says(&status, "Paired", "Bound"), "{status:?}");
        gone(story, &name).await?;
        told(story, "den", "Bound").await?;

        attic.claims(&den, &code, appliance(3)).await?;
        let loaded = json!({ "loadedGeneration": 1, "loadedEndpointId": appliance(1) });
        attic.says("den", &loaded).await?;
        let den = until(story, "den", "Ready", |status| says(status, "Ready", "Authorized")).await?;
        let bound = den.status.as_ref().and_then(|status| status.endpoint_id.clone());
        ensure!(bound == Some(appliance(1).to_string()), "a used code bound {bound:?}");

        operator.settled().await?;
        let (writes, looks) = (operator.writes().await?, operator.reconciles("unchanged").await?);
        story.kubectl(["annotate", "reflectorpeer", "den", "example.net/touched=yes"]).await?;
        wait_until("it was looked at again", MINUTE, async || {
            ensure!(operator.reconciles("unchanged").await? > looks, "not yet");
            Ok(())
        })
        .await?;
        ensure!(operator.writes().await? <= writes, "it wrote: {}", operator.log()?);

        // What its pod said goes with the Reflector.
        story.api::<Reflector>().delete("attic", &DeleteParams::background()).await?;
        let den = until(story, "den", "without its reflector", |status| {
            says(status, "Ready", "ReflectorNotFound") && status.reflectors.is_empty()
        })
        .await?;
        ensure!(den.status.is_some_and(|status| status.endpoint_id.is_some()), "the pairing is lost");
        ensure!(!operator.log()?.contains(&code), "the code is in the log");
        let events: Api<Event> = story.api();
        ensure!(!serde_json::to_string(&events.list(&ListParams::default()).await?.items)?.contains(&code));
        operator.end().await
    })
    .await;
}

/// X9: approval by kubectl or Git.
#[tokio::test]
async fn with_manual_approval_a_claim_waits_until_the_spec_names_it() {
    scenario("pairing-manual", async |story: &mut Scenario| {
        install(story).await?;
        let operator = Operator::start(story, &[]).await?;
        let manual = json!({ "access": { "approval": "Manual" } });
        create(story, &reflector("attic", "node-1", 15100, &manual)).await?;
        let attic = Pod::attic(story).await?;
        create_peer(story, "den", &json!({})).await?;
        let den = until(story, "den", "Waiting", is_waiting).await?;
        let name = secret_of(&den)?;
        attic.claims(&den, &read(story, &name, "code").await?, appliance(1)).await?;
        let den = until(story, "den", "Claimed", |status| is_in(status, &PairingState::Claimed)).await?;
        let status = den.status.unwrap_or_default();
        let confirm = status.pairing.as_ref().and_then(|pairing| pairing.confirm.clone());
        ensure!(confirm == Some(appliance(1).confirm()) && status.endpoint_id.is_none(), "{status:?}");
        gone(story, &name).await?;
        let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
        let words = ready.map(|ready| ready.message.clone()).unwrap_or_default();
        ensure!(words.contains(&format!("spec.endpointId: {}", appliance(1))), "{words}");

        let approval = json!({ "spec": { "endpointId": appliance(1) } }).to_string();
        story.kubectl(["patch", "reflectorpeer", "den", "--type=merge", "--patch", &approval]).await?;
        let den = until(story, "den", "Bound", |status| is_in(status, &PairingState::Bound)).await?;
        let status = den.status.unwrap_or_default();
        ensure!(
            status.endpoint_id == Some(appliance(1).to_string()) && status.paired_at.is_some(),
            "{status:?}"
        );
        operator.end().await
    })
    .await;
}

/// A3, A8
#[tokio::test]
async fn a_code_ends_at_its_time_and_a_higher_round_is_a_new_one() {
    scenario("pairing-rounds", async |story: &mut Scenario| {
        install(story).await?;
        let operator = Operator::start(story, &[]).await?;
        create(story, &reflector("attic", "node-1", 15200, &json!({}))).await?;
        let attic = Pod::attic(story).await?;
        create_peer(story, "den", &json!({ "pairing": { "ttl": "2s" } })).await?;
        let den = until(story, "den", "Waiting", is_waiting).await?;
        let first = secret_of(&den)?;
        let code = read(story, &first, "code").await?;
        until(story, "den", "Expired", |status| is_in(status, &PairingState::Expired)).await?;
        gone(story, &first).await?;
        told(story, "den", "PairingExpired").await?;

        let again = json!({ "spec": { "pairing": { "ttl": "10m", "round": 1 } } }).to_string();
        story.kubectl(["patch", "reflectorpeer", "den", "--type=merge", "--patch", &again]).await?;
        let den = until(story, "den", "Waiting", is_waiting).await?;
        let second = secret_of(&den)?;
        ensure!(second != first && second.ends_with("-1"), "{second} follows {first}");
        let fresh = read(story, &second, "code").await?;
        ensure!(fresh != code, "it is the old code");
        attic.claims(&den, &code, appliance(1)).await?;
        told(story, "den", "ClaimRefused").await?;

        // A restart inside the window keeps the code.
        operator.kill().await?;
        let operator = Operator::start(story, &[]).await?;
        wait_until("the next operator has looked", MINUTE, async || {
            ensure!(operator.reconciles("unchanged").await? > 0.0, "not yet");
            Ok(())
        })
        .await?;
        ensure!(read(story, &second, "code").await? == fresh, "it is another code");

        story
            .kubectl([
                "patch",
                "reflectorpeer",
                "den",
                "--type=merge",
                "--patch",
                "{\"spec\":{\"suspend\":true}}",
            ])
            .await?;
        until(story, "den", "shut out", |status| {
            says(status, "Ready", "Suspended") && is_in(status, &PairingState::Expired)
        })
        .await?;
        gone(story, &second).await?;
        operator.end().await
    })
    .await;
}

/// X9
#[tokio::test]
async fn sixty_four_codes_wait_and_the_next_one_waits_for_a_place() {
    scenario("pairing-many", async |story: &mut Scenario| {
        install(story).await?;
        let operator = Operator::start(story, &[]).await?;
        create(story, &reflector("attic", "node-1", 15400, &json!({}))).await?;
        let began = Instant::now();
        for number in 0..70 {
            create_peer(story, &format!("p{number:02}"), &json!({})).await?;
        }
        let peers = story.api::<ReflectorPeer>();
        let counted = async || -> Result<(Vec<String>, Vec<String>)> {
            let all = peers.list(&ListParams::default()).await?.items;
            let those = |is_so: &dyn Fn(&ReflectorPeerStatus) -> bool| {
                let those = all.iter().filter(|peer| peer.status.as_ref().is_some_and(is_so));
                those.map(kube::ResourceExt::name_any).collect::<Vec<_>>()
            };
            Ok((those(&is_waiting), those(&|status| says(status, "Ready", "TooManyWaiting"))))
        };
        let (waiting, outside) = wait_until("all have been looked at", 2 * MINUTE, async || {
            let (waiting, outside) = counted().await?;
            ensure!(
                waiting.len() + outside.len() == 70,
                "{} wait, {} are outside",
                waiting.len(),
                outside.len()
            );
            Ok((waiting, outside))
        })
        .await?;
        println!("  {:>5.1} s for 64 codes", began.elapsed().as_secs_f64());
        ensure!(
            (waiting.len(), outside.len()) == (64, 6),
            "{} wait, {} are outside",
            waiting.len(),
            outside.len()
        );
        let secrets = story.api::<Secret>().list(&ListParams::default()).await?;
        let codes = secrets.iter().filter(|secret| secret.name_any().starts_with("pairing-")).count();
        ensure!(codes == 64, "{codes} Secrets");

        peers.delete(&waiting[0], &DeleteParams::background()).await?;
        wait_until("one from outside has the place", MINUTE, async || {
            let (waiting, outside) = counted().await?;
            ensure!((waiting.len(), outside.len()) == (64, 5), "{} and {}", waiting.len(), outside.len());
            Ok(())
        })
        .await?;
        operator.end().await
    })
    .await;
}

/// The younger of two says so, and has the ID as soon as the older is gone.
#[tokio::test]
async fn of_two_peers_with_one_endpoint_id_the_older_has_it() {
    scenario("pairing-twins", async |story: &mut Scenario| {
        install(story).await?;
        let operator = Operator::start(story, &[]).await?;
        create(story, &reflector("attic", "node-1", 15500, &json!({}))).await?;
        let twin = json!({ "endpointId": appliance(1) });
        // Made within one second they are of one age, and the name decides.
        create_peer(story, "a", &twin).await?;
        create_peer(story, "b", &twin).await?;
        until(story, "b", "Duplicate", |status| says(status, "Ready", "Duplicate")).await?;
        until(story, "a", "not loaded", |status| says(status, "Ready", "NotLoaded")).await?;
        story.api::<ReflectorPeer>().delete("a", &DeleteParams::background()).await?;
        until(story, "b", "the only one", |status| says(status, "Ready", "NotLoaded")).await?;
        operator.end().await
    })
    .await;
}
