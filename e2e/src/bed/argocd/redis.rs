//! Redis: where Argo CD's two programs keep what they have worked out. Lost with its process, and worked out again.

use super::super::component::{Component, Ready};
use super::super::layout::Layout;
use super::super::programs::Programs;

/// Where both find it, on the loopback interface of their own machine.
pub(super) const ADDRESS: &str = "127.0.0.1:6379";

/// Its command line.
pub(in super::super) fn component(layout: &Layout, programs: &Programs) -> Component {
    let member = layout.argocd();
    let socket = member.file("redis.sock");
    Component::new("argocd-redis", programs.tool("redis-server"), Ready::Socket(socket.clone()))
        .args(["--bind", "127.0.0.1", "--port", "6379", "--save", "", "--appendonly", "no", "--dir", "/run"])
        // Nobody uses it but whoever waits until it is ready.
        .args(["--unixsocket".as_ref(), socket.as_os_str()])
        .on(&member.name)
}
