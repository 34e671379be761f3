//! Putting a bed right after a scenario that failed in the middle of doing harm, so that the next one finds it whole.

use anyhow::{Context as _, Result};
use rustix::process::Signal;

use super::cgroups::Cgroups;
use super::disk;
use super::layout::{Host, Member};
use super::network;
use super::running::Bed;
use super::state::State;

impl Bed {
    /// Undoes every harm that a scenario can do. Whole, it does nothing and takes a moment.
    pub async fn mend(&mut self) -> Result<()> {
        self.state = State::read(self.layout.folder())?.context("the bed is gone")?;
        Cgroups::find()?.thaw_all().await?;
        for (name, started) in &self.state.components {
            started.process.signal(Signal::CONT).with_context(|| format!("let {name} go on"))?;
        }
        for member in self.state.members(&self.layout) {
            if self.has_power(&member.name) {
                network::set_cable(&member, true).await?;
            }
            if member.pods.is_some() {
                disk::free(&member)?;
            }
        }
        for component in self.components() {
            let dead = self.state.dead().contains(&component.name.as_str());
            match &component.host {
                Host::Member(node) if dead && !self.has_power(node) => self.return_node(node).await?,
                _ if dead => self.start(&component.name).await?,
                _ => {}
            }
        }
        let nodes: Vec<Member> = self.layout.nodes().collect();
        for node in nodes {
            self.noticed_ready(&node.name).await?;
        }
        Ok(())
    }

    fn has_power(&self, member: &str) -> bool {
        let anchor = format!("anchor-{member}");
        self.state.components.get(&anchor).is_some_and(|started| started.process.is_alive())
    }
}
