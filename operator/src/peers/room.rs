//! The index of peers, as fresh as the cache whenever it is asked.
//!
//! News wait until somebody asks or is to be woken; so a reconcile never decides on less than its cache knows, not even
//! the first one after a start.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crds::EndpointId;
use crds::peer::{ReflectorPeer, ReflectorRef};
use futures_util::{FutureExt as _, StreamExt as _};
use kube::ResourceExt as _;

use super::index::{Index, Key};
use crate::clock;
use crate::watches::{News, Watched};
use crate::writing::Overlay;

/// All peers, and who is to look again because of another.
pub(super) struct Room {
    peers: Watched<ReflectorPeer>,
    written: Overlay<ReflectorPeer>,
    inner: Mutex<Inner>,
}

struct Inner {
    index: Index,
    news: News<ReflectorPeer>,
    /// No more than there are peers.
    to_wake: BTreeSet<Key>,
}

impl Room {
    pub(super) fn new(peers: &Watched<ReflectorPeer>) -> Self {
        let inner = Inner { index: Index::default(), news: peers.news(), to_wake: BTreeSet::new() };
        Self { peers: peers.clone(), written: Overlay::new(), inner: Mutex::new(inner) }
    }

    /// What the cache and our own writes know of a peer.
    pub(super) fn newest(&self, key: &Key) -> Option<Arc<ReflectorPeer>> {
        let (namespace, name) = key;
        self.written.latest(namespace, name, self.peers.find(namespace, name), clock::now())
    }

    /// The server answered with this to a write that was decided on `before`.
    pub(super) fn wrote(&self, before: &ReflectorPeer, answer: &Arc<ReflectorPeer>) {
        let key = key(answer);
        self.written.wrote(before.resource_version(), answer.clone(), clock::now());
        let mut inner = self.caught_up();
        let others = inner.index.update(&key, Some(answer));
        inner.to_wake.extend(others);
    }

    pub(super) fn older(
        &self,
        key: &Key,
        id: EndpointId,
        reflectors: &[String],
        fleets: impl Fn(&str) -> Vec<String>,
    ) -> Option<(String, String)> {
        self.caught_up().index.older(key, id, reflectors, fleets)
    }

    pub(super) fn waiting_beside(&self, key: &Key, reference: &ReflectorRef) -> usize {
        self.caught_up().index.waiting_beside(key, reference)
    }

    /// Peers that name an object, given as `Kind/name`.
    pub(super) fn naming(&self, namespace: &str, reference: &str) -> Vec<Key> {
        self.caught_up().index.naming(namespace, reference)
    }

    /// Who is to look again since this was asked last.
    pub(super) fn take_to_wake(&self) -> Vec<Key> {
        std::mem::take(&mut self.caught_up().to_wake).into_iter().collect()
    }

    fn caught_up(&self) -> MutexGuard<'_, Inner> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(Some(object)) = inner.news.next().now_or_never() {
            let key = (object.namespace().unwrap_or_default(), object.name_any());
            let peer = self.newest(&key);
            let others = inner.index.update(&key, peer.as_deref());
            inner.to_wake.extend(others);
        }
        inner
    }
}

/// Namespace and name.
pub(super) fn key(peer: &ReflectorPeer) -> Key {
    (peer.namespace().unwrap_or_default(), peer.name_any())
}
