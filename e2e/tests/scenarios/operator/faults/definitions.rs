//! The definitions in the cluster are older than the operator. Newer ones are in `newer`.

use anyhow::{Context as _, Result, ensure};
use e2e::scenario::{Scenario, alone};
use serde_json::{Value, json};

use super::super::running::Operator;
use super::super::{create, reflector, says};
use crate::chart;
use crate::crds::install;

/// A definition, changed: the change is given its `spec` and `status`.
pub(super) async fn define(story: &Scenario, plural: &str, change: impl FnOnce(&mut Value)) -> Result<()> {
    let text = std::fs::read_to_string(crate::crds::yaml(plural)).context("read the definition")?;
    let mut definition: Value = serde_yaml::from_str(&text).context("understand the definition")?;
    let schema = definition.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties");
    change(schema.context("it has no schema")?);
    let apply = ["apply", "--server-side", "--force-conflicts"];
    chart::kubectl(story, &apply, &definition.to_string()).await.map(drop)
}

/// A field that this release writes is not in the definition: the API server refuses the whole status, so what can be
/// said is said without it. What was asked for is made all the same, and the right definitions are all it takes.
#[tokio::test]
async fn with_older_definitions_children_are_made_and_the_status_says_which_field_is_missing() {
    alone("faults-older", async |story: &mut Scenario| {
        install(story).await?;
        let told = older(story).await;
        install(story).await?;
        told
    })
    .await;
}

async fn older(story: &Scenario) -> Result<()> {
    define(story, "reflectors", |schema| {
        if let Some(status) = schema.pointer_mut("/status/properties").and_then(Value::as_object_mut) {
            status.remove("peers");
        }
    })
    .await?;
    let operator = Operator::start(story, &[]).await?;
    create(story, &reflector("attic", "nowhere", 16900, &json!({}))).await?;
    let words = says(story, "attic", "Ready", "False", "DefinitionsOutdated").await?;
    for part in [".status.peers: field not declared in schema", "Apply the definitions of this release"] {
        ensure!(words.contains(part), "{words}");
    }
    says(story, "attic", "Stalled", "True", "DefinitionsOutdated").await?;
    story.kubectl(["get", "deployment", "rfl-attic"]).await.context("it has no Deployment")?;
    install(story).await?;
    says(story, "attic", "Scheduled", "False", "Unschedulable").await?;
    says(story, "attic", "Ready", "False", "Unschedulable").await?;
    let after = story.kubectl(["get", "reflector", "attic", "--output=json"]).await?;
    ensure!(!after.contains("DefinitionsOutdated"), "it is still stalled: {after}");
    operator.end().await
}
