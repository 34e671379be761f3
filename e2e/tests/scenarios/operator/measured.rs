//! What a pod finds when it measures its own host.

use anyhow::{Context as _, Result, ensure};
use crds::Reflector;
use crds::reflector::SelfTestStatus;
use e2e::scenario::{MINUTE, Scenario, scenario, wait_until};
use serde_json::json;

use super::running::{Operator, image_on};
use super::said::said_by;
use super::{create, reflector, says};
use crate::chart;
use crate::crds::install;

/// X8, S3, H5: asked for by a schedule, it is measured once after the start, and told.
#[tokio::test]
async fn a_reflector_with_a_schedule_measures_its_host_and_what_a_tunnel_costs_there() {
    scenario("operator-measured", async |story: &mut Scenario| {
        install(story).await?;
        chart::apply(story, &["templates/access/endpoint.yaml"]).await?;
        chart::apply(story, &chart::POLICIES).await?;
        image_on(story, "node-2", "measured").await?;
        let operator = Operator::start(story, &[]).await?;
        let more = json!({
            "image": { "tag": "measured", "pullPolicy": "Never" },
            "selfTest": { "schedule": "0 4 1 1 *" },
        });
        create(story, &reflector("attic", "node-2", 14600, &more)).await?;
        says(story, "attic", "Ready", "True", "Serving").await?;
        says(story, "attic", "HardwareReady", "Unknown", "NotTested").await?;

        let found = self_test(story).await?;
        let tax = found.tunnel_tax.context("it has no tunnel tax")?;
        ensure!(tax > 0.0 && tax <= 1.0, "{found:?}");
        ensure!(found.verdict.is_some() && found.last_run.is_some(), "{found:?}");
        let conditions =
            story.api::<Reflector>().get("attic").await?.status.context("its status")?.conditions;
        let hardware =
            conditions.iter().find(|one| one.type_ == "HardwareReady").context("it says nothing")?;
        ensure!(hardware.reason.starts_with("Hardware"), "{hardware:?}");
        says(story, "attic", "Ready", "True", "Serving").await?;
        let (fields, _) = said_by(story, "rfl-attic").await?;
        ensure!(fields.contains("selfTest"), "its pod has the fields {fields:?}");
        operator.end().await
    })
    .await;
}

async fn self_test(story: &Scenario) -> Result<SelfTestStatus> {
    wait_until("the self-test has run", 3 * MINUTE, async || {
        let status = story.api::<Reflector>().get("attic").await?.status.context("its status")?;
        status.self_test.with_context(|| format!("it says {:?}", status.conditions))
    })
    .await
}
