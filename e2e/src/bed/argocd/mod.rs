//! Argo CD without its web server: what keeps a cluster as a git repository says.
//!
//! In: where a bed is and its programs. Out: four components, the objects that they expect in the cluster, and where
//! repositories are put. They run on a machine of their own on the bed's bridge ([`Layout::argocd`]), because the
//! controller's metrics listen on every address there is.

mod controller;
mod git_daemon;
mod redis;
mod repo_server;

use serde_json::{Value, json};

pub(super) use self::controller::component as controller;
pub use self::git_daemon::GitHost;
pub(super) use self::git_daemon::{component as git_daemon, git_host};
pub(super) use self::redis::component as redis;
pub(super) use self::repo_server::component as repo_server;
use super::component::Component;
use super::layout::Layout;
use super::programs::Programs;

/// Where it looks for applications.
pub const NAMESPACE: &str = "argocd";
/// Where the API serves its kinds.
pub(super) const KINDS: [&str; 2] =
    ["/apis/argoproj.io/v1alpha1/applications", "/apis/argoproj.io/v1alpha1/appprojects"];
/// As whom it talks to the API.
pub(super) const USER: &str = "argocd";
/// How often it looks at git unasked. Its own default is three minutes.
const LOOKS_EVERY_SECONDS: &str = "5";

/// All of it; nothing on a bed without it.
pub(super) fn components(layout: &Layout, programs: &Programs) -> Vec<Component> {
    if programs.argocd.is_none() {
        return Vec::new();
    }
    vec![
        redis(layout, programs),
        git_daemon(layout),
        repo_server(layout, programs),
        controller(layout, programs),
    ]
}

/// What both of its programs find in their environment. Nothing of it leaves the member's own folders: /run and /var/lib
/// are those.
fn surroundings(component: Component, layout: &Layout, programs: &Programs) -> Component {
    component
        .on(&layout.argocd().name)
        // helm; git is the machine's.
        .path(programs.tools())
        .env("KUBECONFIG", layout.kubeconfig(USER))
        // Applications name the API as they do in a pod; it is the one of the kubeconfig.
        .env("ARGOCD_FAKE_IN_CLUSTER", "true")
        .env("HOME", "/var/lib")
        .env("TMPDIR", "/run")
        .env("ARGOCD_TLS_DATA_PATH", "/var/lib/tls")
        .env("ARGOCD_SSH_DATA_PATH", "/var/lib/ssh")
        // It would want gpg, and signs nothing here.
        .env("ARGOCD_GPG_ENABLED", "false")
}

/// To be made before its kinds and settings.
pub(super) fn namespace() -> Value {
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } })
}

/// What it expects to find beside its own `argocd-cm`: as much as it starts without its web server.
pub(super) fn settings() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {
                    "name": "argocd-secret",
                    "namespace": NAMESPACE,
                    "labels": { "app.kubernetes.io/part-of": "argocd" },
                },
                // Signs the sessions of a web server that does not run; an empty one is refused.
                "stringData": { "server.secretkey": "nobody-logs-in-here" },
            },
            {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "AppProject",
                "metadata": { "name": "default", "namespace": NAMESPACE },
                "spec": {
                    "sourceRepos": ["*"],
                    "destinations": [{ "server": "*", "namespace": "*" }],
                    "clusterResourceWhitelist": [{ "group": "*", "kind": "*" }],
                },
            },
        ],
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::layout::Host;
    use super::*;

    fn programs(argocd: Option<&str>) -> Programs {
        Programs {
            tools: "/tools".into(),
            runc: "/r".into(),
            busybox: "/b".into(),
            pause: "/p".into(),
            argocd: argocd.map(Into::into),
            kwok: None,
        }
    }

    #[test]
    fn a_bed_without_argo_cd_has_nothing_of_it() {
        let layout = Layout::new(Path::new("/bed"), 2);
        assert_eq!(components(&layout, &programs(None)), []);
        assert_eq!(components(&layout, &programs(Some("/manifests"))).len(), 4);
    }

    #[test]
    fn all_of_it_runs_on_its_own_machine() {
        let layout = Layout::new(Path::new("/bed"), 2);
        for component in components(&layout, &programs(Some("/manifests"))) {
            assert_eq!(component.host, Host::Member("argocd".into()), "{}", component.name);
            assert!(component.name.starts_with("argocd-"), "{}", component.name);
        }
    }
}
