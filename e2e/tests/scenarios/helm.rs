//! Helm alone: a release comes, changes and goes.

use anyhow::{Context as _, ensure};
use e2e::scenario::{MINUTE, Scenario, scenario, wait_until};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;

use crate::sources::source;

/// Shorter than the minute that any command of a story may take, so that helm's own words are shown.
const WAIT: &str = "--timeout=50s";

#[tokio::test]
async fn a_chart_is_installed_upgraded_and_uninstalled() {
    scenario("helm", async |story: &mut Scenario| {
        let chart = source("chart");
        let chart = chart.to_str().context("the chart's path is no text")?;
        story.helm(["install", "greeter", chart, "--wait", WAIT]).await?;
        let log = story.kubectl(["logs", "deployment/greeter"]).await?;
        ensure!(log.trim() == "good morning", "it says: {log}");

        let evening = "greeting=good evening";
        story.helm(["upgrade", "greeter", chart, "--set", evening, "--wait", WAIT]).await?;
        let words = story.api::<ConfigMap>().get("greeter-greeting").await?.data.context("read the words")?;
        ensure!(words["greeting"] == "good evening", "it would say: {words:?}");
        let releases = story.helm(["list", "--output=json"]).await?;
        ensure!(releases.contains(r#""revision":"2""#), "the releases: {releases}");

        story.helm(["uninstall", "greeter", "--wait", WAIT]).await?;
        ensure!(story.helm(["list", "--short"]).await?.trim().is_empty(), "the release is still there");
        wait_until("everything of the release is gone", MINUTE, async || {
            let greeting = story.api::<ConfigMap>().get_opt("greeter-greeting").await?;
            let greeter = story.api::<Deployment>().get_opt("greeter").await?;
            ensure!(greeting.is_none() && greeter.is_none(), "greeting {greeting:?}, greeter {greeter:?}");
            Ok(())
        })
        .await
    })
    .await;
}
