//! Everything a decision about one peer is made from. Looked up by `fetch`, or written down by a test.

use std::sync::Arc;

use crds::EndpointId;
use crds::peer::ReflectorPeer;

/// What there is.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) peer: Arc<ReflectorPeer>,
    /// The object it names; none, when there is none.
    pub(super) named: Option<Named>,
    /// An older peer with the same Endpoint ID, and the reflector where that counts.
    pub(super) older: Option<(String, String)>,
    /// Other peers whose codes wait on the same object.
    pub(super) waiting_beside: usize,
}

/// The Reflector or `ReflectorFleet` a peer names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) uid: String,
    pub(super) approval: Approval,
    pub(super) is_fleet: bool,
    /// The one Reflector, or the fleet's members: who may claim, and whose entries are kept.
    pub(super) reflectors: Vec<Endpoint>,
}

/// What follows when an appliance presents a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Approval {
    Automatic,
    Manual,
}

/// A reflector, as far as an appliance has to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) name: String,
    pub(super) id: Option<EndpointId>,
    pub(super) address: Option<String>,
}

impl Found {
    /// Names of the reflectors that are to have an entry.
    pub(super) fn names(&self) -> Vec<&str> {
        self.named.iter().flat_map(|named| &named.reflectors).map(|one| one.name.as_str()).collect()
    }

    /// Reflectors that have an entry and should not: they are no members any more, or gone.
    pub(super) fn departed(&self) -> Vec<&str> {
        let names = self.names();
        let there = self.peer.status.iter().flat_map(|status| &status.reflectors);
        there.map(|entry| entry.name.as_str()).filter(|name| !names.contains(name)).collect()
    }
}
