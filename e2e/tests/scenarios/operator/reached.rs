//! `Ready` means that a test would pass now: a pod that runs and cannot be reached is not Ready.

use anyhow::{Context as _, Result, ensure};
use crds::Reflector;
use e2e::scenario::{MINUTE, Scenario, scenario, wait_until};
use serde_json::json;

use super::running::{Operator, image_on};
use super::{create, reflector, says};
use crate::chart;
use crate::crds::install;

const PORT: u16 = 14500;
/// The firewall of the node, as somebody might write it: what is not known is dropped.
const FIREWALL: &str =
    "table inet bed_reached { chain input { type filter hook input priority 0; tcp dport 14500 drop; }; }";

/// X10: the pod runs, its probes are good, and nobody would get in.
#[tokio::test]
async fn a_reflector_behind_a_firewall_is_not_ready_and_says_why_until_it_is_let_through() {
    scenario("operator-reached", async |story: &mut Scenario| {
        install(story).await?;
        chart::apply(story, &["templates/access/endpoint.yaml"]).await?;
        chart::apply(story, &chart::POLICIES).await?;
        image_on(story, "node-1", "reached").await?;
        let operator = Operator::start(story, &[]).await?;
        let image = json!({ "image": { "tag": "reached", "pullPolicy": "Never" } });
        create(story, &reflector("attic", "node-1", PORT, &image)).await?;
        says(story, "attic", "Ready", "True", "Serving").await?;
        says(story, "attic", "Accepting", "True", "Listening").await?;

        story.exec("node-1", ["nft", FIREWALL]).await.context("put up a firewall")?;
        let shut = not_ready(story).await;
        story.exec("node-1", ["nft", "delete table inet bed_reached"]).await.context("take it down")?;
        shut?;
        says(story, "attic", "Ready", "True", "Serving").await?;
        ensure!(peers(story).await? == 0, "it counts itself as a peer");
        operator.end().await
    })
    .await;
}

/// In the pod's words, which name the address, the cause and the remedy.
async fn not_ready(story: &Scenario) -> Result<()> {
    // The next attempt is up to a minute away, and it takes three.
    wait_until("the pod notices that nobody gets in", 3 * MINUTE, async || {
        let all = story.api::<Reflector>().get("attic").await?.status.context("its status")?.conditions;
        let accepting = all.iter().find(|one| one.type_ == "Accepting").context("it says nothing")?;
        ensure!(accepting.reason == "SelfConnectFailed", "{accepting:?}");
        Ok(())
    })
    .await?;
    let message = says(story, "attic", "Ready", "False", "SelfConnectFailed").await?;
    for words in ["127.0.0.1:14500", "a firewall on the node drops TCP port 14500", "let it pass"] {
        ensure!(message.contains(words), "{message}");
    }
    Ok(())
}

async fn peers(story: &Scenario) -> Result<i64> {
    let status = story.api::<Reflector>().get("attic").await?.status.context("its status")?;
    Ok(status.peers.map_or(0, |peers| peers.authorized + peers.pairing + peers.suspended))
}
