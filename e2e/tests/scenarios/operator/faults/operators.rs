//! The operator itself breaks: it stands still while it holds the Lease, and it is killed wherever it happens to be.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use crds::Reflector;
use e2e::scenario::{MINUTE, Scenario, scenario, wait_until};
use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, ListParams};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::super::running::Operator;
use super::super::{create, reflector, says};
use crate::crds::install;

/// The kinds that the operator writes, Lease and events apart.
const KINDS: &str = "reflectors,reflectorpeers,deployments,configmaps,serviceaccounts,rolebindings,\
    persistentvolumeclaims,services,secrets";

/// Every object of these kinds with its version.
async fn versions(story: &Scenario) -> Result<String> {
    let columns = "--output=custom-columns=KIND:.kind,NAME:.metadata.name,VERSION:.metadata.resourceVersion";
    story.kubectl(["get", KINDS, columns]).await
}

/// The term of a Lease, and what it takes to look at it.
const TAKEN_OVER: Duration = Duration::from_secs(120);

/// A holder that stands still believes that it holds what another has taken: when it goes on, it must see that first.
#[tokio::test]
async fn a_holder_of_the_lease_that_stood_still_for_its_term_writes_nothing_more_and_ends() {
    scenario("faults-lease", async |story: &mut Scenario| {
        install(story).await?;
        let one = Operator::start(story, &["--leader-elect", "--instance", "one"]).await?;
        create(story, &reflector("attic", "nowhere", 16700, &json!({}))).await?;
        says(story, "attic", "Scheduled", "False", "Unschedulable").await?;
        let two = Operator::start(story, &["--leader-elect", "--instance", "two"]).await?;
        one.settled().await?;

        one.stall(true)?;
        // News for the one that stands still: it will find them when it goes on.
        create(story, &reflector("cellar", "nowhere", 16710, &json!({}))).await?;
        story.kubectl(["delete", "configmap", "rfl-attic"]).await?;
        let leases = story.api::<Lease>();
        wait_until("the second holds the Lease", TAKEN_OVER, async || {
            let lease = leases.get("reflector-operator").await?;
            let holder = lease.spec.and_then(|spec| spec.holder_identity).context("nobody holds it")?;
            ensure!(holder.starts_with("two_"), "{holder} does");
            Ok(())
        })
        .await?;
        says(story, "cellar", "Scheduled", "False", "Unschedulable").await?;
        story.kubectl(["get", "configmap", "rfl-attic"]).await.context("it did not come back")?;
        story.kubectl(["delete", "serviceaccount", "rfl-cellar", "rfl-attic"]).await?;
        wait_until("they come back", MINUTE, async || {
            story.kubectl(["get", "serviceaccount", "rfl-cellar", "rfl-attic"]).await
        })
        .await?;
        two.settled().await?;
        let (before, writes) = (versions(story).await?, two.writes().await?);

        one.stall(false)?;
        let log = one.gave_up().await?;
        ensure!(log.contains("lost the Lease"), "it ended for another reason: {log}");
        let (after, written) = (versions(story).await?, two.writes().await?);
        ensure!(written <= writes, "the second wrote meanwhile: {}", two.log()?);
        ensure!(after == before, "it wrote:\n{before}\n{after}");
        two.end().await
    })
    .await;
}

/// With the twenty of pairing (`pairing::crashes`) a hundred, where there is time for all.
const KILLS: [usize; 2] = [24, 80];
/// Set where there is.
const LONG: &str = "REFLECTOR_TEST_LONG";
/// A life in which nothing is left to write is over then.
const LIFE: Duration = Duration::from_millis(300);

#[expect(clippy::disallowed_methods, reason = "whether there is time is said by whoever starts the test")]
fn kills() -> usize {
    KILLS[usize::from(std::env::var_os(LONG).is_some())]
}

/// F10: however it dies, what comes of it is what comes of an operator that nobody disturbs.
#[tokio::test]
async fn an_operator_that_is_killed_again_and_again_leaves_what_an_undisturbed_one_makes() {
    scenario("faults-kills", async |story: &mut Scenario| {
        install(story).await?;
        let kills = kills();
        for round in 0..kills {
            if round.is_multiple_of(8) {
                make(story, round / 8).await?;
            } else if round % 8 == 4 {
                change(story, round / 8).await?;
            }
            let operator = Operator::start(story, &[]).await?;
            let moment = f64::from(u8::try_from(round * 7 % 11)?);
            let written = async {
                while operator.writes().await? < moment {}
                Ok::<_, anyhow::Error>(())
            };
            // Nothing left to write is as good a moment as any.
            drop(timeout(LIFE, written).await);
            operator.kill().await?;
        }
        let operator = Operator::start(story, &[]).await?;
        operator.settled().await?;
        let disturbed = made(story).await?;
        operator.kill().await?;
        let operator = Operator::start(story, &[]).await?;
        let count = f64::from(u8::try_from(kills / 8)?);
        wait_until("the next operator has looked", MINUTE, async || {
            ensure!(operator.reconciles("unchanged").await? >= count, "not yet");
            Ok(())
        })
        .await?;
        ensure!(operator.writes().await? < 1.0, "it wrote: {}", operator.log()?);

        let reflectors = story.api::<Reflector>();
        reflectors.delete_collection(&DeleteParams::foreground(), &ListParams::default()).await?;
        wait_until("all is gone", MINUTE, async || {
            let left = made(story).await?;
            ensure!(left.is_empty(), "{} are left", left.len());
            ensure!(reflectors.list(&ListParams::default()).await?.items.is_empty());
            Ok(())
        })
        .await?;
        for number in 0..kills / 8 {
            make(story, number).await?;
            change(story, number).await?;
        }
        operator.settled().await?;
        let undisturbed = made(story).await?;
        ensure!(undisturbed.len() == 5 * kills / 8, "{} children", undisturbed.len());
        for (one, other) in disturbed.iter().zip(&undisturbed) {
            ensure!(one == other, "killed: {one:#}\nundisturbed: {other:#}");
        }
        ensure!(disturbed.len() == undisturbed.len(), "{} children", disturbed.len());
        operator.end().await
    })
    .await;
}

/// On a node that is not there: no pod comes of it, and no volume.
async fn make(story: &Scenario, number: usize) -> Result<()> {
    let more = json!({ "identity": { "retain": false } });
    let port = 16800 + u16::try_from(2 * number)?;
    create(story, &reflector(&format!("r{number}"), "nowhere", port, &more)).await?;
    Ok(())
}

async fn change(story: &Scenario, number: usize) -> Result<()> {
    let plain = json!({ "spec": { "network": { "plainOnControlPort": false } } });
    super::super::fleets::edit::<Reflector>(story, &format!("r{number}"), &plain).await
}

/// Every child as it was made: without what the server adds, and what differs between two Reflectors of one name.
async fn made(story: &Scenario) -> Result<Vec<Value>> {
    let reflectors = story.api::<Reflector>().list(&ListParams::default()).await?;
    let children = ["--selector=packetparamedic.io/reflector", "--output=json"];
    let mut text = story.kubectl(["get", KINDS].iter().chain(&children)).await?;
    for one in &reflectors {
        text = text.replace(&one.uid().unwrap_or_default(), &format!("uid of {}", one.name_any()));
    }
    let list: Value = serde_json::from_str(&text).context("read the children")?;
    let mut all = list["items"].as_array().cloned().unwrap_or_default();
    for child in &mut all {
        let metadata = child["metadata"].as_object_mut().context("it has no metadata")?;
        metadata.retain(|key, _| ["name", "labels", "ownerReferences"].contains(&key.as_str()));
        child.as_object_mut().context("it is no object")?.remove("status");
        // A hash of the file that has the uid in it.
        if let Some(annotations) = child.pointer_mut("/spec/template/metadata/annotations") {
            annotations.take();
        }
    }
    Ok(all)
}
