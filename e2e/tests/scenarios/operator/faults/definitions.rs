//! The definitions in the cluster are of another release than the operator.

use anyhow::{Context as _, Result, ensure};
use e2e::scenario::{MINUTE, Scenario, alone, wait_until};
use serde_json::{Value, json};

use super::super::running::Operator;
use super::super::{create, reflector, says};
use crate::chart;
use crate::crds::install;

/// The definition of Reflectors, changed.
async fn define(story: &Scenario, change: impl FnOnce(&mut Value)) -> Result<()> {
    let text = std::fs::read_to_string(crate::crds::yaml("reflectors")).context("read the definition")?;
    let mut definition: Value = serde_yaml::from_str(&text).context("understand the definition")?;
    let schema = definition.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties");
    change(schema.context("it has no schema")?);
    let apply = ["apply", "--server-side", "--force-conflicts"];
    chart::kubectl(story, &apply, &definition.to_string()).await.map(drop)
}

/// A field that this release writes is not in the definition: the API server refuses the whole status, so only the log
/// can say which it is. What was asked for is made all the same, and the right definitions are all it takes.
#[tokio::test]
async fn with_older_definitions_children_are_made_and_the_status_follows_with_the_right_ones() {
    alone("faults-older", async |story: &mut Scenario| {
        install(story).await?;
        let told = older(story).await;
        install(story).await?;
        told
    })
    .await;
}

async fn older(story: &Scenario) -> Result<()> {
    define(story, |schema| {
        if let Some(status) = schema.pointer_mut("/status/properties").and_then(Value::as_object_mut) {
            status.remove("peers");
        }
    })
    .await?;
    let operator = Operator::start(story, &[]).await?;
    create(story, &reflector("attic", "nowhere", 16900, &json!({}))).await?;
    wait_until("the log says what is missing", MINUTE, async || {
        let log = operator.log()?;
        ensure!(log.contains(".status.peers: field not declared in schema"), "{log}");
        Ok(())
    })
    .await?;
    story.kubectl(["get", "deployment", "rfl-attic"]).await.context("it has no Deployment")?;
    install(story).await?;
    says(story, "attic", "Scheduled", "False", "Unschedulable").await?;
    operator.end().await
}
