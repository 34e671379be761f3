//! kube-scheduler.

use super::component::{Component, Ready};
use super::layout::{CONTROL_PLANE, Layout};
use super::programs::Programs;

const PORT: u16 = 10259;

/// Its command line.
pub(super) fn component(layout: &Layout, programs: &Programs) -> Component {
    let kubeconfig = layout.kubeconfig("scheduler");
    Component::new("scheduler", programs.tool("kube-scheduler"), Ready::Https(Layout::at(PORT), "/healthz"))
        .flag("kubeconfig", &kubeconfig)
        .flag("authentication-kubeconfig", &kubeconfig)
        .flag("authorization-kubeconfig", &kubeconfig)
        .flag("bind-address", CONTROL_PLANE.to_string())
        .flag("secure-port", PORT.to_string())
        .flag("tls-cert-file", layout.pki("scheduler-serving.crt"))
        .flag("tls-private-key-file", layout.pki("scheduler-serving.key"))
        .flag("leader-elect", "false")
        .flag("profiling", "false")
}
