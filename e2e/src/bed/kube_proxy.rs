//! kube-proxy, one per node: services, in nftables of the node's own network namespace.

use serde_json::json;

use super::component::{Component, Ready};
use super::layout::{Layout, Member, PODS};
use super::programs::Programs;

const HEALTH: u16 = 10256;

/// Its command line and configuration.
pub(super) fn component(layout: &Layout, node: &Member, programs: &Programs) -> Component {
    let config = node.file("kube-proxy.json");
    Component::new(
        format!("kube-proxy-{}", node.name),
        programs.tool("kube-proxy"),
        Ready::Http(node.at(HEALTH), "/livez"),
    )
    .flag("config", &config)
    .on(&node.name)
    .file(&config, configuration(layout, node))
}

fn configuration(layout: &Layout, node: &Member) -> String {
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": { "kubeconfig": layout.kubeconfig("kube-proxy") },
        "hostnameOverride": node.name,
        "clusterCIDR": PODS,
        "healthzBindAddress": node.at(HEALTH),
        "metricsBindAddress": "127.0.0.1:10249",
        // The table belongs to the whole machine: leave its size alone.
        "conntrack": { "maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s" },
    })
    .to_string()
}
