//! Starting one component: its cgroup, its namespaces, its line in the state, its sign of readiness.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::cgroups::Cgroups;
use super::component::{Component, DEADLINE};
use super::layout::{Host, Layout, Member};
use super::ready::Looker;
use super::state::{Started, State};
use super::{member, network, process};

/// Starts components of one bed and keeps its state file true.
pub(super) struct Starter {
    pub(super) layout: Layout,
    pub(super) cgroups: Cgroups,
    looker: Looker,
    state: Mutex<State>,
    say: fn(&str),
}

impl Starter {
    /// The bed's certificates must exist. `say` gets a line for a person when something is ready.
    pub(super) fn new(layout: Layout, state: State, say: fn(&str)) -> Result<Self> {
        let looker = Looker::new(&layout.pki("ca.crt"))?;
        Ok(Self { cgroups: Cgroups::find()?, looker, state: Mutex::new(state), layout, say })
    }

    /// Starts it and waits until it is ready.
    pub(super) async fn start(&self, component: Component) -> Result<()> {
        let (name, host) = (component.name.clone(), component.host.clone());
        let prefix = match &host {
            Host::Control => Vec::new(),
            Host::Member(member) => member::inside(self.anchor(member)?),
        };
        let took = self.start_behind(component, &prefix, host).await?;
        (self.say)(&format!("{name} ({:.1} s)", took.as_secs_f32()));
        Ok(())
    }

    /// Makes a member's namespaces and plugs it in.
    pub(super) async fn join(&self, member: &Member) -> Result<()> {
        self.cgroups.prepare_member(member)?;
        let host = Host::Member(member.name.clone());
        self.start_behind(member::anchor(&self.layout, member), &[], host).await?;
        network::plug(&self.layout, member, self.anchor(&member.name)?).await
    }

    async fn start_behind(
        &self,
        component: Component,
        prefix: &[std::ffi::OsString],
        host: Host,
    ) -> Result<Duration> {
        let name = component.name.clone();
        let log = self.layout.log(&name);
        let prefix = [&self.cgroups.enter(&host), prefix].concat();
        let starting = process::start(component, &prefix, &log)?;
        let started = Started { host, process: starting.process };
        self.change(|state| state.components.insert(name.clone(), started))?;
        starting.ready(&self.looker, DEADLINE).await
    }

    /// Changes the state, in memory and on disk.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> Result<T> {
        let mut state = self.state();
        let changed = change(&mut state);
        state.write(&self.layout)?;
        Ok(changed)
    }

    /// Held for a few lines only.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn anchor(&self, member: &str) -> Result<u32> {
        let name = format!("anchor-{member}");
        let state = self.state();
        let anchor = state.components.get(&name).filter(|started| started.process.is_alive());
        anchor.map(|started| started.process.pid).with_context(|| format!("{member} is not running"))
    }
}
