//! A node loses its power and gets it back.

use anyhow::{Context as _, ensure};
use e2e::scenario::{MINUTE, Pods as _, Scenario, alone, busybox, wait_until};
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

#[tokio::test]
async fn a_lost_node_is_noticed_and_its_pods_start_again_when_it_returns() {
    alone("node-loss", async |story: &mut Scenario| {
        let pinned = json!({ "nodeName": "node-2" });
        story.create_pod(&busybox("resident", "exec sleep 600", &pinned)).await?;
        story.ready_pod("resident").await?;

        story.bed.lose("node-2").await?;
        ensure!(story.exec("node-2", ["true"]).await.is_err(), "something still runs there");
        story.bed.noticed_lost("node-2").await?;

        story.bed.return_node("node-2").await?;
        let pods = story.api::<Pod>();
        wait_until("the pod was started again on its node", MINUTE, async || {
            let pod = pods.get("resident").await?;
            let containers = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
            let container = containers.and_then(|all| all.first()).context("it has no container yet")?;
            ensure!(container.restart_count > 0, "it was not restarted");
            ensure!(container.ready, "it is not ready: {:?}", container.state);
            Ok(())
        })
        .await?;
        Ok(())
    })
    .await;
}
