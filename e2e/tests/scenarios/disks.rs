//! The disk under a claim is full, and is freed.

use anyhow::ensure;
use e2e::scenario::{Pods as _, Scenario, alone, busybox};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::api::PostParams;
use serde_json::json;

/// `$0` is what is written, to a new file, so that it needs room of its own.
const WRITE: &str = r#"echo "$0" >"/data/$0""#;

#[tokio::test]
async fn a_running_pod_sees_its_claim_full_and_writes_again_when_it_is_not() {
    alone("disk", async |story: &mut Scenario| {
        let claim = serde_json::from_value(json!({
            "metadata": { "name": "data" },
            "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "16Mi" } } },
        }))?;
        story.api::<PersistentVolumeClaim>().create(&PostParams::default(), &claim).await?;
        let more = json!({
            "nodeName": "node-1",
            "containers": [{ "volumeMounts": [{ "name": "data", "mountPath": "/data" }] }],
            "volumes": [{ "name": "data", "persistentVolumeClaim": { "claimName": "data" } }],
        });
        let mut pod = busybox("writer", "exec sleep 600", &more);
        // A claim waits for the scheduler, which a pod with the name of a node passes by.
        pod["spec"]["nodeName"].take();
        pod["spec"]["nodeSelector"] = json!({ "kubernetes.io/hostname": "node-1" });
        story.create_pod(&pod).await?;
        story.ready_pod("writer").await?;
        let before = story.container("writer").await?;
        write(story, "before").await?;

        story.bed.fill_disk("node-1")?;
        let Err(refused) = write(story, "full").await else { anyhow::bail!("a full disk took more") };
        ensure!(format!("{refused:#}").contains("No space left on device"), "it was refused: {refused:#}");
        let read = story.kubectl(["exec", "writer", "--", "cat", "/data/before"]).await?;
        ensure!(read == "before\n", "what was there reads: {read}");

        story.bed.free_disk("node-1")?;
        write(story, "after").await?;
        let read = story.kubectl(["exec", "writer", "--", "cat", "/data/before", "/data/after"]).await?;
        ensure!(read == "before\nafter\n", "it reads: {read}");
        let after = story.container("writer").await?;
        ensure!(after == before, "it was {before:?} and is {after:?}");
        Ok(())
    })
    .await;
}

async fn write(story: &Scenario, what: &str) -> anyhow::Result<String> {
    story.kubectl(["exec", "writer", "--", "sh", "-c", WRITE, what]).await
}
