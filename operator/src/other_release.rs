//! An object of another release than ours: one that cannot be read, or whose definition in the cluster lacks what we
//! write. Said in its status, by name, which is otherwise left as it is.

use crds::reasons::{ReflectorReason as Reason, cut, message};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time};
use kube::api::{ApiResource, DynamicObject};
use kube::{Api, Resource};
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use crate::clock::{self, Now};
use crate::metrics::Kind;
use crate::shared::Shared;
use crate::writing;

/// Longest words of a parser or of the API server in a condition: they may quote what was typed.
const MAX_WORDS: usize = 300;
/// kube tries again for minutes.
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(10);

/// What the operator owns of a kind's status. Server-side apply takes away what is left out, so what was granted is
/// said again, word for word.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OurPart {
    /// Whole fields.
    pub(crate) fields: &'static [&'static str],
    /// Lists of which only the `name` of each entry is ours.
    pub(crate) lists: &'static [&'static str],
    /// Conditions besides `Ready`, `Reconciling` and `Stalled`.
    pub(crate) conditions: &'static [&'static str],
}

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Words {
    reason: Reason,
    message: String,
}

impl Words {
    /// It cannot be read. `error` is the parser's.
    pub(crate) fn unread(error: &str) -> Self {
        let message = format!("It cannot be read by this release: {error}");
        Self { reason: Reason::InvalidSpec, message: cut(&message, MAX_WORDS).to_owned() }
    }

    /// Our status of it was refused, because the definition lacks a field. `server` names it.
    pub(crate) fn outdated(server: &str) -> Self {
        let reason = Reason::DefinitionsOutdated;
        let message = message(reason.explanation(), cut(server, MAX_WORDS), reason.remedy());
        Self { reason, message }
    }
}

/// It was not said.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("read {kind} {name} as it is")]
    Read {
        kind: &'static str,
        name: String,
        #[source]
        source: Box<kube::Error>,
    },
    #[error("read {kind} {name} as it is: no answer from the API server within {} s", DEADLINE.as_secs())]
    NoAnswer { kind: &'static str, name: String },
    #[error(transparent)]
    Write(#[from] writing::Error),
}

/// Says it once: what is said already is not said again.
pub(crate) async fn say<K>(
    kind: Kind,
    metadata: &ObjectMeta,
    words: &Words,
    part: &OurPart,
    shared: &Shared,
) -> Result<(), Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    let name = metadata.name.clone().unwrap_or_default();
    let namespace = metadata.namespace.clone().unwrap_or_default();
    let resource = ApiResource::erase::<K>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(shared.client.clone(), &namespace, &resource);
    let kind_name = kind.value();
    let there = match timeout(DEADLINE, api.get_opt(&name)).await {
        Ok(Ok(Some(there))) => there,
        Ok(Ok(None)) => return Ok(()),
        Ok(Err(source)) => return Err(Error::Read { kind: kind_name, name, source: Box::new(source) }),
        Err(_) => return Err(Error::NoAnswer { kind: kind_name, name }),
    };
    if let Some(status) = status(&there, words, part, clock::now()) {
        shared.writer.apply_raw_status(kind, &api, &there, &status).await?;
    }
    Ok(())
}

/// What to write; nothing, when it is there already. Pure.
fn status(object: &DynamicObject, words: &Words, part: &OurPart, now: Now) -> Option<Value> {
    let generation = object.metadata.generation;
    let (reason, message) = (words.reason.as_str(), &words.message);
    let before = object.data.get("status").cloned().unwrap_or_default();
    let conditions = before.get("conditions").and_then(Value::as_array).cloned().unwrap_or_default();
    let find = |type_: &str| conditions.iter().find(|condition| condition["type"] == type_);
    let said = find("Ready").is_some_and(|ready| {
        ready["reason"] == reason
            && ready["message"] == **message
            && ready["observedGeneration"] == json!(generation)
    });
    if said {
        return None;
    }
    let condition = |type_: &str, status: &str| {
        let old = find(type_).filter(|old| old["status"] == status);
        let since = old.and_then(|old| serde_json::from_value(old["lastTransitionTime"].clone()).ok());
        json!(Condition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: message.clone(),
            observed_generation: generation,
            last_transition_time: since.unwrap_or(Time(now.wall)),
        })
    };
    let kept = part.conditions.iter().filter_map(|type_| find(type_).cloned());
    let ours: Vec<Value> =
        [condition("Ready", "False"), condition("Stalled", "True")].into_iter().chain(kept).collect();
    let mut status = Map::from_iter([
        ("observedGeneration".to_owned(), json!(generation)),
        ("conditions".to_owned(), Value::Array(ours)),
    ]);
    for field in part.fields {
        if let Some(value) = before.get(field) {
            status.insert((*field).to_owned(), value.clone());
        }
    }
    for list in part.lists {
        if let Some(entries) = before.get(list).and_then(Value::as_array) {
            let names = entries.iter().map(|entry| json!({ "name": entry["name"] })).collect();
            status.insert((*list).to_owned(), Value::Array(names));
        }
    }
    Some(Value::Object(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PART: OurPart =
        OurPart { fields: &["endpointId", "pairing"], lists: &["reflectors"], conditions: &["Paired"] };

    fn object(status: &Value) -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "K", "metadata": { "name": "a", "generation": 2 },
            "spec": 7, "status": status,
        }))
        .unwrap()
    }

    fn at(second: i64) -> Now {
        Now { mono_ms: 0, wall: jiff::Timestamp::from_second(second).unwrap() }
    }

    #[test]
    fn what_is_said_already_is_not_said_again() {
        let first = status(&object(&json!({})), &Words::unread("m"), &PART, at(1)).unwrap();
        assert_eq!(status(&object(&first), &Words::unread("m"), &PART, at(2)), None);
        let second = status(&object(&first), &Words::unread("n"), &PART, at(2)).unwrap();
        assert_eq!(second["conditions"][0]["message"], "It cannot be read by this release: n");
        assert_eq!(
            second["conditions"][0]["lastTransitionTime"], "1970-01-01T00:00:01Z",
            "it was not ready before"
        );
    }

    #[test]
    fn older_definitions_are_named_with_the_field_they_lack_and_the_remedy() {
        let words =
            Words::outdated("apply the status of Reflector a: .status.peers: field not declared in schema");
        let said = status(&object(&json!({ "endpointId": "PP-X" })), &words, &PART, at(1)).unwrap();
        assert_eq!(said["endpointId"], "PP-X");
        let [ready, stalled] = [0, 1].map(|number| &said["conditions"][number]);
        assert_eq!((&ready["status"], &ready["reason"]), (&json!("False"), &json!("DefinitionsOutdated")));
        assert_eq!((&stalled["type"], &stalled["status"]), (&json!("Stalled"), &json!("True")));
        let message = ready["message"].as_str().unwrap();
        assert!(message.contains(".status.peers") && message.contains("Apply the definitions"), "{message}");
    }

    #[test]
    fn what_was_granted_is_kept_and_what_others_wrote_is_not_taken() {
        let before = json!({
            "endpointId": "PP-X",
            "lastSeen": "2026-01-02T00:00:00Z",
            "reflectors": [{ "name": "attic", "loadedGeneration": 1 }],
            "conditions": [
                { "type": "Ready", "status": "True", "reason": "Authorized", "message": "", "lastTransitionTime": "1970-01-01T00:00:00Z" },
                { "type": "Paired", "status": "True", "reason": "Bound", "message": "", "lastTransitionTime": "1970-01-01T00:00:00Z" },
                { "type": "QuotaAvailable", "status": "True", "reason": "QuotaLeft", "message": "", "lastTransitionTime": "1970-01-01T00:00:00Z" },
            ],
        });
        let after = status(&object(&before), &Words::unread("m"), &PART, at(1)).unwrap();
        assert_eq!(after["endpointId"], "PP-X");
        assert_eq!(after["reflectors"], json!([{ "name": "attic" }]));
        assert!(after.get("lastSeen").is_none() && after.get("pairing").is_none());
        let types: Vec<&str> =
            after["conditions"].as_array().unwrap().iter().map(|one| one["type"].as_str().unwrap()).collect();
        assert_eq!(types, ["Ready", "Stalled", "Paired"]);
        assert_eq!(
            after["conditions"][0]["lastTransitionTime"], "1970-01-01T00:00:01Z",
            "it was ready until now"
        );
    }
}
