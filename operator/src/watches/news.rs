//! What was touched since somebody last looked.
//!
//! Each listener has its own list with at most one entry per object, however often that changed: a slow one makes no
//! watch wait, misses nothing, and holds no more than there are objects.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, stream};
use kube::core::DeserializeGuard;
use tokio::sync::Notify;

use super::key;
use super::watch::Object;

/// Objects that were touched, as they were then; a deleted one as it was last. Never ends.
pub(crate) type News<K> = BoxStream<'static, Arc<DeserializeGuard<K>>>;

/// Everybody who wants to be told about a kind.
pub(super) struct Board<K> {
    listeners: Mutex<Vec<Weak<Pending<K>>>>,
}

struct Pending<K> {
    waiting: Mutex<Waiting<K>>,
    some: Notify,
}

struct Waiting<K> {
    order: VecDeque<(String, String)>,
    objects: HashMap<(String, String), Arc<DeserializeGuard<K>>>,
}

impl<K> Default for Board<K> {
    fn default() -> Self {
        Self { listeners: Mutex::new(Vec::new()) }
    }
}

impl<K: Object> Board<K> {
    /// News from now on, until the stream is dropped.
    pub(super) fn subscribe(&self) -> News<K> {
        let waiting = Waiting { order: VecDeque::new(), objects: HashMap::new() };
        let pending = Arc::new(Pending { waiting: Mutex::new(waiting), some: Notify::new() });
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&pending));
        stream::unfold(pending, |pending| async move {
            let object = pending.next().await;
            Some((object, pending))
        })
        .boxed()
    }

    pub(super) fn tell(&self, objects: &[Arc<DeserializeGuard<K>>]) {
        if objects.is_empty() {
            return;
        }
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| {
            let Some(listener) = listener.upgrade() else { return false };
            listener.put(objects);
            true
        });
    }
}

impl<K: Object> Pending<K> {
    fn put(&self, objects: &[Arc<DeserializeGuard<K>>]) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for object in objects {
            let key = key(&**object);
            if waiting.objects.insert(key.clone(), object.clone()).is_none() {
                waiting.order.push_back(key);
            }
        }
        self.some.notify_one();
    }

    /// Cancel-safe: what was taken is returned without waiting.
    async fn next(&self) -> Arc<DeserializeGuard<K>> {
        loop {
            if let Some(object) = self.take() {
                return object;
            }
            self.some.notified().await;
        }
    }

    fn take(&self) -> Option<Arc<DeserializeGuard<K>>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let key = waiting.order.pop_front()?;
        waiting.objects.remove(&key)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::ResourceExt as _;
    use serde_json::json;

    use super::*;

    fn map(name: &str, version: &str) -> Arc<DeserializeGuard<ConfigMap>> {
        let metadata = json!({ "name": name, "namespace": "n", "resourceVersion": version });
        Arc::new(serde_json::from_value(json!({ "metadata": metadata })).unwrap())
    }

    fn next(news: &mut News<ConfigMap>) -> Option<String> {
        let object = news.next().now_or_never().flatten()?;
        Some(format!("{}@{}", object.name_any(), object.resource_version().unwrap_or_default()))
    }

    #[test]
    fn a_slow_listener_sees_each_object_once_as_it_was_last() {
        let board = Board::default();
        let mut news = board.subscribe();
        board.tell(&[map("a", "1"), map("b", "1")]);
        for version in 2..1_000 {
            board.tell(&[map("a", &version.to_string())]);
        }
        assert_eq!(next(&mut news).as_deref(), Some("a@999"));
        assert_eq!(next(&mut news).as_deref(), Some("b@1"));
        assert_eq!(next(&mut news), None);
        board.tell(&[map("a", "1000")]);
        assert_eq!(next(&mut news).as_deref(), Some("a@1000"));
    }

    #[test]
    fn listeners_do_not_take_from_each_other_and_one_that_left_is_forgotten() {
        let board = Board::default();
        let (mut one, other) = (board.subscribe(), board.subscribe());
        drop(other);
        board.tell(&[map("a", "1")]);
        assert_eq!(board.listeners.lock().unwrap().len(), 1);
        assert_eq!(next(&mut one).as_deref(), Some("a@1"));
    }

    #[tokio::test]
    async fn a_listener_that_waits_is_woken() {
        let board = Arc::new(Board::default());
        let mut news = board.subscribe();
        let waiting = tokio::spawn(async move { news.next().await.map(|object| object.name_any()) });
        tokio::task::yield_now().await;
        board.tell(&[map("a", "1")]);
        assert_eq!(waiting.await.unwrap().as_deref(), Some("a"));
    }
}
