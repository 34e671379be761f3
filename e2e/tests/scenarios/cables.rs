//! A node loses its cable and gets it back.

use anyhow::ensure;
use e2e::bed::Member;
use e2e::scenario::{MINUTE, Pods as _, Scenario, breaking_a_node, busybox, wait_until};
use serde_json::json;

const SERVE: &str =
    "mkdir /tmp/www && echo here >/tmp/www/index.html && exec busybox httpd -f -p 18082 -h /tmp/www";
const PORT: u16 = 18082;

#[tokio::test]
async fn a_node_without_its_cable_is_not_ready_and_its_pods_run_on() {
    breaking_a_node("cable", async |story: &mut Scenario, node: &Member| {
        let (node, address) = (node.name.as_str(), node.address.to_string());
        let more = json!({
            "nodeName": node,
            "hostNetwork": true,
            "containers": [{ "volumeMounts": [{ "name": "tmp", "mountPath": "/tmp" }] }],
            "volumes": [{ "name": "tmp", "emptyDir": {} }],
        });
        story.create_pod(&busybox("server", SERVE, &more)).await?;
        story.ready_pod("server").await?;
        let before = story.container("server").await?;
        wait_until("node-1 reads the page", MINUTE, async || story.fetch("node-1", &address, PORT).await)
            .await?;

        story.bed.set_cable(node, false).await?;
        ensure!(story.fetch("node-1", &address, PORT).await.is_err(), "the page came without a cable");
        let page = story.fetch(node, "127.0.0.1", PORT).await?;
        ensure!(page == "here\n", "on the node itself one reads: {page}");
        story.bed.noticed_lost(node).await?;
        let page = story.fetch(node, "127.0.0.1", PORT).await?;
        ensure!(page == "here\n", "on the lost node one reads: {page}");

        story.bed.set_cable(node, true).await?;
        story.bed.noticed_ready(node).await?;
        story.ready_pod("server").await?;
        let after = story.container("server").await?;
        ensure!(after == before, "it was {before:?} and is {after:?}");
        let page = story.fetch("node-1", &address, PORT).await?;
        ensure!(page == "here\n", "with its cable one reads: {page}");
        Ok(())
    })
    .await;
}
