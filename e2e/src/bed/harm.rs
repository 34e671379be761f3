//! Harm that a scenario does to a bed beyond stopping things: standing still, a crash in a pod, a full disk.
//!
//! What stands still keeps its memory, its sockets and its place in the cluster; the world's clocks go on without it. For
//! a holder of a Lease that is the same as a clock that lags: it believes that it still holds what others may have taken.
//! The time of day cannot be skewed for one process: the kernel has no namespace for it.

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;

use super::cgroups::Cgroups;
use super::disk;
use super::running::Bed;

/// What can be made to stand still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Still<'a> {
    /// A component, as `cargo bed status` names it. Its sockets are open; nobody answers on them.
    Component(&'a str),
    /// Everything of a node or an appliance, as when the host of a virtual machine is busy. Its network answers pings.
    Member(&'a str),
    /// One container, with its id as the kubelet reports it.
    Container {
        /// Where it runs.
        node: &'a str,
        /// Without `containerd://`.
        id: &'a str,
    },
}

impl Bed {
    /// Makes it stand still until [`Bed::resume`].
    pub async fn pause(&self, what: Still<'_>) -> Result<()> {
        self.set_still(what, true).await.with_context(|| format!("make {what:?} stand still"))
    }

    /// Lets it go on where it stood.
    pub async fn resume(&self, what: Still<'_>) -> Result<()> {
        self.set_still(what, false).await.with_context(|| format!("let {what:?} go on"))
    }

    async fn set_still(&self, what: Still<'_>, still: bool) -> Result<()> {
        match what {
            Still::Component(name) => {
                let Some(started) = self.state.components.get(name) else {
                    bail!("no component is called {name}; there are: {}", self.names().join(", "));
                };
                Ok(started.process.signal(if still { Signal::STOP } else { Signal::CONT })?)
            }
            Still::Member(name) => {
                let member = self.member(name)?;
                Cgroups::find()?.freeze_member(&member.name, still).await
            }
            Still::Container { node, id } => Cgroups::find()?.freeze_container(node, id, still).await,
        }
    }

    /// Ends every process of a container, as a crash would.
    pub async fn kill_container(&self, node: &str, id: &str) -> Result<()> {
        let node = self.member(node)?;
        Cgroups::find()?.kill_container(&node.name, id).await
    }

    /// Fills the disk that the claims of a node are on: whoever writes there is told that no space is left.
    pub fn fill_disk(&self, node: &str) -> Result<()> {
        disk::fill(&self.member(node)?)
    }

    /// Frees it again. Fine when it was not filled.
    pub fn free_disk(&self, node: &str) -> Result<()> {
        disk::free(&self.member(node)?)
    }
}
