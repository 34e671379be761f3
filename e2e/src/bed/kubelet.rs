//! kubelet, one per node.

use serde_json::json;

use super::component::{Component, Ready};
use super::layout::{DNS_SERVICE, Layout, Member};
use super::programs::Programs;

const PORT: u16 = 10250;
const HEALTH: u16 = 10248;
/// A quarter of it passes between renewals. Kubernetes has 40; a lost node should be seen sooner here.
pub(super) const LEASE_SECONDS: u8 = 20;

/// Its name in logs.
pub(super) fn name(node: &Member) -> String {
    format!("kubelet-{}", node.name)
}

/// Its command line and configuration.
pub(super) fn component(layout: &Layout, node: &Member, programs: &Programs) -> Component {
    let config = node.file("kubelet.json");
    Component::new(name(node), programs.tool("kubelet"), Ready::Http(node.at(HEALTH), "/healthz"))
        .flag("config", &config)
        .flag("kubeconfig", layout.kubeconfig(&name(node)))
        .flag("hostname-override", &node.name)
        .flag("node-ip", node.address.to_string())
        .flag("root-dir", node.file("kubelet"))
        .on(&node.name)
        .file(&config, configuration(layout, node))
        .file(node.file("resolv.conf"), format!("nameserver {DNS_SERVICE}\n"))
}

fn configuration(layout: &Layout, node: &Member) -> String {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node.address,
        "port": PORT,
        "healthzBindAddress": node.address,
        "healthzPort": HEALTH,
        "tlsCertFile": layout.pki(&format!("{}-serving.crt", name(node))),
        "tlsPrivateKeyFile": layout.pki(&format!("{}-serving.key", name(node))),
        // Logs and exec: the API server shows its certificate, everybody else asks the API server.
        "authentication": {
            "anonymous": { "enabled": false },
            "webhook": { "enabled": true },
            "x509": { "clientCAFile": layout.pki("ca.crt") },
        },
        "authorization": { "mode": "Webhook" },
        "containerRuntimeEndpoint": format!("unix://{}", node.containerd().display()),
        // The same with either version of cgroups: paths below a root of ours, and no systemd to ask. The last line lets
        // it start where controllers are still those of version 1; with version 2 nobody looks at it.
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": node.cgroup(),
        "failCgroupV1": false,
        "enforceNodeAllocatable": [],
        // The machine is shared: only a disk that is really full counts.
        "evictionHard": {
            "memory.available": "50Mi",
            "nodefs.available": "1%",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "1%",
        },
        // Images are imported, never pulled: one that was collected would not come back.
        "imageGCHighThresholdPercent": 100,
        "imageMinimumGCAge": "24h",
        "failSwapOn": false,
        "oomScoreAdj": 0,
        "makeIPTablesUtilChains": false,
        "clusterDomain": "cluster.local",
        "clusterDNS": [DNS_SERVICE],
        "resolvConf": node.file("resolv.conf"),
        "volumePluginDir": node.file("volume-plugins"),
        "nodeStatusUpdateFrequency": "5s",
        "nodeLeaseDurationSeconds": LEASE_SECONDS,
        "shutdownGracePeriod": "0s",
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::bed::hierarchies::Hierarchies;

    #[test]
    fn its_pods_are_beside_its_components_and_it_takes_either_version_of_cgroups() {
        let layout = Layout::new(Path::new("/bed"), 2);
        for node in layout.nodes() {
            let config: serde_json::Value = serde_json::from_str(&configuration(&layout, &node)).unwrap();
            assert_eq!(config["cgroupDriver"], "cgroupfs");
            assert_eq!(config["failCgroupV1"], false);
            assert_eq!(config["enforceNodeAllocatable"], json!([]));
            let root = config["cgroupRoot"].as_str().unwrap();
            for (mounts, place) in [
                ("1 0 0:1 / /sys/fs/cgroup rw - cgroup2 none rw\n", "/sys/fs/cgroup"),
                ("1 0 0:1 / /sys/fs/cgroup/unified rw - cgroup2 none rw\n", "/sys/fs/cgroup/unified"),
            ] {
                let components =
                    Hierarchies::read(mounts).unwrap().of(&super::super::Host::Member(node.name.clone()));
                assert_eq!(components, [Path::new(&format!("{place}{root}/components"))]);
            }
        }
    }
}
