//! The bridge and the cables to it. The members have no default route: nothing they send leaves the machine.
//!
//! What `ip` is to do is built here as text, one command per line, and run in one go.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::timeout;

use super::layout::{BRIDGE, CONTROL_PLANE, Layout, Member, SERVICES};
use super::member;

/// `ip` talks to the kernel; it does not wait for anybody.
const IP: Duration = Duration::from_secs(20);

/// Makes the bridge.
pub(super) async fn bridge() -> Result<()> {
    ip(&[], &bridge_commands()).await.context("make the bridge")
}

/// Plugs a member in. `anchor` holds its namespaces.
pub(super) async fn plug(layout: &Layout, member: &Member, anchor: u32) -> Result<()> {
    ip(&[], &outside(member, anchor)).await.with_context(|| format!("lay a cable to {}", member.name))?;
    let prefix = member::inside(anchor);
    ip(&prefix, &inside(layout, member)).await.with_context(|| format!("give {} its address", member.name))
}

/// Cuts a member's cable, or mends it: the link's state changes, its addresses stay.
pub(super) async fn set_cable(member: &Member, up: bool) -> Result<()> {
    let state = if up { "up" } else { "down" };
    ip(&[], &format!("link set {} {state}\n", member.link()))
        .await
        .with_context(|| format!("set the cable of {} {state}", member.name))
}

fn bridge_commands() -> String {
    format!(
        "link add {BRIDGE} type bridge forward_delay 0\n\
         address add {CONTROL_PLANE}/24 dev {BRIDGE}\n\
         link set {BRIDGE} up\n"
    )
}

/// In the root namespace: the cable, and the way to a node's pods.
fn outside(member: &Member, anchor: u32) -> String {
    let link = member.link();
    let mut text = format!(
        "link add {link} type veth peer name eth0 netns {anchor}\n\
         link set {link} master {BRIDGE} up\n"
    );
    if let Some(pods) = &member.pods {
        let _ = writeln!(text, "route replace {pods} via {} dev {BRIDGE}", member.address);
    }
    text
}

/// In the member's namespace: its address, and the ways to services and to the pods of others.
fn inside(layout: &Layout, member: &Member) -> String {
    let mut text = format!("address add {}/24 dev eth0\nlink set eth0 up\n", member.address);
    if member.pods.is_some() {
        // kube-proxy changes the destination after the kernel has looked for a route: there must be one. Nobody
        // answers on it for an address that is no service.
        let _ = writeln!(text, "route add {SERVICES} dev eth0");
        for other in layout.nodes().filter(|other| other != member) {
            if let Some(pods) = &other.pods {
                // The other end may not be there yet; the kernel needs to know only that it is on this link.
                let _ = writeln!(text, "route add {pods} via {} dev eth0", other.address);
            }
        }
    }
    text
}

async fn ip(prefix: &[OsString], commands: &str) -> Result<()> {
    let mut words = prefix.iter().cloned().chain(["ip", "-batch", "-"].map(OsString::from));
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().context("start ip; it comes with the package iproute2")?;
    let mut stdin = child.stdin.take().context("write to ip")?;
    stdin.write_all(commands.as_bytes()).await.context("write to ip")?;
    drop(stdin);
    let output = timeout(IP, child.wait_with_output()).await.context("ip hangs")?.context("wait for ip")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ip says: {}", said.trim());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn nothing_gets_a_way_out() {
        let layout = Layout::new(Path::new("/bed"), 3);
        let mut all = bridge_commands();
        for member in layout.nodes().chain([layout.appliance("attic", 1)]) {
            all += &outside(&member, 7);
            all += &inside(&layout, &member);
        }
        assert!(!all.contains("default") && !all.contains("0.0.0.0"), "{all}");
        for line in all.lines().filter(|line| line.starts_with("route")) {
            assert!(["10.244.", "10.96."].iter().any(|ours| line.contains(&format!(" {ours}"))), "{line}");
        }
    }

    #[test]
    fn a_node_knows_the_way_to_every_other_nodes_pods() {
        let layout = Layout::new(Path::new("/bed"), 3);
        let second = layout.nodes().nth(1).unwrap();
        let text = inside(&layout, &second);
        assert!(
            text.contains("10.244.1.0/24 via 10.99.0.11") && text.contains("10.244.3.0/24 via 10.99.0.13")
        );
        assert!(!text.contains("10.244.2.0"), "its own are behind its own bridge");
    }
}
