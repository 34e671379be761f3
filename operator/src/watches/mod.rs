//! Watches: one per kind in the whole process, however many controllers look at it.
//!
//! In: what each kind is looked at for. Out: a cache per kind, and news for everybody who asks. An object that cannot
//! be read is counted, logged by name and kept as such: it never stops the others. `news` and `compare` decide what is
//! told, `watch` asks the API server, `warmth` knows whose first list is in, and [`Watches`] owns them all.

mod compare;
mod news;
mod warmth;
mod watch;

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, ResourceExt as _};

use crate::metrics::{Kind, Metrics};
use kube::core::DeserializeGuard;
use news::Board;
pub(crate) use news::News;
pub(crate) use warmth::Warmth;
pub(crate) use watch::{Object, Wanted};

/// Objects as a watch brings them.
pub(crate) type Cached<K> = Store<DeserializeGuard<K>>;

/// A kind that is watched: what there is, and what is new. Clones share both.
#[derive(Clone)]
pub(crate) struct Watched<K: Object> {
    pub(crate) cache: Cached<K>,
    board: Arc<Board<K>>,
}

impl<K: Object> Watched<K> {
    /// Objects that came, changed in what we look at, or went, from now on.
    pub(crate) fn news(&self) -> News<K> {
        self.board.subscribe()
    }

    /// One object; none, when it is not there or cannot be read.
    pub(crate) fn find(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        let object = self.cache.get(&ObjectRef::new(name).within(namespace))?;
        object.0.as_ref().ok().map(|object| Arc::new(object.clone()))
    }

    /// Whether there is an object of that name, readable or not.
    pub(crate) fn has(&self, namespace: &str, name: &str) -> bool {
        self.cache.get(&ObjectRef::new(name).within(namespace)).is_some()
    }
}

/// All watches, while the parts of the program are put together. Nothing is asked before [`Watches::run`].
pub(crate) struct Watches {
    client: Client,
    namespace: Option<String>,
    metrics: Metrics,
    warmth: Warmth,
    all: Vec<(Kind, BoxFuture<'static, ()>)>,
}

impl Watches {
    /// `namespace`: the only one to look at; all, when none.
    pub(crate) fn new(client: Client, namespace: Option<String>, metrics: Metrics) -> Self {
        Self { client, namespace, metrics, warmth: Warmth::new(), all: Vec::new() }
    }

    /// Adds a kind that lives in namespaces.
    pub(crate) fn add<K>(&mut self, wanted: Wanted<K>) -> Watched<K>
    where
        K: Object + kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
    {
        let api = match &self.namespace {
            Some(namespace) => kube::Api::namespaced(self.client.clone(), namespace),
            None => kube::Api::all(self.client.clone()),
        };
        self.start(wanted, api)
    }

    /// Adds a kind that lives in none.
    pub(crate) fn add_cluster_wide<K: Object>(&mut self, wanted: Wanted<K>) -> Watched<K> {
        let api = kube::Api::all(self.client.clone());
        self.start(wanted, api)
    }

    fn start<K: Object>(&mut self, wanted: Wanted<K>, api: kube::Api<DeserializeGuard<K>>) -> Watched<K> {
        let kind = wanted.kind;
        let board = Arc::new(Board::default());
        let state = self.warmth.add(kind);
        let (cache, watch) = watch::watch(wanted, api, board.clone(), state, self.metrics.clone());
        self.all.push((kind, watch.boxed()));
        Watched { cache, board }
    }

    /// Who may be asked whether every first list is in.
    pub(crate) fn warmth(&self) -> Warmth {
        self.warmth.clone()
    }

    /// Watches everything that was added. Returns only when a watch ended, which none does by itself, and says which.
    pub(crate) async fn run(self) -> &'static str {
        let all = self.all.into_iter().map(|(kind, watch)| {
            async move {
                watch.await;
                kind.value()
            }
            .boxed()
        });
        futures_util::future::select_all(all).await.0
    }
}

/// Namespace and name, as a key.
fn key<K: Object>(object: &DeserializeGuard<K>) -> (String, String) {
    (object.namespace().unwrap_or_default(), object.name_any())
}
