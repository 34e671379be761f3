//! Whether an object differs in what we look at. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use kube::Resource as _;
use kube::core::DeserializeGuard;

use super::key;
use super::watch::Object;

/// The same object, its resourceVersion apart. One that cannot be read is never the same: its words may differ.
pub(super) fn same<K: Object>(one: &DeserializeGuard<K>, other: &DeserializeGuard<K>) -> bool {
    let (Ok(left), Ok(right)) = (&one.0, &other.0) else {
        return one.meta().resource_version.is_some()
            && one.meta().resource_version == other.meta().resource_version
            && one.meta().uid == other.meta().uid;
    };
    let mut right = right.clone();
    right.meta_mut().resource_version.clone_from(&left.meta().resource_version);
    *left == right
}

/// What a new list has that the old one had not, or had differently, and what it has no more.
pub(super) fn changed<K: Object>(
    before: Vec<Arc<DeserializeGuard<K>>>,
    now: Vec<Arc<DeserializeGuard<K>>>,
) -> Vec<Arc<DeserializeGuard<K>>> {
    let mut before: HashMap<_, _> = before.into_iter().map(|object| (key(&*object), object)).collect();
    let mut changed: Vec<_> = now
        .into_iter()
        .filter(|object| before.remove(&key(&**object)).is_none_or(|old| !same(&old, object)))
        .collect();
    changed.extend(before.into_values());
    changed
}
