//! What runs: one small file, replaced in one step, so that a reader sees the old one or the new one.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::layout::{Host, Layout, Member};
use super::process::Process;
use super::programs::Programs;

/// A bed's state.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct State {
    /// `newest` or `oldest`, as asked for.
    pub kubernetes: String,
    /// How many nodes it was started with.
    pub nodes: u8,
    /// Whether the last of them is a spare one, on which nothing is scheduled.
    pub spare: bool,
    /// Whether it came up. `false` is a bed that is being started, or whose start was killed.
    pub ready: bool,
    /// Where its programs are.
    pub programs: Programs,
    /// Appliances and their numbers.
    pub appliances: BTreeMap<String, u8>,
    /// Components by name.
    pub components: BTreeMap<String, Started>,
}

/// A component that was started.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Started {
    /// Where.
    pub host: Host,
    /// As which process.
    #[serde(flatten)]
    pub process: Process,
}

impl State {
    /// A bed of which nothing runs yet.
    pub fn new(kubernetes: &str, nodes: u8, programs: Programs) -> Self {
        Self {
            kubernetes: kubernetes.into(),
            nodes,
            spare: false,
            ready: false,
            programs,
            appliances: BTreeMap::new(),
            components: BTreeMap::new(),
        }
    }

    /// Reads it; `None` when there is no bed.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let path = Layout::new(folder, 0).state();
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .with_context(|| format!("understand {}; `cargo bed down` clears it away", path.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
        }
    }

    /// Replaces it.
    pub fn write(&self, layout: &Layout) -> Result<()> {
        let path = layout.state();
        let new = path.with_extension("new");
        let text = serde_json::to_vec_pretty(self).context("write down what runs")?;
        fs::write(&new, text).with_context(|| format!("write {}", new.display()))?;
        fs::rename(&new, &path).with_context(|| format!("replace {}", path.display()))
    }

    /// Components that should run and do not.
    pub fn dead(&self) -> Vec<&str> {
        let dead = self.components.iter().filter(|(_, started)| !started.process.is_alive());
        dead.map(|(name, _)| name.as_str()).collect()
    }

    /// Nodes, appliances, and Argo CD's machine where there is one.
    pub fn members(&self, layout: &Layout) -> Vec<Member> {
        let appliances = self.appliances.iter().map(|(name, number)| layout.appliance(name, *number));
        let argocd = self.programs.argocd.iter().map(|_| layout.argocd());
        layout.nodes().chain(argocd).chain(appliances).collect()
    }

    /// The smallest number no appliance has.
    pub fn free_number(&self, most: u8) -> Option<u8> {
        (1..=most).find(|number| !self.appliances.values().any(|taken| taken == number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        let programs = Programs {
            tools: "/t".into(),
            runc: "/r".into(),
            busybox: "/b".into(),
            pause: "/p".into(),
            argocd: None,
            kwok: None,
        };
        let mut state = State::new("newest", 2, programs);
        state.appliances.insert("attic".into(), 1);
        let process = Process { pid: u32::MAX, started: 5 };
        state.components.insert("kine".into(), Started { host: Host::Control, process });
        state
    }

    #[test]
    fn what_was_written_is_read_again_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(State::read(folder.path()).unwrap(), None);
        let layout = Layout::new(folder.path(), 2);
        state().write(&layout).unwrap();
        assert_eq!(State::read(folder.path()).unwrap(), Some(state()));
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn a_torn_state_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("state.json"), "{").unwrap();
        let error = format!("{:#}", State::read(folder.path()).unwrap_err());
        assert!(error.contains("cargo bed down"), "{error}");
    }

    #[test]
    fn the_dead_are_named_and_numbers_are_used_again() {
        assert_eq!(state().dead(), ["kine"]);
        assert_eq!(state().free_number(3), Some(2));
        assert_eq!(state().free_number(1), None);
    }
}
