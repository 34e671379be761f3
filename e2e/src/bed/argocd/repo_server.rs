//! argocd-repo-server: fetches repositories and makes manifests of them, with helm where there is a chart.

use super::super::component::{Component, Ready};
use super::super::layout::Layout;
use super::super::programs::Programs;
use super::{LOOKS_EVERY_SECONDS, redis, surroundings};

/// Where the controller finds it. Between the two is TLS, with a certificate that it makes when it starts.
pub(super) const ADDRESS: &str = "127.0.0.1:8081";
const HEALTH: u16 = 8084;

/// Its command line.
pub(in super::super) fn component(layout: &Layout, programs: &Programs) -> Component {
    let member = layout.argocd();
    // Looks through its own front door, too.
    let ready = Ready::Http(member.at(HEALTH), "/healthz?full=true");
    let component = Component::new("argocd-repo-server", programs.tool("argocd-repo-server"), ready)
        .flag("address", "127.0.0.1")
        .flag("port", "8081")
        .flag("metrics-address", member.address.to_string())
        .flag("metrics-port", HEALTH.to_string())
        .flag("redis", redis::ADDRESS)
        .flag("revision-cache-expiration", format!("{LOOKS_EVERY_SECONDS}s"))
        .flag("logformat", "text")
        // Both would be in /tmp and in the user's settings of git.
        .env("ARGOCD_ASK_PASS_SOCK", "/run/argocd-ask-pass.sock")
        .env("GIT_CONFIG_NOSYSTEM", "1");
    surroundings(component, layout, programs)
}
