//! The watch of one kind: asks the API server for ever, fills the cache, tells the board.

use std::fmt::Debug;
use std::sync::Arc;

use futures_util::StreamExt as _;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::{self as store, ObjectRef};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watch_objects};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

use super::news::Board;
use super::warmth::First;
use super::{Cached, compare};
use crate::metrics::{Kind, Metrics};

/// What can be watched here.
pub(crate) trait Object:
    Resource<DynamicType = ()> + Clone + Debug + PartialEq + DeserializeOwned + Send + Sync + 'static
{
}

impl<K> Object for K where
    K: Resource<DynamicType = ()> + Clone + Debug + PartialEq + DeserializeOwned + Send + Sync + 'static
{
}

/// What a watch is for.
pub(crate) struct Wanted<K> {
    pub(crate) kind: Kind,
    /// Only objects with these labels; all, when empty.
    pub(crate) labels: &'static str,
    /// Drops what is not looked at. What differs only in that is no news.
    pub(crate) trim: fn(&mut K),
}

/// A cache, and what fills it while it is awaited. It never ends by itself.
pub(super) fn watch<K: Object>(
    wanted: Wanted<K>,
    api: Api<DeserializeGuard<K>>,
    board: Arc<Board<K>>,
    first: First,
    metrics: Metrics,
) -> (Cached<K>, impl Future<Output = ()> + Send + 'static) {
    let (cache, mut writer) = store::store::<DeserializeGuard<K>>();
    let reader = cache.clone();
    let config = if wanted.labels.is_empty() {
        watcher::Config::default()
    } else {
        watcher::Config::default().labels(wanted.labels)
    };
    let run = async move {
        let mut events = std::pin::pin!(watch_objects(api, config).default_backoff());
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    metrics.watched(wanted.kind);
                    let is_list = matches!(event, Event::InitDone);
                    let news = take_in(&reader, &mut writer, event, &wanted, &metrics);
                    if is_list {
                        first.is_in();
                    }
                    board.tell(&news);
                }
                Err(error) => {
                    let kind = wanted.kind.value();
                    first.failed(&words(&error));
                    tracing::warn!(kind, error = &error as &dyn std::error::Error, "watch");
                }
            }
        }
    };
    (cache, run)
}

/// The server's own words, where there are some: they name the right or the definition that is missing.
fn words(error: &watcher::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    format!("{error}: {innermost}")
}

/// Puts an event into the cache. Returns the objects that somebody may have to look at: after a gap also those that
/// went while nobody watched, for which there is no event.
fn take_in<K: Object>(
    cache: &Cached<K>,
    writer: &mut store::store::Writer<DeserializeGuard<K>>,
    mut event: Event<DeserializeGuard<K>>,
    wanted: &Wanted<K>,
    metrics: &Metrics,
) -> Vec<Arc<DeserializeGuard<K>>> {
    match &mut event {
        Event::Apply(object) | Event::InitApply(object) => trim(object, wanted, metrics),
        Event::Delete(_) | Event::Init | Event::InitDone => {}
    }
    match &event {
        Event::Apply(object) => {
            let name = ObjectRef::from_obj(object);
            let before = cache.get(&name);
            writer.apply_watcher_event(&event);
            match (before, cache.get(&name)) {
                (Some(before), Some(now)) if compare::same(&before, &now) => vec![],
                (_, now) => now.into_iter().collect(),
            }
        }
        Event::Delete(object) => {
            let before = cache.get(&ObjectRef::from_obj(object));
            writer.apply_watcher_event(&event);
            before.into_iter().collect()
        }
        Event::Init | Event::InitApply(_) => {
            writer.apply_watcher_event(&event);
            vec![]
        }
        Event::InitDone => {
            let before = cache.state();
            writer.apply_watcher_event(&event);
            compare::changed(before, cache.state())
        }
    }
}

fn trim<K: Object>(object: &mut DeserializeGuard<K>, wanted: &Wanted<K>, metrics: &Metrics) {
    object.meta_mut().managed_fields = None;
    match &mut object.0 {
        Ok(object) => (wanted.trim)(object),
        Err(invalid) => {
            metrics.undecodable(wanted.kind);
            let name = invalid.metadata.name.as_deref().unwrap_or_default();
            let namespace = invalid.metadata.namespace.as_deref().unwrap_or_default();
            tracing::warn!(
                kind = wanted.kind.value(),
                namespace,
                name,
                error = invalid.error,
                "cannot read an object"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::ResourceExt as _;
    use serde_json::json;

    use super::*;

    type Map = DeserializeGuard<ConfigMap>;

    struct Feed {
        cache: Cached<ConfigMap>,
        writer: store::store::Writer<Map>,
    }

    impl Feed {
        fn new() -> Self {
            let (cache, writer) = store::store();
            Self { cache, writer }
        }

        /// Names that are told.
        fn see(&mut self, event: Event<Map>) -> Vec<String> {
            let wanted = Wanted {
                kind: Kind::ConfigMap,
                labels: "",
                trim: |map: &mut ConfigMap| map.metadata.annotations = None,
            };
            let told = take_in(&self.cache, &mut self.writer, event, &wanted, &Metrics::new());
            let mut names: Vec<String> = told.iter().map(|object| object.name_any()).collect();
            names.sort();
            names
        }
    }

    fn map(name: &str, version: &str, value: &str) -> Map {
        serde_json::from_value(json!({
            "metadata": { "name": name, "namespace": "n", "uid": name, "resourceVersion": version,
                "annotations": { "ignored": version }, "managedFields": [{ "manager": version }] },
            "data": { "k": value },
        }))
        .unwrap()
    }

    #[test]
    fn nothing_is_told_before_the_whole_list_is_in() {
        let mut feed = Feed::new();
        assert!(feed.see(Event::Init).is_empty());
        assert!(feed.see(Event::InitApply(map("a", "1", "x"))).is_empty());
        assert_eq!(feed.see(Event::InitDone), ["a"]);
    }

    #[test]
    fn what_changed_in_a_gap_is_told_and_so_is_what_went() {
        let mut feed = Feed::new();
        feed.see(Event::Init);
        for name in ["same", "gone", "changed"] {
            feed.see(Event::InitApply(map(name, "1", "x")));
        }
        feed.see(Event::InitDone);
        feed.see(Event::Init);
        feed.see(Event::InitApply(map("same", "1", "x")));
        feed.see(Event::InitApply(map("changed", "5", "y")));
        feed.see(Event::InitApply(map("new", "6", "x")));
        assert_eq!(feed.see(Event::InitDone), ["changed", "gone", "new"]);
    }

    #[test]
    fn a_change_in_what_nobody_looks_at_is_no_news_and_a_deletion_is() {
        let mut feed = Feed::new();
        assert_eq!(feed.see(Event::Apply(map("a", "1", "x"))), ["a"]);
        assert!(feed.see(Event::Apply(map("a", "2", "x"))).is_empty());
        let cached = feed.cache.state();
        assert_eq!(cached[0].resource_version().as_deref(), Some("2"), "the cache moves on all the same");
        assert!(cached[0].meta().managed_fields.is_none());
        assert_eq!(feed.see(Event::Apply(map("a", "3", "y"))), ["a"]);
        assert_eq!(feed.see(Event::Delete(map("a", "4", "y"))), ["a"]);
        assert!(feed.cache.state().is_empty());
    }

    #[test]
    fn an_object_that_cannot_be_read_is_counted_kept_and_told() {
        let mut feed = Feed::new();
        let broken: Map =
            serde_json::from_value(json!({ "metadata": { "name": "broken", "namespace": "n" }, "data": 7 }))
                .unwrap();
        assert!(broken.0.is_err());
        assert_eq!(feed.see(Event::Apply(broken)), ["broken"]);
        assert_eq!(feed.see(Event::Apply(map("fine", "1", "x"))), ["fine"]);
        assert_eq!(feed.cache.state().len(), 2);
    }
}
