//! The watch of one kind: asks the API server for ever, fills the cache, tells the board.

#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::{self as store, ObjectRef};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watch_objects};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

use super::news::Board;
use super::warmth::State;
use super::{Cached, compare};
use crate::metrics::{Kind, Metrics};

/// Between two questions for what we may not see: so long after the roles were applied it goes on.
const UNTIL_ALLOWED: Duration = Duration::from_secs(10);

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
    state: State,
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
        loop {
            let mut events = std::pin::pin!(watch_objects(api.clone(), config.clone()).default_backoff());
            while let Some(event) = events.next().await {
                match event {
                    Ok(event) => {
                        metrics.watched(wanted.kind);
                        let is_list = matches!(event, Event::InitDone);
                        // It is told before anything was asked.
                        if !matches!(event, Event::Init) {
                            state.answered();
                            metrics.watch_forbidden(wanted.kind, false);
                        }
                        let news = take_in(&reader, &mut writer, event, &wanted, &metrics);
                        if is_list {
                            state.is_in();
                        }
                        board.tell(&news);
                    }
                    Err(error) => {
                        let kind = wanted.kind.value();
                        let forbidden = is_forbidden(&error);
                        state.failed(&words(&error), forbidden);
                        metrics.watch_forbidden(wanted.kind, forbidden);
                        tracing::warn!(kind, error = &error as &dyn std::error::Error, "watch");
                        if forbidden {
                            break;
                        }
                    }
                }
            }
            // A watch that stands again may be silent for hours; a list always answers.
            pause(UNTIL_ALLOWED).await;
        }
    };
    (cache, run)
}

#[expect(clippy::disallowed_methods, reason = "nothing announces that somebody has given us a right")]
async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Waiting does not help: somebody has to give us the right.
fn is_forbidden(error: &watcher::Error) -> bool {
    let code = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => status.code,
        _ => 0,
    };
    code == 403
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
