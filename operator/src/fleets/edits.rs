//! What somebody else wrote into the spec of a member. Pure.
//!
//! Server-side apply gives back our fields, and leaves theirs where they are; a member that says more than its fleet is
//! not what the fleet says. Only `suspend` is anybody's: taking one member out must not need an edit of the fleet.

use serde_json::{Map, Value};

/// The one field that is left alone.
const THEIRS: &str = "suspend";

/// What a reflector reads while it runs: a change of it takes effect at once and restarts nothing. Whatever is not listed
/// here waits for its turn.
const LIVE: [&str; 6] = ["access", "audit", "quotas", "selfTest", "suspend", "windows"];

/// Whether making one spec of the other restarts the pod.
pub(super) fn restarts(wanted: &Value, there: &Value) -> bool {
    let bootstrap = |spec: &Value| {
        let mut fields = spec.as_object().cloned().unwrap_or_default();
        fields.retain(|field, _| !LIVE.contains(&field.as_str()));
        fields
    };
    bootstrap(wanted) != bootstrap(there)
}

/// Whether a spec says nothing but what it should.
pub(super) fn is_as_written(wanted: &Value, there: &Value) -> bool {
    without_theirs(wanted) == without_theirs(there)
}

/// A merge patch that takes everything out of `there` that is not in `wanted`; none, when there is nothing to take out.
/// What both have with different values is not looked at, lists apart: those were given back before.
pub(super) fn removal(wanted: &Value, there: &Value) -> Option<Value> {
    let patch = below(without_theirs(wanted).as_object()?, without_theirs(there).as_object()?);
    (!patch.is_empty()).then_some(Value::Object(patch))
}

fn below(wanted: &Map<String, Value>, there: &Map<String, Value>) -> Map<String, Value> {
    let mut patch = Map::new();
    for (field, value) in there {
        match (wanted.get(field), value) {
            (None, _) => {
                patch.insert(field.clone(), Value::Null);
            }
            (Some(Value::Object(wanted)), Value::Object(there)) => {
                let inner = below(wanted, there);
                if !inner.is_empty() {
                    patch.insert(field.clone(), Value::Object(inner));
                }
            }
            // A list with entries of others: a merge patch knows only whole ones.
            (Some(Value::Array(wanted)), Value::Array(there)) if wanted != there => {
                patch.insert(field.clone(), Value::Array(wanted.clone()));
            }
            (Some(_), _) => {}
        }
    }
    patch
}

fn without_theirs(spec: &Value) -> Value {
    let mut spec = spec.clone();
    if let Value::Object(fields) = &mut spec {
        fields.shift_remove(THEIRS);
    }
    spec
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_a_reflector_reads_when_it_starts_restarts_it() {
        let there = json!({ "network": { "port": 4000 }, "quotas": { "maxStreams": 3 }, "placement": {} });
        for field in LIVE {
            let mut wanted = there.clone();
            wanted[field] = json!({ "changed": true });
            assert!(!restarts(&wanted, &there) && !restarts(&there, &wanted), "{field}");
        }
        for field in ["image", "identity", "network", "placement", "podTemplate", "resources", "later"] {
            let mut wanted = there.clone();
            wanted[field] = json!({ "changed": true });
            assert!(restarts(&wanted, &there) && restarts(&there, &wanted), "{field}");
        }
    }

    #[test]
    fn only_what_others_added_is_taken_out_and_their_suspend_stays() {
        let wanted = json!({ "quotas": { "maxStreams": 4 }, "network": { "port": 1 }, "env": [1] });
        for (title, there, patch) in [
            ("as written", wanted.clone(), None),
            (
                "suspended",
                json!({ "suspend": true, "quotas": { "maxStreams": 4 }, "network": { "port": 1 }, "env": [1] }),
                None,
            ),
            (
                "a field more",
                json!({ "quotas": { "maxStreams": 4, "testsPerHour": 9 }, "network": { "port": 1 }, "env": [1] }),
                Some(json!({ "quotas": { "testsPerHour": null } })),
            ),
            (
                "a branch more",
                json!({ "quotas": { "maxStreams": 4 }, "network": { "port": 1 }, "env": [1], "audit": { "onFailure": "Deny" } }),
                Some(json!({ "audit": null })),
            ),
            (
                "an entry more",
                json!({ "quotas": { "maxStreams": 4 }, "network": { "port": 1 }, "env": [1, 2] }),
                Some(json!({ "env": [1] })),
            ),
        ] {
            assert_eq!(removal(&wanted, &there), patch, "{title}");
            assert_eq!(is_as_written(&wanted, &there), patch.is_none(), "{title}");
        }
    }

    #[test]
    fn another_value_is_noticed_and_left_to_server_side_apply() {
        let (wanted, there) = (json!({ "network": { "port": 1 } }), json!({ "network": { "port": 2 } }));
        assert!(!is_as_written(&wanted, &there));
        assert_eq!(removal(&wanted, &there), None);
        assert!(!is_as_written(&wanted, &json!({})), "a field was taken away");
    }
}
