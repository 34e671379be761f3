//! Claims.

use anyhow::{Context as _, ensure};
use e2e::scenario::{Pods as _, Scenario, busybox, scenario};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use serde_json::json;

#[tokio::test]
async fn a_claim_is_bound_by_the_default_class_and_outlives_its_pod() {
    scenario("claim", async |story: &mut Scenario| {
        story.create_claim("data").await?;
        let more = json!({
            "restartPolicy": "Never",
            "containers": [{ "volumeMounts": [{ "name": "data", "mountPath": "/data" }] }],
            "volumes": [{ "name": "data", "persistentVolumeClaim": { "claimName": "data" } }],
        });
        story.create_pod(&busybox("writer", "echo kept >/data/file", &more)).await?;
        story.ended_pod("writer").await?;
        story.delete_pod("writer").await?;

        story.create_pod(&busybox("reader", "cat /data/file", &more)).await?;
        let read = story.ended_pod("reader").await?;
        ensure!(read == "kept\n", "the second pod reads: {read}");
        let claim = story.api::<PersistentVolumeClaim>().get("data").await?;
        let class = claim.spec.and_then(|spec| spec.storage_class_name).context("read the claim's class")?;
        ensure!(class == "local-path", "its class is {class}");
        Ok(())
    })
    .await;
}
