//! The API server goes away and comes back.

use anyhow::{Context as _, ensure};
use e2e::scenario::{MINUTE, Pods as _, Scenario, alone, busybox, wait_until};
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

#[tokio::test]
async fn pods_run_on_without_an_api_server_and_are_known_when_it_returns() {
    alone("api-server", async |story: &mut Scenario| {
        story.create_pod(&busybox("steady", "exec sleep 600", &json!({}))).await?;
        let before = story.ready_pod("steady").await?;

        story.bed.stop("apiserver").await?;
        ensure!(story.kubectl(["get", "pods", "--request-timeout=2s"]).await.is_err(), "somebody answered");

        story.bed.start("apiserver").await?;
        let pods = story.api::<Pod>();
        let after =
            wait_until("the API server knows the pod", MINUTE, async || Ok(pods.get("steady").await?))
                .await?;
        ensure!(before.metadata.uid == after.metadata.uid, "it is another pod");
        let restarts =
            after.status.and_then(|status| status.container_statuses).context("read its containers")?;
        ensure!(restarts.iter().all(|container| container.restart_count == 0), "it was restarted");

        story.create_pod(&busybox("later", "exec sleep 600", &json!({}))).await?;
        story.ready_pod("later").await?;
        Ok(())
    })
    .await;
}
