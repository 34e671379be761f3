//! containerd, one per node, with the bridge network of that node's pods.
//!
//! Its folders and socket are the node's own. What it hard-codes below /run and /var/lib is private to the node's mount
//! namespace (see `member.rs`), so two of them never meet.

use serde_json::json;

use super::component::{Component, Ready};
use super::layout::Member;
use super::programs::{PAUSE, Programs};

/// Its name in logs.
pub(super) fn name(node: &Member) -> String {
    format!("containerd-{}", node.name)
}

/// Its command line and configuration.
pub(super) fn component(node: &Member, programs: &Programs) -> Component {
    let config = node.file("containerd.toml");
    Component::new(name(node), programs.tool("containerd"), Ready::Socket(node.containerd()))
        .flag("config", &config)
        .on(&node.name)
        // Our build of the shim comes first: a distribution's 1.x shim does not speak to containerd 2.
        .path(programs.tools())
        .file(&config, configuration(node, programs))
        .file(node.file("cni").join("10-bridge.conflist"), network(node))
}

fn configuration(node: &Member, programs: &Programs) -> String {
    let path = |name: &str| node.file(name).display().to_string();
    format!(
        r#"version = 3
root = "{root}"
state = "{state}"
disabled_plugins = [
  "io.containerd.nri.v1.nri",
  "io.containerd.snapshotter.v1.blockfile",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.erofs",
  "io.containerd.snapshotter.v1.zfs",
]

[grpc]
  address = "{socket}"

[plugins."io.containerd.internal.v1.opt"]
  path = "{opt}"

[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "{PAUSE}"

[plugins."io.containerd.cri.v1.runtime"]
  # Without CAP_SYS_RESOURCE nobody may lower a score, and runc dies of trying.
  restrict_oom_score_adj = true

[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = ["{cni}"]
  conf_dir = "{conf}"

[plugins."io.containerd.cri.v1.runtime".containerd]
  default_runtime_name = "runc"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
  BinaryName = "{runc}"
  SystemdCgroup = false
"#,
        root = path("images"),
        state = path("containers"),
        socket = node.containerd().display(),
        opt = path("opt"),
        cni = programs.tools().display(),
        conf = path("cni"),
        runc = programs.runc().display(),
    )
}

/// A bridge inside the node; other nodes' pods are routed, nothing is hidden behind the node's address.
fn network(node: &Member) -> String {
    json!({
        "cniVersion": "1.0.0",
        "name": "bed",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": true,
                "ipMasq": false,
                "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    "dataDir": node.file("addresses"),
                    "ranges": [[{ "subnet": node.pods }]],
                    "routes": [{ "dst": "0.0.0.0/0" }],
                },
            },
            { "type": "portmap", "backend": "nftables", "capabilities": { "portMappings": true } },
        ],
    })
    .to_string()
}
