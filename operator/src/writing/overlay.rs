//! What was written and has not come back through a watch yet.
//!
//! A reconcile right after a write would see the object as it was before, and write, or tell, once more. Until the
//! cache has reached the version that the server answered with, that answer counts instead: also while it brings what
//! others wrote in between, which the answer has, too.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::ResourceExt;

use crate::clock::Now;

/// A watch that has not brought a write by then is not trusted to be merely late.
const LATE: Duration = Duration::from_secs(60);
/// Most writes on their way: more than are sent in [`LATE`] by any operator. Beyond it the oldest is forgotten, which
/// costs one write that changes nothing. Test: `what_never_comes_back_is_forgotten`.
const MOST: usize = 4_096;
/// Most writes of one object on their way: the members of a fleet, and what else a reconcile writes.
const CHAIN: usize = 72;

/// Writes on their way back, by namespace and name.
#[derive(Debug)]
pub(crate) struct Overlay<K> {
    written: Mutex<HashMap<(String, String), Written<K>>>,
}

#[derive(Debug)]
struct Written<K> {
    /// The version the cache had when it was written first, and those of our writes since, the last one's apart: for
    /// an object that was not there, and for versions that are no numbers.
    before: Vec<Option<String>>,
    answer: Arc<K>,
    at_ms: u64,
}

impl<K: ResourceExt> Overlay<K> {
    pub(crate) fn new() -> Self {
        Self { written: Mutex::new(HashMap::new()) }
    }

    /// The newest there is of an object that the cache sees so.
    pub(crate) fn latest(
        &self,
        namespace: &str,
        name: &str,
        cached: Option<Arc<K>>,
        now: Now,
    ) -> Option<Arc<K>> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (namespace.to_owned(), name.to_owned());
        let version = cached.as_ref().and_then(|object| object.resource_version());
        match written.get(&key) {
            Some(entry) if entry.is_ahead_of(version.as_ref()) && !entry.is_late(now) => {
                Some(entry.answer.clone())
            }
            Some(_) => {
                written.remove(&key);
                cached
            }
            None => cached,
        }
    }

    /// The server answered with this object to a write that was decided on `before`.
    pub(crate) fn wrote(&self, before: Option<String>, answer: Arc<K>, now: Now) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.len() >= MOST {
            written.retain(|_, entry| !entry.is_late(now));
        }
        if written.len() >= MOST {
            let oldest = written.iter().min_by_key(|(_, entry)| entry.at_ms).map(|(key, _)| key.clone());
            oldest.and_then(|key| written.remove(&key));
        }
        // A second write before the first came back is still measured from what the cache has.
        let key = (answer.namespace().unwrap_or_default(), answer.name_any());
        let before = match written.remove(&key) {
            Some(mut entry) if entry.answer.resource_version() == before && entry.before.len() < CHAIN => {
                entry.before.push(before);
                entry.before
            }
            _ => vec![before],
        };
        written.insert(key, Written { before, answer, at_ms: now.mono_ms });
    }
}

impl<K: ResourceExt> Written<K> {
    /// Versions are numbers that grow, whatever is written, on every API server there is today. Where they are not,
    /// only those that we know to be older are.
    fn is_ahead_of(&self, version: Option<&String>) -> bool {
        let number = |version: &String| version.parse::<u64>().ok();
        match (version.and_then(number), self.answer.resource_version().as_ref().and_then(number)) {
            (Some(cached), Some(answered)) => cached < answered,
            _ => self.before.iter().any(|before| before.as_ref() == version),
        }
    }
}

impl<K> Written<K> {
    fn is_late(&self, now: Now) -> bool {
        u128::from(now.mono_ms.saturating_sub(self.at_ms)) >= LATE.as_millis()
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    use super::*;

    fn at(millis: u64) -> Now {
        Now { mono_ms: millis, wall: jiff::Timestamp::UNIX_EPOCH }
    }

    fn map(name: &str, version: &str) -> Arc<ConfigMap> {
        let metadata = ObjectMeta {
            name: Some(name.into()),
            namespace: Some("n".into()),
            resource_version: Some(version.into()),
            ..ObjectMeta::default()
        };
        Arc::new(ConfigMap { metadata, ..ConfigMap::default() })
    }

    fn seen(overlay: &Overlay<ConfigMap>, cached: Option<Arc<ConfigMap>>, now: Now) -> Option<String> {
        overlay.latest("n", "a", cached, now).and_then(|map| map.resource_version())
    }

    #[test]
    fn an_answer_counts_until_the_cache_moves_on() {
        let overlay = Overlay::new();
        overlay.wrote(None, map("a", "5"), at(0));
        assert_eq!(seen(&overlay, None, at(1)).as_deref(), Some("5"));
        assert_eq!(seen(&overlay, Some(map("a", "6")), at(2)).as_deref(), Some("6"));
        assert_eq!(seen(&overlay, None, at(3)), None, "it was deleted since");
    }

    #[test]
    fn a_second_write_before_the_first_came_back_counts_too() {
        let overlay = Overlay::new();
        overlay.wrote(Some("1".into()), map("a", "5"), at(0));
        overlay.wrote(Some("5".into()), map("a", "7"), at(1));
        assert_eq!(seen(&overlay, Some(map("a", "1")), at(2)).as_deref(), Some("7"));
        assert_eq!(seen(&overlay, Some(map("a", "5")), at(3)).as_deref(), Some("7"), "the first came back");
        assert_eq!(seen(&overlay, Some(map("a", "8")), at(4)).as_deref(), Some("8"), "somebody else wrote");
        assert_eq!(seen(&overlay, Some(map("a", "5")), at(5)).as_deref(), Some("5"));
    }

    #[test]
    fn what_others_wrote_in_between_does_not_take_our_write_away() {
        let overlay = Overlay::new();
        overlay.wrote(Some("9".into()), map("a", "11"), at(0));
        assert_eq!(seen(&overlay, Some(map("a", "10")), at(1)).as_deref(), Some("11"), "as numbers");
        assert_eq!(seen(&overlay, Some(map("a", "11")), at(2)).as_deref(), Some("11"));
        overlay.wrote(None, map("a", "14"), at(3));
        assert_eq!(seen(&overlay, Some(map("a", "13")), at(4)).as_deref(), Some("14"), "its first event");
    }

    #[test]
    fn versions_that_are_no_numbers_are_older_only_when_we_saw_them() {
        let overlay = Overlay::new();
        overlay.wrote(Some("x".into()), map("a", "y"), at(0));
        assert_eq!(seen(&overlay, Some(map("a", "x")), at(1)).as_deref(), Some("y"));
        assert_eq!(seen(&overlay, Some(map("a", "w")), at(2)).as_deref(), Some("w"));
    }

    #[test]
    fn what_never_comes_back_is_forgotten() {
        let overlay = Overlay::new();
        overlay.wrote(None, map("a", "5"), at(0));
        assert_eq!(seen(&overlay, None, at(59_999)).as_deref(), Some("5"));
        assert_eq!(seen(&overlay, None, at(60_000)), None);
        for number in 0..2 * MOST {
            overlay.wrote(None, map(&number.to_string(), "1"), at(70_000));
        }
        assert_eq!(overlay.written.lock().unwrap().len(), MOST);
    }
}
