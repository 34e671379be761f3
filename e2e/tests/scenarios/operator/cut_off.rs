//! A reflector that serves loses what it stands on: the way to the API server, and its claim.

use anyhow::{Context as _, Result, ensure};
use crds::Reflector;
use e2e::bed::Member;
use e2e::scenario::{MINUTE, Scenario, breaking_a_node, scenario, wait_until};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use serde_json::json;

use super::running::{Operator, image_on};
use super::{create, reflector, says};
use crate::chart;
use crate::crds::install;

/// What runs as a reflector does gets no further than its node; its kubelet does.
const CUT: &str = "table inet bed_cut_off { chain output { type filter hook output priority 0; \
    meta skuid 65532 ip daddr { 10.96.0.1, 10.99.0.1 } meta l4proto tcp reject with tcp reset; }; }";

async fn serving(story: &Scenario, node: &str, port: u16) -> Result<Operator> {
    install(story).await?;
    chart::apply(story, &["templates/access/endpoint.yaml"]).await?;
    chart::apply(story, &chart::POLICIES).await?;
    image_on(story, node, "cut-off").await?;
    let operator = Operator::start(story, &[]).await?;
    let more = json!({
        "image": { "tag": "cut-off", "pullPolicy": "Never" },
        "placement": {
            "nodeSelector": { "kubernetes.io/hostname": node },
            // A spare node takes nobody else.
            "tolerations": [{ "key": "node.kubernetes.io/unschedulable", "operator": "Exists" }],
        },
    });
    create(story, &reflector("attic", node, port, &more)).await?;
    says(story, "attic", "Ready", "True", "Serving").await?;
    Ok(operator)
}

/// X10: it cannot say so itself, so its probe and the operator do.
#[tokio::test]
async fn a_reflector_that_hears_of_no_policy_is_not_ready_until_it_does() {
    breaking_a_node("cut-off-policy", async |story: &mut Scenario, node: &Member| {
        let operator = serving(story, &node.name, 17000).await?;
        story.exec(&node.name, ["nft", CUT]).await.context("cut it off")?;
        let cut = not_ready(story).await;
        story.exec(&node.name, ["nft", "delete table inet bed_cut_off"]).await.context("let it through")?;
        cut?;
        says(story, "attic", "Ready", "True", "Serving").await?;
        says(story, "attic", "PolicyCurrent", "True", "Loaded").await?;
        operator.end().await
    })
    .await;
}

async fn not_ready(story: &Scenario) -> Result<()> {
    // A minute until its own probe fails, and until then nobody knows.
    let message = wait_until("it is not Ready", 3 * MINUTE, async || {
        let status = story.api::<Reflector>().get("attic").await?.status.context("its status")?;
        let ready = status.conditions.iter().find(|one| one.type_ == "Ready").context("it says nothing")?;
        ensure!((&*ready.status, &*ready.reason) == ("False", "PodCutOff"), "{ready:?}");
        Ok(ready.message.clone())
    })
    .await?;
    ensure!(message.contains("its readiness probe fails"), "{message}");
    Ok(())
}

/// X10: what is on the claim is gone for the next start, whatever the pod that runs still knows.
#[tokio::test]
async fn a_reflector_whose_volume_is_gone_is_not_ready_and_says_how_to_bring_its_key_back() {
    scenario("cut-off-claim", async |story: &mut Scenario| {
        let operator = serving(story, "node-2", 17010).await?;
        let claim = story.api::<PersistentVolumeClaim>().get("rfl-attic-identity").await?;
        let volume = claim.spec.and_then(|spec| spec.volume_name).context("it has no volume")?;
        story.kubectl(["delete", "persistentvolume", &volume, "--wait=false"]).await?;
        let unprotected = "{\"metadata\":{\"finalizers\":null}}";
        story.kubectl(["patch", "persistentvolume", &volume, "--type=merge", "--patch", unprotected]).await?;
        says(story, "attic", "IdentityReady", "False", "ClaimLost").await?;
        let message = says(story, "attic", "Ready", "False", "ClaimLost").await?;
        for words in ["rfl-attic-identity", "spec.identity.importSecretRef"] {
            ensure!(message.contains(words), "{message}");
        }
        operator.end().await
    })
    .await;
}
