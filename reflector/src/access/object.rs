//! What a feeder hands to the index: objects under keys, good or broken.

use std::fmt;
use std::sync::Arc;

use crds::peer::ValidPeer;
use crds::{EndpointId, ReflectorPeer};
use jiff::Timestamp;
use serde_json::Value;

use crate::config::nearest;

/// Endpoint IDs a broken object can block. One manifest names one ID; a text that cannot be parsed at all may
/// hold several, and none of them is guessed to be allowed.
pub const MAX_CLAIMS: usize = 1000;

/// Where an object stands in its source. Sorts as people list files: by name, then by place in the file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// File name, or object name in a cluster.
    pub source: Arc<str>,
    /// Number of the document in the file, from 1; 0 in a cluster.
    pub document: u32,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.document {
            0 | 1 => f.write_str(&self.source),
            n => write!(f, "{} (document {n})", self.source),
        }
    }
}

/// An object as the index keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// When it was made, for seniority. A directory leaves it out: there the file name decides.
    pub created: Option<Timestamp>,
    /// Good, or broken with its reason.
    pub peer: Result<ValidPeer, Broken>,
}

/// An object that cannot be used. It denies what it names and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// `metadata.name` where it can be read, else the key.
    pub name: Arc<str>,
    /// Endpoint IDs it names, as far as they can be read.
    pub claims: Vec<EndpointId>,
    /// What is wrong and what to write, in one line.
    pub problem: String,
}

impl Object {
    /// The IDs this object speaks for.
    pub fn claims(&self) -> &[EndpointId] {
        match &self.peer {
            Ok(peer) => peer.endpoint_id.as_slice(),
            Err(broken) => &broken.claims,
        }
    }

    /// Its name, for people.
    pub fn name(&self) -> &str {
        match &self.peer {
            Ok(peer) => &peer.name,
            Err(broken) => &broken.name,
        }
    }
}

/// Reads and checks one object. `fallback` names it when it has no readable name.
pub fn judge(value: &Value, fallback: &str) -> Result<ValidPeer, Broken> {
    let judged = crds::peer::read(value.clone()).and_then(|peer: ReflectorPeer| crds::peer::validate(&peer));
    let mut wrong = Vec::new();
    misspelt("spec", value.get("spec").unwrap_or(&Value::Null), &mut wrong);
    let problems = match judged {
        Ok(peer) if wrong.is_empty() => return Ok(peer),
        Ok(_) => wrong,
        Err(problems) => problems.iter().map(ToString::to_string).chain(wrong).collect(),
    };
    let text = |path: &str| value.pointer(path).and_then(Value::as_str);
    let claims = [text("/spec/endpointId"), text("/status/endpointId")];
    Err(Broken {
        name: text("/metadata/name")
            .unwrap_or(fallback)
            .chars()
            .take(crds::names::MAX_NAME)
            .collect::<String>()
            .into(),
        claims: claims.into_iter().flatten().find_map(|id| id.parse().ok()).into_iter().collect(),
        problem: problems.join("; "),
    })
}

/// Fields that are one of ours but for a slip: `supend: true` would leave a peer in that somebody meant to shut out. kubectl
/// refuses every unknown field; we let pass what looks like nothing we know, because it may be of a newer release.
fn misspelt(at: &str, value: &Value, problems: &mut Vec<String>) {
    for (name, child) in value.as_object().into_iter().flatten() {
        let path = format!("{at}.{name}");
        if crds::peer::fields().any(|field| field == path) {
            misspelt(&path, child, problems);
            continue;
        }
        let siblings = crds::peer::fields()
            .filter_map(|field| field.strip_prefix(at)?.strip_prefix('.'))
            .filter(|field| !field.contains('.'));
        if let Some(near) = nearest(name, siblings) {
            problems.push(format!("{at}.{} is no field: did you mean {near}?", name.escape_debug()));
        }
    }
}

/// Every Endpoint ID that can be read in a text nobody can parse, so that each is denied by name.
pub fn ids_in(text: &str) -> Vec<EndpointId> {
    let mut found = Vec::new();
    for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-') {
        let is_new = |id: &EndpointId| !found.contains(id);
        if let Some(id) = word.parse().ok().filter(is_new) {
            found.push(id);
        }
        if found.len() == MAX_CLAIMS {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{id, peer};
    use super::*;

    #[test]
    fn an_invalid_object_still_names_whom_it_denies() {
        let mut value = peer("attic-pi").endpoint(7).json();
        value["spec"]["quotas"] = serde_json::json!({ "maxStreams": 0 });
        let broken = judge(&value, "a.yaml").unwrap_err();
        assert_eq!((&*broken.name, &broken.claims[..]), ("attic-pi", &[id(7)][..]));
        assert!(broken.problem.contains("spec.quotas.maxStreams cannot be 0"), "{}", broken.problem);
    }

    /// A slip must not leave in whom somebody meant to shut out or limit.
    #[test]
    fn a_field_that_is_nearly_one_of_ours_is_refused_and_one_of_a_newer_release_is_not() {
        let with = |field: &str, value: Value| {
            let mut object = peer("attic-pi").endpoint(7).json();
            object["spec"][field] = value;
            judge(&object, "a.yaml")
        };
        for (field, value, says) in [
            ("supend", true.into(), "spec.supend is no field: did you mean suspend?"),
            ("Suspend", true.into(), "did you mean suspend?"),
            ("expires", "2026-01-01T00:00:00Z".into(), "did you mean expiresAt?"),
            ("quota", serde_json::json!({ "maxStreams": 1 }), "did you mean quotas?"),
            ("quotas", serde_json::json!({ "bytesPerday": "1G" }), "did you mean bytesPerDay?"),
        ] {
            let broken = with(field, value).unwrap_err();
            assert!(broken.problem.contains(says), "{}", broken.problem);
            assert_eq!(broken.claims, [id(7)]);
        }
        for newer in ["somethingNewer", "maintenance", "labels"] {
            assert!(with(newer, true.into()).is_ok(), "{newer}");
        }
    }

    #[test]
    fn an_object_without_a_name_is_called_by_its_key() {
        let mut value = peer("x").endpoint(7).json();
        value["metadata"] = serde_json::json!({});
        assert_eq!(&*judge(&value, "a.yaml").unwrap_err().name, "a.yaml");
    }

    #[test]
    fn ids_are_found_in_a_text_nobody_can_parse() {
        let text = format!("endpointId: {}\n  - }}{{ \"{}\" {}", id(1), id(2).label(), id(1));
        assert_eq!(ids_in(&text), vec![id(1), id(2)]);
    }

    #[test]
    fn claims_of_one_text_are_bounded() {
        let text: String =
            (0..1100u16).map(|n| crate::access::fixtures::numbered(n).to_string() + "\n").collect();
        assert_eq!(ids_in(&text).len(), MAX_CLAIMS);
    }
}
