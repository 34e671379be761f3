//! kube-apiserver, on the bridge address.

use super::component::{Component, Ready};
use super::layout::{CONTROL_PLANE, Layout, SERVICES};
use super::programs::Programs;
use super::{audit, kine};

/// Its port.
pub(super) const PORT: u16 = 6443;
/// Who signs the tokens of service accounts.
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// Its command line.
pub(super) fn component(layout: &Layout, programs: &Programs) -> Component {
    let address = CONTROL_PLANE.to_string();
    Component::new("apiserver", programs.tool("kube-apiserver"), Ready::Https(Layout::at(PORT), "/readyz"))
        .flag("etcd-servers", kine::endpoint(layout))
        .flag("bind-address", &address)
        .flag("advertise-address", &address)
        .flag("secure-port", PORT.to_string())
        .flag("service-cluster-ip-range", SERVICES)
        .flag("client-ca-file", layout.pki("ca.crt"))
        .flag("tls-cert-file", layout.pki("apiserver.crt"))
        .flag("tls-private-key-file", layout.pki("apiserver.key"))
        .flag("kubelet-certificate-authority", layout.pki("ca.crt"))
        .flag("kubelet-client-certificate", layout.pki("apiserver-kubelet-client.crt"))
        .flag("kubelet-client-key", layout.pki("apiserver-kubelet-client.key"))
        // Nodes are not known by name to anybody but Kubernetes.
        .flag("kubelet-preferred-address-types", "InternalIP")
        .flag("service-account-issuer", ISSUER)
        .flag("service-account-key-file", layout.pki("service-account.pub"))
        .flag("service-account-signing-key-file", layout.pki("service-account.key"))
        .flag("authorization-mode", "Node,RBAC")
        .flag("enable-admission-plugins", "NodeRestriction")
        .flag("allow-privileged", "true")
        .flag("profiling", "false")
        .file(audit::policy_file(layout), audit::policy())
        .flag("audit-policy-file", audit::policy_file(layout))
        .flag("audit-log-path", audit::log(layout))
        // Or else its end waits a minute for watches that nobody closes.
        .flag("shutdown-watch-termination-grace-period", "2s")
}
