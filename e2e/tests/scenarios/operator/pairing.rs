//! Pairing on a real API server: the operator makes codes, and this test is the person who reads one and the pod that
//! saw it typed.

use anyhow::{Context as _, Result, ensure};
use crds::pairing::{Code, SecretKey, Statement, memory};
use crds::peer::{PairingState, ReflectorPeerStatus};
use crds::{EndpointId, Reflector, ReflectorPeer};
use e2e::scenario::{MINUTE, Scenario, scenario, wait_until};
use futures_util::TryStreamExt as _;
use k8s_openapi::api::core::v1::{Event, Secret};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::running::Operator;
use super::{create, reflector};
use crate::crds::install;

fn peer(name: &str, more: &Value) -> Result<ReflectorPeer> {
    let mut spec = json!({ "reflectorRef": { "kind": "Reflector", "name": "attic" } });
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    let object = json!({
        "apiVersion": "packetparamedic.io/v1alpha1",
        "kind": "ReflectorPeer",
        "metadata": { "name": name },
        "spec": spec,
    });
    serde_json::from_value(object).context("read the peer")
}

async fn create_peer(story: &Scenario, name: &str, more: &Value) -> Result<ReflectorPeer> {
    let peers = story.api::<ReflectorPeer>();
    peers.create(&PostParams::default(), &peer(name, more)?).await.context("create the peer")
}

/// Waits, through a watch, until a peer's status is as it should be.
async fn until(
    story: &Scenario,
    name: &str,
    what: &str,
    is_so: impl Fn(&ReflectorPeerStatus) -> bool,
) -> Result<ReflectorPeer> {
    let peers = story.api::<ReflectorPeer>();
    let seen = async {
        loop {
            let now = peers.get(name).await?;
            if now.status.as_ref().is_some_and(&is_so) {
                return Ok(now);
            }
            let only = WatchParams::default().fields(&format!("metadata.name={name}"));
            let version = now.resource_version().unwrap_or_default();
            let mut events = Box::pin(peers.watch(&only, &version).await?);
            while let Some(event) = events.try_next().await? {
                if let WatchEvent::Modified(peer) = event
                    && peer.status.as_ref().is_some_and(&is_so)
                {
                    return Ok::<_, kube::Error>(peer);
                }
            }
        }
    };
    match timeout(MINUTE, seen).await {
        Ok(seen) => seen.with_context(|| format!("watch until {name} is {what}")),
        Err(_) => {
            let last = peers.get(name).await?.status;
            anyhow::bail!("waited until {name} is {what}; its status: {last:?}")
        }
    }
}

fn is_in(status: &ReflectorPeerStatus, state: &PairingState) -> bool {
    status.pairing.as_ref().and_then(|pairing| pairing.state.as_ref()) == Some(state)
}

fn is_waiting(status: &ReflectorPeerStatus) -> bool {
    is_in(status, &PairingState::Waiting)
}

fn says(status: &ReflectorPeerStatus, type_: &str, reason: &str) -> bool {
    status.conditions.iter().any(|condition| condition.type_ == type_ && condition.reason == reason)
}

fn secret_of(peer: &ReflectorPeer) -> Result<String> {
    let pairing = peer.status.as_ref().and_then(|status| status.pairing.as_ref());
    pairing.and_then(|pairing| pairing.secret.clone()).context("its status names no Secret")
}

/// What a person reads in a Secret.
async fn read(story: &Scenario, name: &str, key: &str) -> Result<String> {
    let secret = story.api::<Secret>().get(name).await.with_context(|| format!("read Secret {name}"))?;
    let value =
        secret.data.unwrap_or_default().remove(key).with_context(|| format!("{name} has no {key}"))?;
    String::from_utf8(value.0).context("read it as text")
}

async fn gone(story: &Scenario, name: &str) -> Result<()> {
    let secrets = story.api::<Secret>();
    wait_until(&format!("Secret {name} is gone"), MINUTE, async || {
        ensure!(secrets.get_opt(name).await?.is_none(), "it is there");
        Ok(())
    })
    .await
}

/// Writes what the pod of attic would write when this appliance presented this code.
pub(super) async fn claim(story: &Scenario, peer: &ReflectorPeer, code: &str, id: EndpointId) -> Result<()> {
    let salt = story.api::<Reflector>().get("attic").await?.uid().context("its uid")?;
    let code = Code::parse(code).context("that is no code")?;
    let key = SecretKey::derive(&code, &salt, &mut memory())?;
    let uid = peer.uid().context("its uid")?;
    let proof = key.prove(&Statement { peer_uid: &uid, reflector: "attic", endpoint_id: id });
    let claim = json!({ "endpointId": id, "from": "192.0.2.9", "proof": proof });
    as_pod(story, &peer.name_any(), &json!({ "claim": claim })).await
}

/// Writes the pod's part of its entry.
pub(super) async fn as_pod(story: &Scenario, peer: &str, entry: &Value) -> Result<()> {
    let mut entry = entry.clone();
    entry["name"] = json!("attic");
    let status = json!({
        "apiVersion": "packetparamedic.io/v1alpha1",
        "kind": "ReflectorPeer",
        "metadata": { "name": peer },
        "status": { "reflectors": [entry] },
    });
    let parameters = PatchParams::apply("rfl-attic").force();
    let peers = story.api::<ReflectorPeer>();
    peers.patch_status(peer, &parameters, &Patch::Apply(&status)).await.context("write as the pod")?;
    Ok(())
}

async fn told(story: &Scenario, about: &str, reason: &str) -> Result<()> {
    let events: Api<k8s_openapi::api::events::v1::Event> = story.api();
    wait_until(&format!("{reason} is told of {about}"), MINUTE, async || {
        let all = events.list(&ListParams::default()).await?;
        let count = all
            .iter()
            .filter(|event| event.regarding.as_ref().and_then(|about| about.name.as_deref()) == Some(about))
            .filter(|event| event.reason.as_deref() == Some(reason))
            .count();
        ensure!(count == 1, "{count} events");
        Ok(())
    })
    .await
}

pub(super) fn appliance(byte: u8) -> EndpointId {
    EndpointId::from_public_key([byte; 32])
}

/// A2, A3, A5
#[tokio::test]
async fn whoever_presents_the_code_is_bound_and_whoever_only_says_so_is_not() {
    scenario("pairing", async |story: &mut Scenario| {
        install(story).await?;
        let operator = Operator::start(story, &[]).await?;
        create(story, &reflector("attic", "node-1", 15000, &json!({}))).await?;
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
        claim(story, &den, "0000-0000", appliance(2)).await?;
        told(story, "den", "ClaimRefused").await?;
        let den = story.api::<ReflectorPeer>().get("den").await?;
        let status = den.status.clone().unwrap_or_default();
        ensure!(is_waiting(&status) && status.endpoint_id.is_none(), "{status:?}");
        ensure!(read(story, &name, "code").await? == code, "it is another code");

        let began = Instant::now();
        claim(story, &den, &code.to_lowercase(), appliance(1)).await?;
        let den = until(story, "den", "Bound", |status| is_in(status, &PairingState::Bound)).await?;
        println!("  {:>5.0} ms from the claim to Bound", began.elapsed().as_secs_f64() * 1000.0);
        let status = den.status.clone().unwrap_or_default();
        ensure!(status.endpoint_id == Some(appliance(1).to_string()), "{status:?}");
        ensure!(status.short_id == Some(appliance(1).short()) && status.paired_at.is_some(), "{status:?}");
        ensure!(says(&status, "Ready", "NotLoaded") && says(&status, "Paired", "Bound"), "{status:?}");
        gone(story, &name).await?;
        told(story, "den", "Bound").await?;

        claim(story, &den, &code, appliance(3)).await?;
        let loaded = json!({ "loadedGeneration": 1, "loadedEndpointId": appliance(1) });
        as_pod(story, "den", &loaded).await?;
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
        create_peer(story, "den", &json!({})).await?;
        let den = until(story, "den", "Waiting", is_waiting).await?;
        let name = secret_of(&den)?;
        claim(story, &den, &read(story, &name, "code").await?, appliance(1)).await?;
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
        claim(story, &den, &code, appliance(1)).await?;
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

/// What a crash between the Secret and the status leaves behind is somebody's object of our name, as far as anyone can
/// tell: it is replaced unread.
#[tokio::test]
async fn a_secret_that_a_crash_left_behind_is_made_anew() {
    scenario("pairing-crash", async |story: &mut Scenario| {
        install(story).await?;
        let den = create_peer(story, "den", &json!({})).await?;
        let uid = den.uid().context("its uid")?;
        let name = format!("pairing-{}-0", &uid[..8]);
        let left: Secret = serde_json::from_value(
            json!({ "metadata": { "name": name }, "stringData": { "code": "LEFTOVER" } }),
        )?;
        let secrets = story.api::<Secret>();
        let left = secrets.create(&PostParams::default(), &left).await?;
        let operator = Operator::start(story, &[]).await?;
        until(story, "den", "without its reflector", |status| says(status, "Ready", "ReflectorNotFound"))
            .await?;
        create(story, &reflector("attic", "node-1", 15300, &json!({}))).await?;
        let den = until(story, "den", "Waiting", is_waiting).await?;
        ensure!(secret_of(&den)? == name);
        let made = secrets.get(&name).await?;
        ensure!(made.uid() != left.uid(), "it was adopted");
        ensure!(made.owner_references().iter().any(|owner| owner.uid == uid), "{:?}", made.metadata);
        let code = read(story, &name, "code").await?;
        claim(story, &den, &code, appliance(1)).await?;
        until(story, "den", "Bound", |status| is_in(status, &PairingState::Bound)).await?;
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
                those.map(|peer| peer.name_any()).collect::<Vec<_>>()
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
