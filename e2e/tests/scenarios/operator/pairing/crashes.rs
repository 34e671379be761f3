//! An operator that dies between the Secret and the status.

use anyhow::{Context as _, Result, ensure};
use crds::pairing::{Code, SecretKey, memory};
use crds::peer::PairingState;
use crds::{Reflector, ReflectorPeer};
use e2e::scenario::{MINUTE, Scenario, scenario, wait_until};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::{ListParams, PostParams};
use serde_json::json;

use super::super::running::Operator;
use super::super::{create, reflector};
use super::acting::{Pod, appliance, create_peer, is_in, is_waiting, read, says, secret_of, told, until};
use crate::crds::install;

/// What a crash between the Secret and the status leaves behind is somebody's object of our name, as far as anyone can
/// tell: it is neither read nor removed, and the code that counts is in another one.
#[tokio::test]
async fn a_secret_that_a_crash_left_behind_is_left_alone_and_its_code_is_good_for_nothing() {
    scenario("pairing-crash", async |story: &mut Scenario| {
        install(story).await?;
        let den = create_peer(story, "den", &json!({})).await?;
        let uid = den.uid().context("its uid")?;
        let name = format!("pairing-{uid}-0");
        let left: Secret = serde_json::from_value(
            json!({ "metadata": { "name": name }, "stringData": { "code": "ABCD2345" } }),
        )?;
        let secrets = story.api::<Secret>();
        let left = secrets.create(&PostParams::default(), &left).await?;
        let operator = Operator::start(story, &[]).await?;
        until(story, "den", "without its reflector", |status| says(status, "Ready", "ReflectorNotFound"))
            .await?;
        create(story, &reflector("attic", "node-1", 15300, &json!({}))).await?;
        let attic = Pod::attic(story).await?;
        let den = until(story, "den", "Waiting", is_waiting).await?;
        let given = secret_of(&den)?;
        ensure!(given.starts_with(&name) && given != name, "{given}");
        let made = secrets.get(&given).await?;
        ensure!(made.owner_references().iter().any(|owner| owner.uid == uid), "{:?}", made.metadata);
        attic.claims(&den, "ABCD-2345", appliance(2)).await?;
        told(story, "den", "ClaimRefused").await?;
        let code = read(story, &given, "code").await?;
        attic.claims(&den, &code, appliance(1)).await?;
        until(story, "den", "Bound", |status| is_in(status, &PairingState::Bound)).await?;
        ensure!(secrets.get(&name).await?.uid() == left.uid(), "it was touched");
        operator.end().await
    })
    .await;
}

/// How often it is killed.
const KILLS: usize = 20;

/// F10, for pairing: however it dies, the code in the Secret that a peer names is the one that its status stands for.
#[tokio::test]
async fn an_operator_that_is_killed_again_and_again_leaves_one_good_code_per_peer() {
    scenario("pairing-kills", async |story: &mut Scenario| {
        install(story).await?;
        create(story, &reflector("attic", "node-1", 15700, &json!({}))).await?;
        for round in 0..KILLS {
            create_peer(story, &format!("a{round:02}"), &json!({})).await?;
            create_peer(story, &format!("b{round:02}"), &json!({})).await?;
            // It is ready when its caches are warm: right then it begins to write.
            let operator = Operator::start(story, &[]).await?;
            let moment = round % 5;
            wait_until("it has written something", MINUTE, async || {
                ensure!(
                    moment == 0 || operator.writes().await? >= f64::from(u8::try_from(moment)?),
                    "not yet"
                );
                Ok(())
            })
            .await?;
            operator.kill().await?;
        }
        let operator = Operator::start(story, &[]).await?;
        let peers = story.api::<ReflectorPeer>();
        let all = wait_until("every peer has its code", MINUTE, async || {
            let all = peers.list(&ListParams::default()).await?.items;
            let waiting = all.iter().filter(|peer| peer.status.as_ref().is_some_and(is_waiting)).count();
            ensure!(waiting == 2 * KILLS, "{waiting} wait");
            Ok(all)
        })
        .await?;
        let secrets = story.api::<Secret>().list(&ListParams::default()).await?;
        let codes = secrets.iter().filter(|secret| secret.name_any().starts_with("pairing-")).count();
        // A death between a Secret and its status leaves one whose code no status stands for.
        ensure!((2 * KILLS..=3 * KILLS).contains(&codes), "{codes} Secrets for {} peers", 2 * KILLS);
        let salt = story.api::<Reflector>().get("attic").await?.uid().context("its uid")?;
        for peer in &all {
            proven(story, peer, &salt).await.with_context(|| peer.name_any())?;
        }
        operator.end().await
    })
    .await;
}

/// The code in its Secret has the key in its status.
async fn proven(story: &Scenario, peer: &ReflectorPeer, salt: &str) -> Result<()> {
    let code = Code::parse(&read(story, &secret_of(peer)?, "code").await?).context("that is no code")?;
    let key = SecretKey::derive(&code, salt, &mut memory())?.code_key().to_string();
    let pairing = peer.status.as_ref().and_then(|status| status.pairing.as_ref());
    ensure!(
        pairing.and_then(|pairing| pairing.code_key.as_ref()) == Some(&key),
        "{pairing:?} is not of its code"
    );
    Ok(())
}
