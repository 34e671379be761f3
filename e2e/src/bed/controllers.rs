//! kube-controller-manager: garbage collection, service accounts, node lifecycle, deployments.

use super::component::{Component, Ready};
use super::layout::{CONTROL_PLANE, Layout};
use super::programs::Programs;

const PORT: u16 = 10257;
/// A node that has not renewed its lease for so long is `NotReady`. Kubernetes waits 50 s; a scenario about a lost node
/// should not. It is three missed renewals of [`super::kubelet::LEASE_SECONDS`].
const NODE_GRACE: &str = "16s";
/// Nodes that kwok plays never say that they live: a thousand leases would be most of what the API server does.
const NO_END: &str = "240h";

/// Its command line.
pub(super) fn component(layout: &Layout, programs: &Programs) -> Component {
    let kubeconfig = layout.kubeconfig("controller-manager");
    let grace = if programs.kwok.is_some() { NO_END } else { NODE_GRACE };
    Component::new(
        "controller-manager",
        programs.tool("kube-controller-manager"),
        Ready::Https(Layout::at(PORT), "/healthz"),
    )
    .flag("kubeconfig", &kubeconfig)
    .flag("authentication-kubeconfig", &kubeconfig)
    .flag("authorization-kubeconfig", &kubeconfig)
    .flag("bind-address", CONTROL_PLANE.to_string())
    .flag("secure-port", PORT.to_string())
    .flag("tls-cert-file", layout.pki("controller-manager-serving.crt"))
    .flag("tls-private-key-file", layout.pki("controller-manager-serving.key"))
    .flag("leader-elect", "false")
    .flag("use-service-account-credentials", "true")
    .flag("service-account-private-key-file", layout.pki("service-account.key"))
    .flag("root-ca-file", layout.pki("ca.crt"))
    .flag("cluster-signing-cert-file", layout.pki("ca.crt"))
    .flag("cluster-signing-key-file", layout.pki("ca.key"))
    // It makes this folder, which is in /usr unless it is told another.
    .flag("flex-volume-plugin-dir", layout.control("volume-plugins"))
    .flag("node-monitor-period", "2s")
    .flag("node-monitor-grace-period", grace)
    .flag("profiling", "false")
}
