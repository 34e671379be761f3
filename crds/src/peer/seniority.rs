//! Who wins when several objects name one Endpoint ID. Pod, operator and directory ask here.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::EndpointId;

/// Who wins when two objects name one Endpoint ID: the smaller one, that is the older, then the one whose key sorts
/// first. Objects without a creation time (manifests) count as older than any with one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seniority<K> {
    /// `metadata.creationTimestamp`
    pub created: Option<Timestamp>,
    /// Object name, or file name.
    pub key: K,
}

/// An object that lost to an older one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicate<K> {
    /// The younger, which is denied.
    pub younger: K,
    /// The oldest, which has the Endpoint ID.
    pub older: K,
}

/// Every object whose Endpoint ID an older one has. For the peers of one reflector: with a fleet, those that name the
/// reflector and those that name its fleet.
pub fn duplicates<K: Ord + Clone>(
    peers: impl IntoIterator<Item = (EndpointId, Seniority<K>)>,
) -> Vec<Duplicate<K>> {
    let mut claims: BTreeMap<EndpointId, Vec<Seniority<K>>> = BTreeMap::new();
    for (id, seniority) in peers {
        claims.entry(id).or_default().push(seniority);
    }
    let mut lost = Vec::new();
    for claimants in claims.values_mut() {
        claimants.sort();
        let mut keys = claimants.iter().map(|claimant| &claimant.key);
        if let Some(older) = keys.next() {
            lost.extend(keys.map(|younger| Duplicate { younger: younger.clone(), older: older.clone() }));
        }
    }
    lost
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64, key: &'static str) -> Seniority<&'static str> {
        Seniority { created: Timestamp::from_second(second).ok(), key }
    }

    #[test]
    fn of_objects_with_one_endpoint_id_all_but_the_oldest_are_duplicates() {
        let id = |byte| EndpointId::from_public_key([byte; 32]);
        let manifest = Seniority { created: None, key: "z" };
        let found = duplicates([
            (id(1), at(9, "a")),
            (id(1), at(5, "c")),
            (id(1), at(5, "b")),
            (id(2), at(1, "alone")),
            (id(3), at(0, "y")),
            (id(3), manifest),
        ]);
        let lost = |younger, older| Duplicate { younger, older };
        assert_eq!(found, [lost("c", "b"), lost("a", "b"), lost("y", "z")]);
    }
}
