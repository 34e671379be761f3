//! Objects are deleted, changed or written wrongly by others: a Secret, a namespace, what the operator owns, hundreds of
//! peers at a time.

use anyhow::{Context as _, Result, ensure};
use crds::peer::PairingState;
use crds::{Reflector, ReflectorPeer};
use e2e::scenario::{MINUTE, Scenario, scenario, wait_until};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use super::super::fleets::edit;
use super::super::pairing::acting::{
    Pod, appliance, create_peer, is_in, is_waiting, read, says as peer_says, secret_of, told, until,
};
use super::super::plugin::plugin;
use super::super::running::Operator;
use super::super::serving::{Attic, MEASURED};
use super::super::{create, is_owned, reflector, says};
use super::measuring::NODE;
use crate::crds::install;

/// The code lives in the status; the Secret is for the person who reads it.
#[tokio::test]
async fn a_secret_that_was_deleted_by_hand_takes_no_code_with_it_and_another_in_its_place_stays() {
    scenario("faults-secret", async |story: &mut Scenario| {
        install(story).await?;
        let operator = Operator::start(story, &[]).await?;
        create(story, &reflector("attic", "node-1", 16100, &json!({}))).await?;
        let attic = Pod::attic(story).await?;
        create_peer(story, "den", &json!({})).await?;
        let den = until(story, "den", "Waiting", is_waiting).await?;
        let name = secret_of(&den)?;
        let code = read(story, &name, "code").await?;
        let secrets = story.api::<Secret>();
        secrets.delete(&name, &DeleteParams::default()).await.context("delete the Secret")?;
        let theirs: Secret = serde_json::from_value(json!({ "metadata": { "name": name } }))?;
        secrets.create(&PostParams::default(), &theirs).await?;
        operator.settled().await?;
        ensure!(is_waiting(&story.api::<ReflectorPeer>().get("den").await?.status.unwrap_or_default()));

        // Whoever lost the code asks for another; the one before is over.
        secrets.delete(&name, &DeleteParams::default()).await.context("delete theirs")?;
        let said = plugin(story, &["pair", "den"]).await?;
        ensure!(said.code != Some(0) && said.err.contains("reflector pair den --again"), "{}", said.err);
        let theirs = secrets.create(&PostParams::default(), &theirs).await?;
        edit::<ReflectorPeer>(story, "den", &json!({ "spec": { "pairing": { "round": 1 } } })).await?;
        let den = until(story, "den", "given another code", |status| {
            let pairing = status.pairing.as_ref();
            is_waiting(status) && pairing.is_some_and(|pairing| pairing.round == Some(1))
        })
        .await?;
        let second = secret_of(&den)?;
        let fresh = read(story, &second, "code").await?;
        attic.claims(&den, &code, appliance(2)).await?;
        told(story, "den", "ClaimRefused").await?;

        // Whoever has read it needs no Secret.
        secrets.delete(&second, &DeleteParams::default()).await.context("delete the second Secret")?;
        attic.claims(&den, &fresh, appliance(1)).await?;
        let den = until(story, "den", "Bound", |status| is_in(status, &PairingState::Bound)).await?;
        let bound = den.status.and_then(|status| status.endpoint_id);
        ensure!(bound == Some(appliance(1).to_string()), "{bound:?} is bound");
        operator.settled().await?;
        ensure!(secrets.get(&name).await?.uid() == theirs.uid(), "the Secret of somebody else was touched");
        let failed = operator.reconciles("error").await?;
        ensure!(failed < 1.0, "{failed} reconciles failed: {}", operator.log()?);
        operator.end().await
    })
    .await;
}

/// What of ours is still there.
async fn left(story: &Scenario) -> Result<Vec<String>> {
    let kinds = "reflectors,reflectorpeers,deployments,secrets,configmaps,persistentvolumeclaims,pods";
    let names = story.kubectl(["get", kinds, "--output=name", "--ignore-not-found"]).await?;
    Ok(names.lines().filter(|name| !name.contains("kube-root-ca")).map(str::to_owned).collect())
}

/// Of four objects in two minutes at most, with waits that double.
const MOST_FAILURES: f64 = 40.0;

/// Nothing can be made in a namespace that is being deleted, and nothing of the old one is known in the next.
#[tokio::test]
async fn a_namespace_is_deleted_with_all_that_is_in_it_and_the_operator_serves_the_next_of_its_name() {
    scenario("faults-namespace", async |story: &mut Scenario| {
        install(story).await?;
        let operator = Operator::start(story, &[]).await?;
        let attic = reflector("attic", "node-1", 16200, &json!({}));
        create(story, &attic).await?;
        create(story, &reflector("cellar", "node-2", 16200, &json!({}))).await?;
        create_peer(story, "den", &json!({})).await?;
        create_peer(story, "kitchen", &json!({})).await?;
        says(story, "attic", "IdentityReady", "True", "ClaimBound").await?;
        for name in ["den", "kitchen"] {
            until(story, name, "Waiting", is_waiting).await?;
        }
        let namespaces: Api<Namespace> = Api::all(story.client.clone());
        namespaces.delete(&story.namespace, &DeleteParams::default()).await.context("delete it")?;
        wait_until("the namespace is gone", 2 * MINUTE, async || {
            let there = namespaces.get_opt(&story.namespace).await?;
            ensure!(there.is_none(), "left: {:?}", left(story).await?);
            Ok(())
        })
        .await?;
        operator.settled().await?;
        let failed = operator.reconciles("error").await?;
        println!("  {failed} reconciles failed");
        ensure!(failed < MOST_FAILURES, "it tried {failed} times: {}", operator.log()?);
        let objects = operator.number("reflector_operator_objects", &[]).await?;
        ensure!(objects < 1.0, "it still counts {objects} objects");

        let again: Namespace = serde_json::from_value(json!({ "metadata": { "name": story.namespace } }))?;
        namespaces.create(&PostParams::default(), &again).await.context("make it again")?;
        create(story, &attic).await?;
        create_peer(story, "den", &json!({})).await?;
        is_owned::<Deployment>(story, "rfl-attic", &story.api::<Reflector>().get("attic").await?).await?;
        until(story, "den", "Waiting", is_waiting).await?;
        operator.end().await
    })
    .await;
}

/// How often somebody else insists.
const ROUNDS: usize = 20;

/// Two managers of one field: ours is taken back once per change, what nobody of us owns is left alone, and nobody is
/// asked to fight.
#[tokio::test]
async fn what_another_field_manager_forces_on_us_is_taken_back_and_what_is_theirs_stays() {
    scenario("faults-manager", async |story: &mut Scenario| {
        install(story).await?;
        let operator = Operator::start(story, &[]).await?;
        create(story, &reflector("attic", "node-1", 16300, &json!({}))).await?;
        says(story, "attic", "IdentityReady", "True", "ClaimBound").await?;
        operator.settled().await?;
        let deployments = story.api::<Deployment>();
        let image = "bed.example/other:1";
        let theirs = |replicas: usize| {
            Patch::Apply(json!({
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": { "name": "rfl-attic", "annotations": { "example.net/theirs": "yes" } },
                "spec": {
                    "replicas": replicas,
                    "template": { "spec": { "containers": [{ "name": "reflector", "image": image }] } },
                },
            }))
        };
        let polite = PatchParams::apply("gitops");
        match deployments.patch("rfl-attic", &polite, &theirs(2)).await {
            Err(kube::Error::Api(status)) if status.code == 409 => {
                ensure!(status.message.contains("reflector-operator"), "{}", status.message);
            }
            other => anyhow::bail!("whose field it is was not said: {other:?}"),
        }
        let before = operator.writes().await?;
        let ours = async || {
            let now = deployments.get("rfl-attic").await?;
            let spec = now.spec.clone().context("it has no spec")?;
            let used = spec.template.spec.context("no pod")?.containers.remove(0).image;
            ensure!(
                spec.replicas == Some(1) && used.as_deref() != Some(image),
                "{:?}, {used:?}",
                spec.replicas
            );
            Ok(now)
        };
        for round in 0..ROUNDS {
            deployments.patch("rfl-attic", &polite.clone().force(), &theirs(2 + round)).await?;
        }
        let after = wait_until("what is ours is as before", MINUTE, ours).await?;
        ensure!(after.annotations().contains_key("example.net/theirs"), "theirs was taken away");

        let forged = json!({
            "apiVersion": "packetparamedic.io/v1alpha1",
            "kind": "Reflector",
            "metadata": { "name": "attic" },
            "status": { "observedGeneration": 99, "conditions": [{
                "type": "Ready", "status": "True", "reason": "Forged", "message": "",
                "lastTransitionTime": "2026-01-02T03:04:05Z",
            }] },
        });
        let reflectors = story.api::<Reflector>();
        let forcibly = PatchParams::apply("gitops").force();
        reflectors
            .patch_status("attic", &forcibly, &Patch::Apply(&forged))
            .await
            .context("forge a status")?;
        says(story, "attic", "Ready", "False", "ImagePullFailed").await?;
        operator.settled().await?;
        let wrote = operator.writes().await? - before;
        println!("  {wrote} writes in answer to {} of theirs", ROUNDS + 1);
        // A Deployment, its status twice for the pods that come and go, and events.
        let most = 4.0 * f64::from(u8::try_from(ROUNDS)?);
        ensure!(wrote <= most, "{wrote} writes: {}", operator.log()?);
        operator.end().await
    })
    .await;
}

/// Half of them the validator refuses, half of them cannot be read at all.
const WRONG: usize = 500;
/// Writes at one time.
const SIDE_BY_SIDE: usize = 16;

/// One broken object never stops the others, and hundreds do not either.
#[tokio::test]
async fn five_hundred_invalid_peers_say_so_and_the_one_among_them_is_served() {
    scenario("faults-invalid", async |story: &mut Scenario| {
        let attic = Attic::serving(story, NODE, 16400, &json!({})).await?;
        let before = attic.appliance("before").await?;
        let numbers = stream::iter(0..WRONG);
        let made = numbers.map(|number| wrong(story, number)).buffer_unordered(SIDE_BY_SIDE);
        made.try_collect::<()>().await?;
        let after = attic.appliance("mmm").await?;
        attic.ends(&before, &[], MEASURED).await?;
        attic.ends(&after, &[], MEASURED).await?;

        let peers = story.api::<ReflectorPeer>();
        wait_until("each of the others says what is wrong", 2 * MINUTE, async || {
            let all = raw(story).await?;
            let told = all.iter().filter(|peer| invalid(peer)).count();
            ensure!(told == WRONG, "{told} of {} do", all.len());
            Ok(())
        })
        .await?;
        attic.operator.settled().await?;
        let (writes, looks) = (attic.operator.writes().await?, attic.operator.reconciles("unchanged").await?);
        story.kubectl(["annotate", "reflectorpeer", "mmm", "example.net/touched=yes"]).await?;
        wait_until("it was looked at again", MINUTE, async || {
            ensure!(attic.operator.reconciles("unchanged").await? > looks, "not yet");
            Ok(())
        })
        .await?;
        ensure!(attic.operator.writes().await? <= writes, "it wrote");

        // Mended, one is as good as any.
        let mend = json!({ "spec": { "quotas": { "bytesPerDay": "1G" } } });
        peers.patch("wrong-000", &PatchParams::default(), &Patch::Merge(mend)).await.context("mend one")?;
        until(story, "wrong-000", "mended", |status| !peer_says(status, "Ready", "InvalidSpec")).await?;
        attic.operator.end().await
    })
    .await;
}

async fn wrong(story: &Scenario, number: usize) -> Result<()> {
    let name = format!("wrong-{number:03}");
    let bytes = if number.is_multiple_of(2) { "1.5" } else { "1G" };
    create_peer(story, &name, &json!({ "quotas": { "bytesPerDay": bytes } })).await?;
    if !number.is_multiple_of(2) {
        // The API server takes it for a time.
        let status = json!({ "status": { "pairedAt": "2026-01-02T03:04:05+99:99" } });
        let peers = story.api::<ReflectorPeer>();
        let patched = peers.patch_status(&name, &PatchParams::default(), &Patch::Merge(&status)).await;
        // What comes back cannot be read here, either.
        ensure!(patched.is_err(), "{name} can be read");
    }
    Ok(())
}

async fn raw(story: &Scenario) -> Result<Vec<Value>> {
    let text = story.kubectl(["get", "reflectorpeers", "--output=json"]).await?;
    let list: Value = serde_json::from_str(&text).context("read the list")?;
    Ok(list["items"].as_array().cloned().unwrap_or_default())
}

fn invalid(peer: &Value) -> bool {
    let conditions = peer["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|one| one["type"] == "Ready" && one["reason"] == "InvalidSpec")
}
