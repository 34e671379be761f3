//! Services, as kube-proxy makes them.

use anyhow::{Context as _, ensure};
use e2e::scenario::{MINUTE, Pods as _, Scenario, busybox, scenario, wait_until};
use k8s_openapi::api::core::v1::Service;
use kube::api::PostParams;
use serde_json::json;

const SERVE: &str =
    "mkdir /tmp/www && echo served >/tmp/www/index.html && exec busybox httpd -f -p 8080 -h /tmp/www";

#[tokio::test]
async fn a_pod_on_the_host_network_finds_the_api_without_dns() {
    scenario("api-service", async |story: &mut Scenario| {
        // The kubelet writes the address into every pod's environment. The command ends well when somebody accepts.
        let script = r#"echo "$KUBERNETES_SERVICE_HOST" && exec nc -w 5 "$KUBERNETES_SERVICE_HOST" "$KUBERNETES_SERVICE_PORT" </dev/null"#;
        let more = json!({ "hostNetwork": true, "restartPolicy": "OnFailure" });
        story.create_pod(&busybox("client", script, &more)).await?;
        let log = story.ended_pod("client").await?;
        ensure!(log.lines().next() == Some("10.96.0.1"), "it was told: {log}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_service_on_one_node_is_reached_from_the_host_network_of_the_other() {
    scenario("service", async |story: &mut Scenario| {
        let more = json!({
            "nodeName": "node-1",
            "containers": [{ "volumeMounts": [{ "name": "tmp", "mountPath": "/tmp" }] }],
            "volumes": [{ "name": "tmp", "emptyDir": {} }],
        });
        story.create_pod(&busybox("server", SERVE, &more)).await?;
        let service: Service = serde_json::from_value(json!({
            "metadata": { "name": "server" },
            "spec": { "selector": { "app": "server" }, "ports": [{ "port": 80, "targetPort": 8080 }] },
        }))?;
        let service = story.api::<Service>().create(&PostParams::default(), &service).await?;
        let address = service.spec.and_then(|spec| spec.cluster_ip).context("read the service's address")?;
        story.ready_pod("server").await?;

        let page = wait_until("node-2 reads the page from the service's address", MINUTE, async || {
            story.fetch("node-2", &address, 80).await
        })
        .await?;
        ensure!(page == "served\n", "it reads: {page}");

        let inside = json!({ "nodeName": "node-2", "restartPolicy": "Never" });
        // Its own -T crashes in Debian's static build.
        let script = format!("busybox timeout 5 wget -q -O - http://{address}/");
        story.create_pod(&busybox("client", &script, &inside)).await?;
        let page = story.ended_pod("client").await?;
        ensure!(page == "served\n", "a pod reads: {page}");
        Ok(())
    })
    .await;
}
