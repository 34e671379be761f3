//! A release as users have it: helm installs it, the operator runs as a pod with the rights of the chart and no others, a
//! Reflector gets its pod; the release changes and goes. The images are made of the programs of this tree.

use anyhow::{Context as _, Result, ensure};
use crds::{Reflector, ReflectorFleet, ReflectorPeer};
use e2e::scenario::{MINUTE, Scenario, alone, wait_until};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Service};
use kube::ResourceExt as _;
use kube::api::ListParams;
use serde_json::json;

use super::{folder, kubectl, rendered};
use crate::operator::built;

/// Of a namespace of this machine: there is no registry.
pub(crate) const OPERATOR: &str = "localhost/reflector-operator:scenario";
pub(crate) const REFLECTOR: &str = "localhost/reflector:scenario";
const NODE: &str = "node-1";
/// Shorter than the minute that any command of a story may take, so that helm's own words are shown.
const WAIT: [&str; 2] = ["--wait", "--timeout=50s"];
/// Nothing is fetched: there is nowhere to fetch it from.
const IMAGES: &str = "--set=image.repository=localhost/reflector-operator,image.tag=scenario,\
    reflector.image.repository=localhost/reflector,reflector.image.tag=scenario,log.level=debug";

async fn import(story: &Scenario, package: &str, program: &str, name: &str) -> Result<()> {
    let program = built(package, program).await?;
    story.bed.deliver(NODE, &program, name).await
}

async fn helm(story: &Scenario, verb: &str, more: &[&str]) -> Result<String> {
    let chart = folder();
    let chart = chart.to_str().context("the chart's path is no text")?;
    let here =
        format!("--set=watchNamespace={},nodeSelector.kubernetes\\.io/hostname={NODE}", story.namespace);
    let words = [verb, "reflector-operator", chart, IMAGES, &here];
    story.helm(words.into_iter().chain(WAIT).chain(more.iter().copied())).await
}

/// What earlier scenarios have left of the kinds, roles and policies: a release takes nothing over that is not its own.
pub(crate) async fn clear(story: &Scenario) -> Result<()> {
    let all = rendered(story, &[]).await?;
    kubectl(story, &["delete", "--ignore-not-found", "--timeout=50s"], &all)
        .await
        .context("clear the cluster")?;
    Ok(())
}

async fn ready_operators(story: &Scenario, wanted: i32) -> Result<()> {
    let deployment = story.api::<Deployment>().get("reflector-operator").await?;
    let status = deployment.status.unwrap_or_default();
    let (ready, all) = (status.ready_replicas.unwrap_or(0), status.replicas.unwrap_or(0));
    ensure!((ready, all) == (wanted, wanted), "{ready} of {all} operators are Ready");
    Ok(())
}

/// The Reflector's pod, once its container runs our image.
async fn running_pod(story: &Scenario) -> Result<Pod> {
    let pods = story.api::<Pod>();
    let selector = ListParams::default().labels("packetparamedic.io/reflector=attic");
    wait_until("the reflector's pod runs our image", MINUTE, async || {
        let pod = pods.list(&selector).await?.items.into_iter().next().context("there is no pod")?;
        let status = pod.status.clone().unwrap_or_default();
        let containers = status.container_statuses.unwrap_or_default();
        let container =
            containers.first().with_context(|| format!("no container: {:?}", status.conditions))?;
        // What its status calls the image is any name that the node has for these bytes.
        let image = pod.spec.as_ref().and_then(|spec| spec.containers.first()?.image.as_deref());
        ensure!(image == Some(REFLECTOR), "its image is {image:?}");
        let state = container.state.as_ref();
        ensure!(state.is_some_and(|state| state.running.is_some()), "it is {state:?}");
        Ok(pod)
    })
    .await
}

async fn condition(story: &Scenario, type_: &str, status: &str, reason: &str) -> Result<()> {
    wait_until(&format!("attic says {type_}={status}, {reason}"), MINUTE, async || {
        let status_now = story.api::<Reflector>().get("attic").await?.status.unwrap_or_default();
        let found = status_now.conditions.iter().find(|one| one.type_ == type_);
        let found = found.with_context(|| format!("not among {:?}", status_now.conditions))?;
        ensure!((found.status.as_str(), found.reason.as_str()) == (status, reason), "{found:?}");
        Ok(())
    })
    .await
}

/// F1, F9
#[tokio::test]
async fn a_release_runs_reflectors_with_the_rights_of_the_chart_and_goes_without_them() {
    alone("chart-install", async |story: &mut Scenario| {
        import(story, "operator", "reflector-operator", OPERATOR).await?;
        import(story, "reflector", "reflector", REFLECTOR).await?;
        clear(story).await?;

        let notes = helm(story, "install", &[]).await?;
        ensure!(notes.contains("kubectl apply -n"), "the notes do not say how to go on: {notes}");
        ready_operators(story, 1).await?;

        let attic = json!({
            "apiVersion": "packetparamedic.io/v1alpha1",
            "kind": "Reflector",
            "metadata": { "name": "attic" },
            "spec": {
                "placement": { "nodeSelector": { "kubernetes.io/hostname": NODE } },
                "network": { "port": 14800, "healthPort": 14801 },
            },
        });
        kubectl(story, &["apply"], &attic.to_string()).await?;
        condition(story, "Ready", "True", "Serving").await?;
        let pod = running_pod(story).await?;
        told_as_an_event(story).await?;
        given_a_code(story).await?;
        given_a_service_and_no_longer(story).await?;
        made_a_member(story).await?;
        let claims = story.api::<PersistentVolumeClaim>();
        let claim = claims.get("rfl-attic-identity").await?.uid();

        // The operator that stands by while another holds the Lease; and back to one that needs none.
        helm(story, "upgrade", &["--set=replicas=2,leaderElection.enabled=true"]).await?;
        wait_until("two operators are Ready", MINUTE, async || ready_operators(story, 2).await).await?;
        wait_until("one of them holds the Lease", MINUTE, async || {
            let lease = story.api::<Lease>().get("reflector-operator").await?;
            ensure!(lease.spec.and_then(|spec| spec.holder_identity).is_some(), "nobody does");
            Ok(())
        })
        .await?;
        helm(story, "upgrade", &[]).await?;
        wait_until("one operator is Ready", MINUTE, async || ready_operators(story, 1).await).await?;
        let before = generations(story).await?;
        helm(story, "upgrade", &[]).await?;
        let after = generations(story).await?;
        ensure!(before == after, "the same release again changes objects:\n{before}\n{after}");
        ensure!(running_pod(story).await?.uid() == pod.uid(), "the reflector was restarted");

        story.helm(["uninstall", "reflector-operator"].into_iter().chain(WAIT)).await?;
        ensure!(
            story.api::<Deployment>().get_opt("reflector-operator").await?.is_none(),
            "the operator stays"
        );
        ensure!(running_pod(story).await?.uid() == pod.uid(), "the reflector was restarted");
        ensure!(claims.get("rfl-attic-identity").await?.uid() == claim, "the claim is another");
        helm(story, "install", &[]).await.context("install it again over what was kept")?;
        ready_operators(story, 1).await
    })
    .await;
}

/// Events are told with a right of their own.
async fn told_as_an_event(story: &Scenario) -> Result<()> {
    wait_until("the operator has told an event of attic", MINUTE, async || {
        let said = ["get", "events", "--field-selector=involvedObject.name=attic", "--output=name"];
        let said = story.kubectl(said).await?;
        ensure!(!said.trim().is_empty(), "there is none");
        Ok(())
    })
    .await
}

/// So are Secrets, which it cannot read.
async fn given_a_code(story: &Scenario) -> Result<()> {
    let peer = json!({
        "apiVersion": "packetparamedic.io/v1alpha1",
        "kind": "ReflectorPeer",
        "metadata": { "name": "living-room" },
        "spec": { "reflectorRef": { "kind": "Reflector", "name": "attic" } },
    });
    kubectl(story, &["apply"], &peer.to_string()).await?;
    wait_until("a code waits for an appliance", MINUTE, async || {
        let peer = story.api::<ReflectorPeer>().get("living-room").await?;
        let pairing = peer.status.unwrap_or_default().pairing.unwrap_or_default();
        let secret = pairing.secret.context("no Secret is named")?;
        story.kubectl(["get", "secret", &secret]).await.map(drop)
    })
    .await
}

/// A Service is made off the host's network, and removed on it.
async fn given_a_service_and_no_longer(story: &Scenario) -> Result<()> {
    let services = story.api::<Service>();
    for (host, there) in [(false, true), (true, false)] {
        let cellar = json!({
            "apiVersion": "packetparamedic.io/v1alpha1",
            "kind": "Reflector",
            "metadata": { "name": "cellar" },
            "spec": {
                "placement": { "nodeSelector": { "kubernetes.io/hostname": NODE } },
                "network": { "port": 14820, "healthPort": 14821, "hostNetwork": host },
            },
        });
        kubectl(story, &["apply"], &cellar.to_string()).await?;
        wait_until(&format!("a Service is there: {there}"), MINUTE, async || {
            let service = services.get_opt("rfl-cellar").await?;
            ensure!(service.is_some() == there, "{service:?}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// A fleet's members are Reflectors that the operator makes and removes.
async fn made_a_member(story: &Scenario) -> Result<()> {
    let fleet = json!({
        "apiVersion": "packetparamedic.io/v1alpha1",
        "kind": "ReflectorFleet",
        "metadata": { "name": "homes" },
        "spec": {
            "nodeSelector": { "kubernetes.io/hostname": NODE },
            "template": { "spec": { "network": { "port": 14830, "healthPort": 14831 } } },
        },
    });
    kubectl(story, &["apply"], &fleet.to_string()).await?;
    let reflectors = story.api::<Reflector>();
    wait_until("the fleet has a member and lists it", MINUTE, async || {
        let fleet = story.api::<ReflectorFleet>().get("homes").await?.status.unwrap_or_default();
        let member = fleet.members.first().with_context(|| format!("no member: {:?}", fleet.conditions))?;
        ensure!(reflectors.get_opt(&member.reflector).await?.is_some(), "{} is not there", member.reflector);
        Ok(())
    })
    .await
}

/// How often everything of the release was changed.
async fn generations(story: &Scenario) -> Result<String> {
    let kinds = "deployments,serviceaccounts,customresourcedefinitions,clusterroles,clusterrolebindings,roles,\
        rolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings";
    let columns = "--output=custom-columns=KIND:.kind,NAME:.metadata.name,GENERATION:.metadata.generation";
    let selector = "--selector=app.kubernetes.io/name=reflector-operator";
    story.kubectl(["get", kinds, columns, selector]).await
}
