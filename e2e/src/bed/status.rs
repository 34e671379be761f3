//! What `cargo bed status` says, for people and for machines.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::cgroups::Cgroups;
use super::layout::{Host, Layout};
use super::memory::Memory;
use super::pki;
use super::state::State;

/// A bed, looked at once.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status {
    /// `up`, `starting` (or killed while starting), `broken` (up, but something of it has died).
    phase: Phase,
    kubernetes: String,
    folder: PathBuf,
    kubeconfig: PathBuf,
    members: Vec<MemberStatus>,
    components: Vec<ComponentStatus>,
    /// None where the kernel keeps no account.
    memory: Option<Memory>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Phase {
    Up,
    Starting,
    Broken,
}

#[derive(Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct MemberStatus {
    name: String,
    kind: &'static str,
    address: String,
}

#[derive(Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct ComponentStatus {
    name: String,
    host: String,
    pid: u32,
    alive: bool,
    log: PathBuf,
}

impl Status {
    /// Of the bed in this folder.
    pub(super) fn of(folder: &Path, state: &State) -> Self {
        let layout = Layout::new(folder, state.nodes);
        let members = state.members(&layout).into_iter().map(|member| MemberStatus {
            kind: if member.pods.is_some() { "node" } else { "appliance" },
            address: member.address.to_string(),
            name: member.name,
        });
        let components = state.components.iter().map(|(name, started)| ComponentStatus {
            name: name.clone(),
            host: match &started.host {
                Host::Control => "control".into(),
                Host::Member(name) => name.clone(),
            },
            pid: started.process.pid,
            alive: started.process.is_alive(),
            log: layout.log(name),
        });
        Self {
            phase: match (state.ready, state.dead().is_empty()) {
                (false, _) => Phase::Starting,
                (true, true) => Phase::Up,
                (true, false) => Phase::Broken,
            },
            kubernetes: state.kubernetes.clone(),
            folder: folder.into(),
            kubeconfig: layout.kubeconfig(pki::ADMIN),
            members: members.collect(),
            components: components.collect(),
            memory: Cgroups::find().ok().and_then(|cgroups| Memory::of(&cgroups.memory())),
        }
    }

    /// Whether it can be used.
    pub(super) fn is_up(&self) -> bool {
        self.phase == Phase::Up
    }

    /// A few lines, ending with what to do next.
    pub(super) fn text(&self) -> String {
        let mut text = match self.phase {
            Phase::Up => format!("The bed is up: Kubernetes {}.\n\n", self.kubernetes),
            Phase::Starting => "The bed is starting, or its start was killed.\n\n".to_owned(),
            Phase::Broken => "The bed is up, but not all of it is alive.\n\n".to_owned(),
        };
        for member in &self.members {
            let _ = writeln!(text, "  {:<10} {:<24} {}", member.kind, member.name, member.address);
        }
        text.push('\n');
        for one in &self.components {
            let alive = if one.alive { "runs" } else { "DEAD" };
            let _ = writeln!(text, "  {alive} {:>8}  {:<10} {}", one.pid, one.host, one.name);
        }
        text.push('\n');
        if let Some(memory) = &self.memory {
            let _ = writeln!(text, "memory      {memory}");
        }
        let next = match self.phase {
            Phase::Up => "cargo bed shell    a shell with kubectl",
            Phase::Starting => "cargo bed up       starts it from the beginning",
            Phase::Broken => "cargo bed logs NAME  says why; `cargo bed up` starts everything anew",
        };
        let _ = write!(text, "kubeconfig  {}\nnext        {next}\n", self.kubeconfig.display());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bed::process::Process;
    use crate::bed::programs::Programs;
    use crate::bed::state::Started;

    fn state() -> State {
        let programs = Programs {
            tools: "/t".into(),
            runc: "/r".into(),
            busybox: "/b".into(),
            pause: "/p".into(),
            argocd: None,
            kwok: None,
        };
        let mut state = State::new("v1.2.3", 1, programs);
        state.ready = true;
        state
    }

    #[test]
    fn a_dead_component_is_said_and_the_bed_is_not_called_up() {
        let mut state = state();
        assert!(Status::of(Path::new("/bed"), &state).is_up());
        let process = Process { pid: u32::MAX, started: 1 };
        state.components.insert("kine".into(), Started { host: Host::Control, process });
        let status = Status::of(Path::new("/bed"), &state);
        assert!(!status.is_up());
        let text = status.text();
        assert!(text.contains("DEAD") && text.contains("kine") && text.contains("cargo bed logs"), "{text}");
    }

    #[test]
    fn machines_get_the_same_as_people() {
        let json = serde_json::to_value(Status::of(Path::new("/bed"), &state())).unwrap();
        assert_eq!(json["phase"], "up");
        assert_eq!(json["kubeconfig"], "/bed/kubeconfig/admin");
        assert_eq!(json["members"][0]["address"], "10.99.0.11");
    }
}
