//! Everything a reconcile looks at, gathered once. IO, but it decides nothing.
//!
//! Caches are narrowed to what carries our label, so a name they do not know is asked for at the server before anything
//! of that name is made.

use std::fmt::Debug;
use std::sync::Arc;

use crds::ReflectorPeer;
use crds::reflector::{PeerCounts, Reflector};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Node, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::core::DeserializeGuard;
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::build::{labels, names};
use super::caches::Caches;
use super::children::Children;
use super::neighbours::Neighbour;
use super::{Reflectors, peers};
use crate::clock::{self, Now};
use crate::kinds::Kinds;
use crate::watches::{Object, Watched};
use crate::writing::Overlay;

/// kube tries again for minutes; the object is looked at again sooner by itself.
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(10);

/// What there is.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) reflector: Arc<Reflector>,
    pub(super) children: Children,
    /// The claim in use, ours or an existing one.
    pub(super) claim: Option<Arc<PersistentVolumeClaim>>,
    pub(super) pods: Vec<Arc<Pod>>,
    /// The node of the pod.
    pub(super) node: Option<Arc<Node>>,
    /// The node a claim was made for, when it is gone.
    pub(super) gone_node: Option<String>,
    /// The `StorageClass` of a claim that is to be made, when there is none of that name.
    pub(super) missing_class: Option<String>,
    pub(super) neighbours: Vec<Neighbour>,
    pub(super) peers: PeerCounts,
}

/// The API server did not say what there is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("read {kind} {name}")]
    Read {
        kind: String,
        name: String,
        #[source]
        source: Box<kube::Error>,
    },
    #[error("read {kind} {name}: no answer from the API server within {} s", DEADLINE.as_secs())]
    NoAnswer { kind: String, name: String },
}

/// Where a claim whose class waits for its first pod was made.
const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";

/// Gathers.
pub(super) async fn fetch(context: &Reflectors, reflector: Arc<Reflector>) -> Result<Found, Error> {
    let Reflectors { shared, caches, written } = context;
    let client = &shared.client;
    let (namespace, name) = (reflector.namespace().unwrap_or_default(), reflector.name_any());
    let now = clock::now();
    let look = Look { client, namespace: &namespace, now };
    let (child, claim) = (names::child(&name), names::claim(&name));
    let network = reflector.spec.network.clone().unwrap_or_default();
    let storage = reflector.spec.identity.clone().unwrap_or_default().storage.unwrap_or_default();
    let children = Children {
        account: look.up(&caches.accounts, &written.accounts, &child).await?,
        binding: look.up(&caches.bindings, &written.bindings, &child).await?,
        config: look.up(&caches.configs, &written.configs, &child).await?,
        claim: match storage.existing_claim {
            Some(_) => None,
            None => look.up(&caches.claims, &written.claims, &claim).await?,
        },
        // On the host network there is none to be made, only perhaps one of ours to be removed.
        service: match network.host_network {
            Some(false) => look.up(&caches.services, &written.services, &child).await?,
            _ => look.cached(&caches.services, &written.services, &child),
        },
        deployment: look.up(&caches.deployments, &written.deployments, &child).await?,
    };
    let in_use = match &storage.existing_claim {
        // Somebody else's, without our label: no watch of ours brings it.
        Some(existing) => look.live::<PersistentVolumeClaim>(existing).await?.map(Arc::new),
        None => children.claim.clone(),
    };
    let missing_class = match (&storage.storage_class_name, &children.claim) {
        (Some(class), None) if storage.existing_claim.is_none() => missing_class(client, class).await?,
        _ => None,
    };
    let pods = pods(caches, &namespace, &name);
    let node = pods.iter().find_map(|pod| pod.spec.as_ref()?.node_name.clone());
    let selected = in_use.as_ref().and_then(|claim| claim.annotations().get(SELECTED_NODE)).cloned();
    Ok(Found {
        gone_node: selected.filter(|node| !shared.kinds.nodes.has("", node)),
        node: node.and_then(|node| shared.kinds.nodes.find("", &node)),
        neighbours: neighbours(&shared.kinds),
        peers: count(&shared.kinds, &reflector),
        claim: in_use,
        reflector,
        children,
        pods,
        missing_class,
    })
}

struct Look<'a> {
    client: &'a Client,
    namespace: &'a str,
    now: Now,
}

impl Look<'_> {
    /// The newest we know of.
    fn cached<K: Object>(&self, watched: &Watched<K>, written: &Overlay<K>, name: &str) -> Option<Arc<K>> {
        written.latest(self.namespace, name, watched.find(self.namespace, name), self.now)
    }

    async fn up<K>(
        &self,
        watched: &Watched<K>,
        written: &Overlay<K>,
        name: &str,
    ) -> Result<Option<Arc<K>>, Error>
    where
        K: Object + Resource<Scope = NamespaceResourceScope>,
    {
        match self.cached(watched, written, name) {
            Some(object) => Ok(Some(object)),
            None => Ok(self.live::<K>(name).await?.map(Arc::new)),
        }
    }

    async fn live<K>(&self, name: &str) -> Result<Option<K>, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
        K: Clone + Debug + DeserializeOwned,
    {
        let api = Api::<K>::namespaced(self.client.clone(), self.namespace);
        ask(&K::kind(&()), name, api.get_opt(name)).await
    }
}

async fn ask<T>(kind: &str, name: &str, answer: impl Future<Output = kube::Result<T>>) -> Result<T, Error> {
    let (kind, name) = (kind.to_owned(), name.to_owned());
    match timeout(DEADLINE, answer).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(source)) => Err(Error::Read { kind, name, source: Box::new(source) }),
        Err(_) => Err(Error::NoAnswer { kind, name }),
    }
}

async fn missing_class(client: &Client, class: &str) -> Result<Option<String>, Error> {
    let classes = Api::<StorageClass>::all(client.clone());
    let found = ask("StorageClass", class, classes.get_metadata_opt(class)).await?;
    Ok(found.is_none().then(|| class.to_owned()))
}

/// Pods of a Reflector, the newest first; those that go come last.
fn pods(caches: &Caches, namespace: &str, name: &str) -> Vec<Arc<Pod>> {
    let ours = caches.pods.cache.state_filter(|pod| {
        let metadata = pod.meta();
        metadata.namespace.as_deref() == Some(namespace)
            && metadata.labels.as_ref().and_then(|labels| labels.get(labels::REFLECTOR)).map(String::as_str)
                == Some(name)
    });
    let ours = ours.iter().filter_map(|pod| pod.0.as_ref().ok());
    let mut ours: Vec<Arc<Pod>> = ours.map(|pod| Arc::new(pod.clone())).collect();
    ours.sort_by_key(|pod| {
        (pod.metadata.deletion_timestamp.is_some(), std::cmp::Reverse(pod.creation_timestamp()))
    });
    ours
}

fn neighbours(kinds: &Kinds) -> Vec<Neighbour> {
    let all = kinds.reflectors.cache.state();
    all.iter().filter_map(|object| object.0.as_ref().ok()).filter_map(Neighbour::competing).collect()
}

fn count(kinds: &Kinds, reflector: &Reflector) -> PeerCounts {
    let named = |object: &DeserializeGuard<ReflectorPeer>| {
        object.0.as_ref().is_ok_and(|peer| peers::names(peer, reflector))
    };
    let all = kinds.peers.cache.state_filter(named);
    peers::count(all.iter().filter_map(|object| object.0.as_ref().ok()))
}

/// What the cache and our own writes know of a Reflector.
pub(super) fn newest(context: &Reflectors, cached: &Reflector) -> Arc<Reflector> {
    let (namespace, name) = (cached.namespace().unwrap_or_default(), cached.name_any());
    let current = context.shared.kinds.reflectors.find(&namespace, &name);
    let current = current.unwrap_or_else(|| Arc::new(cached.clone()));
    let overlay = &context.written.reflectors;
    overlay.latest(&namespace, &name, Some(current.clone()), clock::now()).unwrap_or(current)
}
