//! The operator on a real API server: what a Reflector becomes, what is left alone, and what stays when it goes.

mod admission;
mod cut_off;
mod faults;
pub(crate) mod fleets;
mod kept;
mod living;
mod measured;
mod pairing;
mod plugin;
mod reached;
mod reaching;
mod rights;
mod rollout;
mod running;
mod said;
mod serving;
mod whole;

use anyhow::{Context as _, Result, ensure};
use crds::Reflector;
use e2e::scenario::{MINUTE, Scenario, scenario, wait_until};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Service, ServiceAccount};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::crds::install;
use running::Operator;
pub(crate) use running::built;

/// A Reflector pinned to a node, on ports of its own: scenarios share the nodes. Its pod writes numbers down at once
/// rather than once a minute, which is tested where time is an argument.
fn reflector(name: &str, node: &str, port: u16, more: &Value) -> Value {
    let mut spec = json!({
        "placement": { "nodeSelector": { "kubernetes.io/hostname": node } },
        "image": { "pullPolicy": "Never" },
        "network": { "port": port, "healthPort": port + 1 },
        "podTemplate": { "env": [{ "name": "REFLECTOR_STATUS_NUMBERS_SECONDS", "value": "1" }] },
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    json!({
        "apiVersion": "packetparamedic.io/v1alpha1",
        "kind": "Reflector",
        "metadata": { "name": name },
        "spec": spec,
    })
}

async fn create(story: &Scenario, object: &Value) -> Result<Reflector> {
    let object: Reflector = serde_json::from_value(object.clone()).context("read the Reflector")?;
    story.api::<Reflector>().create(&PostParams::default(), &object).await.context("create the Reflector")
}

/// Waits until a condition is as it should be, and shows its message.
async fn says(story: &Scenario, name: &str, type_: &str, status: &str, reason: &str) -> Result<String> {
    let reflectors = story.api::<Reflector>();
    wait_until(&format!("{name} says {type_}={status}, {reason}"), MINUTE, async || {
        let object = reflectors.get(name).await?;
        ensure!(
            object.status.as_ref().and_then(|status| status.observed_generation)
                == object.metadata.generation
        );
        let all = object.status.map(|status| status.conditions).unwrap_or_default();
        let found = all.iter().find(|condition| condition.type_ == type_).context("it is not there")?;
        ensure!((found.status.as_str(), found.reason.as_str()) == (status, reason), "{found:?}");
        Ok(found.message.clone())
    })
    .await
}

async fn is_owned<K>(story: &Scenario, name: &str, owner: &Reflector) -> Result<()>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    K: Clone + std::fmt::Debug + DeserializeOwned,
{
    let api: Api<K> = story.api();
    let kind = K::kind(&());
    let child =
        wait_until(&format!("{kind} {name} is there"), MINUTE, async || Ok(api.get(name).await?)).await?;
    let owners = child.owner_references();
    ensure!(owners.len() == 1 && owners[0].controller == Some(true), "{kind}: {owners:?}");
    ensure!(Some(owners[0].uid.as_str()) == owner.uid().as_deref(), "{kind} belongs to {owners:?}");
    ensure!(child.labels().get("packetparamedic.io/reflector") == owner.metadata.name.as_ref(), "{kind}");
    Ok(())
}

/// F1
#[tokio::test]
async fn a_reflector_becomes_its_children_and_a_broken_one_beside_it_does_not_matter() {
    scenario("operator", async |story: &mut Scenario| {
        install(story).await?;
        let operator = Operator::start(story, &[]).await?;
        let evil = json!({ "image": { "repository": "evil.example/r" } });
        create(story, &reflector("broken", "node-1", 14100, &evil)).await?;
        let attic = create(story, &reflector("attic", "node-1", 14000, &json!({}))).await?;

        is_owned::<ServiceAccount>(story, "rfl-attic", &attic).await?;
        is_owned::<RoleBinding>(story, "rfl-attic", &attic).await?;
        is_owned::<ConfigMap>(story, "rfl-attic", &attic).await?;
        is_owned::<Deployment>(story, "rfl-attic", &attic).await?;
        let claims = story.api::<PersistentVolumeClaim>();
        ensure!(claims.get("rfl-attic-identity").await?.owner_references().is_empty(), "the claim would go");
        ensure!(
            story.api::<Service>().get_opt("rfl-attic").await?.is_none(),
            "a Service on the host network"
        );

        // No node has the image: the whole way up to there is real, and said in words.
        let words = says(story, "attic", "Ready", "False", "ImagePullFailed").await?;
        ensure!(words.contains("bed.example/reflector:1"), "{words}");
        says(story, "attic", "Scheduled", "True", "PodScheduled").await?;
        says(story, "attic", "IdentityReady", "True", "ClaimBound").await?;
        let status = story.api::<Reflector>().get("attic").await?.status.context("its status")?;
        ensure!(status.addresses == ["10.99.0.11:14000"], "{:?}", status.addresses);
        ensure!(status.node.as_deref() == Some("node-1"), "{:?}", status.node);

        let words = says(story, "broken", "Stalled", "True", "ImageNotAllowed").await?;
        ensure!(words.contains("evil.example/r"), "{words}");
        ensure!(story.api::<Deployment>().get_opt("rfl-broken").await?.is_none(), "it got a Deployment");
        operator.end().await
    })
    .await;
}

/// F10: the metric of our own writes stays where it is.
#[tokio::test]
async fn a_second_look_writes_nothing_and_neither_does_a_restarted_operator() {
    scenario("operator-quiet", async |story: &mut Scenario| {
        install(story).await?;
        let operator = Operator::start(story, &[]).await?;
        create(
            story,
            &reflector("attic", "node-2", 14200, &json!({ "resources": { "requests": { "cpu": "0.02" } } })),
        )
        .await?;
        says(story, "attic", "Ready", "False", "ImagePullFailed").await?;
        operator.settled().await?;

        let (writes, looks) = (operator.writes().await?, operator.reconciles("unchanged").await?);
        story.kubectl(["annotate", "reflector", "attic", "example.net/touched=yes"]).await?;
        wait_until("it was looked at again", MINUTE, async || {
            let now = operator.reconciles("unchanged").await?;
            ensure!(now > looks, "{now} looks that changed nothing");
            Ok(())
        })
        .await?;
        ensure!(operator.writes().await? <= writes, "it wrote: {}", operator.log()?);
        operator.kill().await?;

        let again = Operator::start(story, &[]).await?;
        wait_until("the next operator has looked", MINUTE, async || {
            ensure!(again.reconciles("unchanged").await? > 0.0, "not yet");
            Ok(())
        })
        .await?;
        ensure!(again.writes().await? < 1.0, "it wrote: {}", again.log()?);

        let configs = story.api::<ConfigMap>();
        let before = configs.get("rfl-attic").await?.uid();
        configs.delete("rfl-attic", &DeleteParams::default()).await?;
        wait_until("a ConfigMap that was deleted comes back", MINUTE, async || {
            ensure!(configs.get("rfl-attic").await?.uid() != before, "it is the old one");
            Ok(())
        })
        .await?;
        let forged = json!({ "data": { "reflector.toml": "forged" } });
        configs.patch("rfl-attic", &PatchParams::default(), &Patch::Merge(&forged)).await?;
        wait_until("a ConfigMap that was changed is as before", MINUTE, async || {
            let data = configs.get("rfl-attic").await?.data.unwrap_or_default();
            ensure!(data["reflector.toml"] != "forged", "it is still forged");
            Ok(())
        })
        .await?;
        again.end().await
    })
    .await;
}

/// F1, I4
#[tokio::test]
async fn a_deleted_reflector_leaves_nothing_but_its_claim_which_the_next_one_adopts() {
    scenario("operator-gone", async |story: &mut Scenario| {
        install(story).await?;
        let operator = Operator::start(story, &[]).await?;
        let object = reflector("attic", "node-2", 14300, &json!({}));
        create(story, &object).await?;
        says(story, "attic", "IdentityReady", "True", "ClaimBound").await?;
        let claims = story.api::<PersistentVolumeClaim>();
        let claim = claims.get("rfl-attic-identity").await?.uid();

        story.api::<Reflector>().delete("attic", &DeleteParams::background()).await?;
        wait_until("its children are gone", MINUTE, async || {
            let left = ["deployment", "serviceaccount", "rolebinding", "configmap", "pod"].join(",");
            let label = "packetparamedic.io/reflector=attic";
            let left = story.kubectl(["get", &left, "--selector", label, "--output=name"]).await?;
            ensure!(left.trim().is_empty(), "still there: {left}");
            Ok(())
        })
        .await?;
        ensure!(claims.get("rfl-attic-identity").await?.uid() == claim, "it is another claim");

        create(story, &object).await?;
        says(story, "attic", "IdentityReady", "True", "IdentityAdopted").await?;
        ensure!(claims.get("rfl-attic-identity").await?.uid() == claim, "it is another claim");
        operator.end().await
    })
    .await;
}

#[tokio::test]
async fn what_belongs_to_somebody_else_is_named_and_never_touched() {
    scenario("operator-foreign", async |story: &mut Scenario| {
        install(story).await?;
        let configs = story.api::<ConfigMap>();
        let theirs: ConfigMap = serde_json::from_value(
            json!({ "metadata": { "name": "rfl-attic" }, "data": { "theirs": "yes" } }),
        )?;
        let before = configs.create(&PostParams::default(), &theirs).await?;
        let operator = Operator::start(story, &[]).await?;
        create(story, &reflector("attic", "node-1", 14400, &json!({}))).await?;
        let words = says(story, "attic", "Stalled", "True", "NameTaken").await?;
        ensure!(words.contains("ConfigMap rfl-attic"), "{words}");
        let after = configs.get("rfl-attic").await?;
        ensure!(after.resource_version() == before.resource_version(), "it was touched: {after:?}");
        ensure!(story.api::<ServiceAccount>().get_opt("rfl-attic").await?.is_none(), "something was made");
        operator.end().await
    })
    .await;
}

#[tokio::test]
async fn of_two_operators_the_holder_writes_and_the_other_takes_over_what_was_given_up() {
    scenario("operator-lease", async |story: &mut Scenario| {
        install(story).await?;
        let one = Operator::start(story, &["--leader-elect", "--instance", "one"]).await?;
        let leases = story.api::<Lease>();
        let holder = async || -> Result<String> {
            let lease = leases.get("reflector-operator").await?;
            lease.spec.and_then(|spec| spec.holder_identity).context("nobody holds the Lease")
        };
        wait_until("the first holds the Lease", MINUTE, async || {
            ensure!(holder().await?.starts_with("one_"), "somebody else does");
            Ok(())
        })
        .await?;
        // Ready, though it may not write.
        let two = Operator::start(story, &["--leader-elect", "--instance", "two"]).await?;
        create(story, &reflector("attic", "node-1", 14500, &json!({}))).await?;
        says(story, "attic", "Ready", "False", "ImagePullFailed").await?;
        ensure!(two.writes().await? < 1.0, "the standby wrote: {}", two.log()?);

        one.end().await?;
        wait_until("the second holds the Lease", MINUTE, async || {
            ensure!(holder().await?.starts_with("two_"), "it does not");
            Ok(())
        })
        .await?;
        create(story, &reflector("cellar", "node-1", 14600, &json!({}))).await?;
        says(story, "cellar", "Ready", "False", "ImagePullFailed").await?;
        two.end().await
    })
    .await;
}
