//! Watches: one per kind, each feeding a cache and a stream of what was touched.
//!
//! An object that cannot be read is counted, logged by name and kept as such: it never stops the others. What nobody
//! here looks at is dropped before it is kept.

use std::fmt::Debug;
use std::hash::Hash;

use futures_util::{Stream, StreamExt as _};
use kube::core::DeserializeGuard;
use kube::runtime::reflector::{self as store, ObjectRef, Store};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

use crate::metrics::{Kind, Metrics};

/// Objects as a watch brings them.
pub(crate) type Cached<K> = Store<DeserializeGuard<K>>;

/// What a watch is for.
pub(crate) struct Wanted<K> {
    pub(crate) kind: Kind,
    pub(crate) api: Api<DeserializeGuard<K>>,
    /// Only objects with these labels; all, when empty.
    pub(crate) labels: &'static str,
    /// Drops what is not looked at.
    pub(crate) trim: fn(&mut K),
}

/// Starts nothing yet: the watch runs while the stream is polled.
pub(crate) fn feed<K>(
    wanted: Wanted<K>,
    metrics: Metrics,
) -> (Cached<K>, impl Stream<Item = Result<DeserializeGuard<K>, watcher::Error>> + Send + 'static)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    K::DynamicType: Eq + Hash + Clone,
{
    let Wanted { kind, api, labels, trim } = wanted;
    let (reader, writer) = store::store();
    let config = if labels.is_empty() {
        watcher::Config::default()
    } else {
        watcher::Config::default().labels(labels)
    };
    let counted = metrics.clone();
    let events = watcher(api, config).default_backoff().inspect(move |event| match event {
        Ok(_) => counted.watched(kind),
        Err(error) => {
            tracing::warn!(kind = kind.value(), error = error as &dyn std::error::Error, "watch");
        }
    });
    let trimmed = events.modify(move |object: &mut DeserializeGuard<K>| {
        object.meta_mut().managed_fields = None;
        match &mut object.0 {
            Ok(object) => trim(object),
            Err(invalid) => {
                metrics.undecodable(kind);
                let name = invalid.metadata.name.as_deref().unwrap_or_default();
                let namespace = invalid.metadata.namespace.as_deref().unwrap_or_default();
                let error = &invalid.error;
                tracing::warn!(kind = kind.value(), namespace, name, error, "cannot read an object");
            }
        }
    });
    (reader, trimmed.reflect(writer).touched_objects())
}

/// One object of a cache; none, when it is not there or cannot be read.
pub(crate) fn find<K>(cache: &Cached<K>, namespace: &str, name: &str) -> Option<std::sync::Arc<K>>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let object = cache.get(&ObjectRef::new(name).within(namespace))?;
    object.0.as_ref().ok().map(|object| std::sync::Arc::new(object.clone()))
}
