//! argocd-application-controller: compares what git says with what there is, and makes it so.

use super::super::component::{Component, Ready};
use super::super::layout::Layout;
use super::super::programs::Programs;
use super::{LOOKS_EVERY_SECONDS, NAMESPACE, redis, repo_server, surroundings};

const METRICS: u16 = 8082;

/// Its command line. The kinds and settings must be there before it starts.
pub(in super::super) fn component(layout: &Layout, programs: &Programs) -> Component {
    let member = layout.argocd();
    let name = "argocd-application-controller";
    let component = Component::new(name, programs.tool(name), Ready::Http(member.at(METRICS), "/healthz"))
        .flag("namespace", NAMESPACE)
        .flag("redis", redis::ADDRESS)
        .flag("repo-server", repo_server::ADDRESS)
        .flag("metrics-port", METRICS.to_string())
        .flag("app-resync", LOOKS_EVERY_SECONDS)
        .flag("app-resync-jitter", "0")
        // Each resource's health, with its words, in the Application: scenarios read it there.
        .flag("persist-resource-health", "true")
        .flag("logformat", "text");
    surroundings(component, layout, programs)
}
