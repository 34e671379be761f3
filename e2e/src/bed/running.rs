//! A bed that runs, for whoever uses it: where its API is, its members, and what can be done to it.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use futures_util::future::try_join_all;
use rustix::process::Signal;

use super::argocd::GitHost;
use super::cgroups::Cgroups;
use super::cluster::{self, Seen};
use super::component::Component;
use super::layout::{Host, Layout, MAX_APPLIANCES, Member, NAME};
use super::starter::Starter;
use super::state::State;
use super::{
    apiserver, argocd, audit, containerd, controllers, images, kine, kube_proxy, kubelet, kwok, local_path,
    lock, member, network, pki, scheduler, sweep, up,
};

/// How long a component may take to end when asked to. An API server gives its requests a minute.
const ENDING: Duration = Duration::from_secs(90);

/// A bed that came up.
#[derive(Debug, Clone)]
pub struct Bed {
    pub(super) layout: Layout,
    pub(super) state: State,
}

/// Where a bed is unless told otherwise: `$REFLECTOR_BED`, or below /run, which a reboot empties like everything else of it.
#[expect(clippy::disallowed_methods, reason = "where the bed is, is the user's choice")]
pub fn folder() -> PathBuf {
    std::env::var_os("REFLECTOR_BED").map_or_else(|| Path::new("/run").join(NAME), PathBuf::from)
}

impl Bed {
    /// The bed that runs on this machine.
    pub fn running() -> Result<Self> {
        Self::in_folder(&folder())
    }

    /// The bed in this folder, which must have come up.
    pub fn in_folder(folder: &Path) -> Result<Self> {
        let state = State::read(folder)?.context("no bed runs here; start one with `cargo bed up`")?;
        ensure!(state.ready, "the bed is only half up; start it again with `cargo bed up`");
        Ok(Self { layout: Layout::new(folder, state.nodes), state })
    }

    /// Its state as it was read.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Where its files are.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The node on which nothing is scheduled, on a bed that has one.
    pub fn spare(&self) -> Option<Member> {
        self.layout.nodes().last().filter(|_| self.state.spare)
    }

    /// Whether it plays nodes that are not there.
    pub fn has_kwok(&self) -> bool {
        self.state.programs.kwok.is_some()
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.layout.kubeconfig(pki::ADMIN)
    }

    /// What the API server wrote down of the requests of service accounts, a request per line.
    pub fn audit_log(&self) -> PathBuf {
        audit::log(&self.layout)
    }

    /// Where kubectl and ctr are.
    pub fn tools(&self) -> &Path {
        self.state.programs.tools()
    }

    /// A node or an appliance.
    pub fn member(&self, name: &str) -> Result<Member> {
        let mut members = self.state.members(&self.layout);
        let names: Vec<String> = members.iter().map(|member| member.name.clone()).collect();
        let found = members.iter().position(|member| member.name == name).map(|at| members.swap_remove(at));
        found.with_context(|| format!("nobody here is called {name}; there are: {}", names.join(", ")))
    }

    /// A command line that runs inside a member's namespaces and ends with it. It keeps its process id, so a signal
    /// reaches it.
    pub fn inside(
        &self,
        member: &str,
        command: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Result<Vec<OsString>> {
        let anchor = self.member(member)?.anchor();
        let anchor = self.state.components.get(&anchor).filter(|started| started.process.is_alive());
        let anchor = anchor.with_context(|| format!("{member} is not running"))?;
        let mut words = Cgroups::find()?.enter(&Host::Member(member.into()));
        words.extend(member::inside(anchor.process.pid));
        words.extend(command.into_iter().map(|word| word.as_ref().to_owned()));
        Ok(words)
    }

    /// Gives every node the images in an OCI archive.
    pub async fn import(&self, archive: &Path) -> Result<()> {
        let nodes: Vec<Member> = self.layout.nodes().collect();
        let all = nodes.iter().map(|node| images::import(node, &self.state.programs, archive));
        try_join_all(all).await.map(drop)
    }

    /// Asks a component to end, and waits until it has.
    pub async fn stop(&self, component: &str) -> Result<()> {
        self.end(component, Signal::TERM).await
    }

    /// Ends a component as a crash would.
    pub async fn kill(&self, component: &str) -> Result<()> {
        self.end(component, Signal::KILL).await
    }

    async fn end(&self, component: &str, signal: Signal) -> Result<()> {
        let Some(started) = self.state.components.get(component) else {
            bail!("no component is called {component}; there are: {}", self.names().join(", "));
        };
        started.process.signal(signal).with_context(|| format!("signal {component}"))?;
        started.process.gone(ENDING).await.with_context(|| format!("stop {component}"))
    }

    /// Starts a component that was stopped, and waits until it is ready.
    pub async fn start(&mut self, component: &str) -> Result<()> {
        let Some(found) = self.components().into_iter().find(|one| one.name == component) else {
            bail!("no component is called {component}; there are: {}", self.names().join(", "));
        };
        let _lock = lock::take(self.layout.folder())?;
        let starter = self.starter()?;
        starter.start(found).await?;
        self.state = starter.state().clone();
        Ok(())
    }

    /// Cuts the power of a node: every process of it ends at once. Its disk stays.
    pub async fn lose(&self, node: &str) -> Result<()> {
        let node = self.member(node)?;
        Cgroups::find()?
            .kill_member(&node.name)
            .await
            .with_context(|| format!("cut the power of {}", node.name))
    }

    /// Waits until Kubernetes has noticed that a node is lost.
    pub async fn noticed_lost(&self, node: &str) -> Result<()> {
        cluster::node_is(&self.layout, &self.state.programs, &self.member(node)?, Seen::Lost).await
    }

    /// Waits until Kubernetes calls a node Ready.
    pub async fn noticed_ready(&self, node: &str) -> Result<()> {
        cluster::node_is(&self.layout, &self.state.programs, &self.member(node)?, Seen::Ready).await
    }

    /// Gives a lost node its power back, and waits until it is Ready.
    pub async fn return_node(&mut self, node: &str) -> Result<()> {
        let node = self.member(node)?;
        let _lock = lock::take(self.layout.folder())?;
        let starter = self.starter()?;
        up::prepare_node(&starter, &node, &self.state.programs).await?;
        up::start_node(&starter, &node, &self.state.programs).await?;
        self.state = starter.state().clone();
        Ok(())
    }

    /// Pulls a member's cable, or plugs it in again.
    pub async fn set_cable(&self, member: &str, up: bool) -> Result<()> {
        network::set_cable(&self.member(member)?, up).await
    }

    /// Adds an appliance: a network namespace with an address on the bridge.
    pub async fn add_appliance(&mut self, name: &str) -> Result<Member> {
        ensure!(is_good_name(name), "an appliance's name is 1 to 30 of a-z, 0-9 and -; '{name}' is not");
        ensure!(self.member(name).is_err(), "there is a member called {name} already");
        let _lock = lock::take(self.layout.folder())?;
        let starter = self.starter()?;
        let number = starter.state().free_number(MAX_APPLIANCES);
        let number = number.with_context(|| format!("there are {MAX_APPLIANCES} appliances; remove one"))?;
        let member = self.layout.appliance(name, number);
        starter.change(|state| state.appliances.insert(name.into(), number))?;
        starter.join(&member).await?;
        self.state = starter.state().clone();
        Ok(member)
    }

    /// Removes an appliance and everything that runs in it.
    pub async fn remove_appliance(&mut self, name: &str) -> Result<()> {
        ensure!(self.state.appliances.contains_key(name), "no appliance is called {name}");
        let member = self.member(name)?;
        let _lock = lock::take(self.layout.folder())?;
        let starter = self.starter()?;
        starter.cgroups.kill_member(name).await?;
        sweep::remove(&member.folder).await?;
        starter.change(|state| {
            state.appliances.remove(name);
            state.components.remove(&member.anchor());
        })?;
        self.state = starter.state().clone();
        Ok(())
    }

    /// Where Argo CD finds git repositories; `None` on a bed without it.
    pub fn argocd(&self) -> Option<GitHost> {
        self.state.programs.argocd.as_ref().map(|_| argocd::git_host(&self.layout))
    }

    /// The names of its components.
    pub fn names(&self) -> Vec<&str> {
        self.state.components.keys().map(String::as_str).collect()
    }

    fn starter(&self) -> Result<Starter> {
        // Somebody else may have changed it since it was read; the lock is ours now.
        let state = State::read(self.layout.folder())?.context("the bed is gone")?;
        Starter::new(self.layout.clone(), state, |_| ())
    }

    /// Those that can be started one by one, in the order in which they need each other.
    pub(super) fn components(&self) -> Vec<Component> {
        let (layout, programs) = (&self.layout, &self.state.programs);
        let mut all = vec![
            kine::component(layout, programs),
            apiserver::component(layout, programs),
            controllers::component(layout, programs),
            scheduler::component(layout, programs),
            local_path::component(layout, programs),
        ];
        for node in layout.nodes() {
            all.push(containerd::component(&node, programs));
            all.push(kubelet::component(layout, &node, programs));
            all.push(kube_proxy::component(layout, &node, programs));
        }
        all.extend(kwok::component(layout, programs));
        all.extend(argocd::components(layout, programs));
        all
    }
}

fn is_good_name(name: &str) -> bool {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=30).contains(&name.len()) && name.chars().all(good) && !name.starts_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_appliances_name_is_safe_in_paths_and_on_command_lines() {
        for good in ["attic", "pi-5", "0"] {
            assert!(is_good_name(good), "{good}");
        }
        for bad in ["", "-x", "a/b", "..", "A", "a b", &"x".repeat(31)] {
            assert!(!is_good_name(bad), "{bad}");
        }
    }
}
