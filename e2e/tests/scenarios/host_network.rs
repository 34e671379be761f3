//! What a reflector's pod needs: the node's network, and no rights.

use anyhow::{Result, ensure};
use e2e::scenario::{MINUTE, Pods as _, Scenario, busybox, scenario, wait_until};
use serde_json::json;

/// A page on a port of the node, without root.
const SERVE: &str =
    "mkdir /tmp/www && id -u >/tmp/www/index.html && exec busybox httpd -f -p 18080 -h /tmp/www";

#[tokio::test]
async fn a_restricted_pod_serves_appliances_on_its_nodes_own_address() {
    scenario("host-network", async |story: &mut Scenario| {
        let more = json!({
            "nodeName": "node-1",
            "hostNetwork": true,
            "containers": [{
                "ports": [{ "containerPort": 18080, "hostPort": 18080 }],
                "volumeMounts": [{ "name": "tmp", "mountPath": "/tmp" }],
            }],
            "volumes": [{ "name": "tmp", "emptyDir": {} }],
        });
        story.create_pod(&busybox("server", SERVE, &more)).await?;
        story.ready_pod("server").await?;

        let appliance = "bed-host-network";
        story.bed.add_appliance(appliance).await?;
        let fetched = fetch(story, appliance).await;
        story.bed.remove_appliance(appliance).await?;
        let page = fetched?;
        ensure!(page.trim() == "65532", "the pod is not restricted: its user is {page}");
        Ok(())
    })
    .await;
}

async fn fetch(story: &Scenario, appliance: &str) -> Result<String> {
    wait_until("an appliance reads the page from the node's address", MINUTE, async || {
        story.fetch(appliance, "10.99.0.11", 18080).await
    })
    .await
}

#[tokio::test]
async fn kubectl_shows_a_pods_log_and_runs_a_command_in_it() {
    scenario("logs-exec", async |story: &mut Scenario| {
        story.create_pod(&busybox("talker", "echo here I am; exec sleep 600", &json!({}))).await?;
        story.ready_pod("talker").await?;
        let log = wait_until("its log is there", MINUTE, async || {
            let log = story.kubectl(["logs", "talker"]).await?;
            ensure!(!log.is_empty(), "the log is empty");
            Ok(log)
        })
        .await?;
        ensure!(log.trim() == "here I am", "its log: {log}");
        let user = story.kubectl(["exec", "talker", "--", "id", "-u"]).await?;
        ensure!(user.trim() == "65532", "who runs there: {user}");
        Ok(())
    })
    .await;
}
