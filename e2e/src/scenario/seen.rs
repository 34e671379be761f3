//! What Argo CD says of an Application. Pure.

use std::fmt;

use super::repository::Revision;

/// The part of an Application's status that scenarios look at.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Seen {
    sync: Sync,
    health: Health,
    conditions: Vec<Condition>,
    operation_state: Operation,
    resources: Vec<Managed>,
    reconciled_at: String,
}

/// An object that git has.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
struct Managed {
    kind: String,
    name: String,
    status: String,
    health: Health,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
struct Sync {
    status: String,
    revision: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
struct Health {
    status: String,
    message: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
struct Condition {
    r#type: String,
    message: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Operation {
    phase: String,
    started_at: String,
    message: String,
    sync_result: SyncResult,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
struct SyncResult {
    revision: String,
    resources: Vec<Resource>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
struct Resource {
    kind: String,
    name: String,
    status: String,
    message: String,
}

impl Seen {
    /// Its health.
    pub fn health(&self) -> &str {
        &self.health.status
    }

    /// The health of one object that git has, and its words.
    pub fn health_of(&self, kind: &str, name: &str) -> Option<(&str, &str)> {
        let found = self.resources.iter().find(|one| one.kind == kind && one.name == name);
        found.map(|one| (one.health.status.as_str(), one.health.message.as_str()))
    }

    /// When the last sync began.
    pub fn sync_began(&self) -> &str {
        &self.operation_state.started_at
    }

    /// When git and the cluster were compared last.
    pub(super) fn compared_at(&self) -> String {
        self.reconciled_at.clone()
    }

    pub(super) fn is_synced_to(&self, revision: &Revision) -> bool {
        let done = self.operation_state.phase == "Succeeded" || self.operation_state == Operation::default();
        done && self.sync == Sync { status: "Synced".into(), revision: revision.0.clone() }
            && self.health.status == "Healthy"
    }

    /// The words of an operation on this revision that failed, or of a comparison that could not be made.
    pub(super) fn failure(&self, revision: &Revision) -> Option<String> {
        let operation = &self.operation_state;
        let failed = matches!(operation.phase.as_str(), "Failed" | "Error");
        if failed && operation.sync_result.revision == revision.0 {
            return Some(self.words());
        }
        self.conditions.iter().any(|one| one.r#type.ends_with("Error")).then(|| self.words())
    }

    /// Everything it says about what went wrong.
    fn words(&self) -> String {
        let conditions = self.conditions.iter().map(|one| format!("{}: {}", one.r#type, one.message));
        let resources = self.operation_state.sync_result.resources.iter();
        let resources = resources.filter(|one| one.status != "Synced" && one.status != "Pruned");
        let resources = resources.map(|one| format!("{} {}: {}", one.kind, one.name, one.message));
        let operation = Some(self.operation_state.message.clone()).filter(|text| !text.is_empty());
        operation.into_iter().chain(resources).chain(conditions).collect::<Vec<_>>().join("; ")
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = |text: &str| if text.is_empty() { "nothing yet".to_owned() } else { text.to_owned() };
        write!(
            f,
            "{} at {:.7}, {}, operation {} ({})",
            said(&self.sync.status),
            said(&self.sync.revision),
            said(&self.health.status),
            said(&self.operation_state.phase),
            self.words()
        )?;
        let well = |one: &&Managed| one.status == "Synced" && matches!(&*one.health.status, "Healthy" | "");
        for one in self.resources.iter().filter(|one| !well(one)) {
            let Managed { kind, name, status, health } = one;
            write!(f, "; {kind} {name} is {status} and {} {}", health.status, health.message)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn seen(status: &Value) -> Seen {
        serde_json::from_value(status.clone()).unwrap()
    }

    fn revision() -> Revision {
        Revision("0123456789".into())
    }

    #[test]
    fn only_synced_and_healthy_at_the_revision_is_synced() {
        let good = json!({
            "sync": { "status": "Synced", "revision": "0123456789", "comparedTo": {} },
            "health": { "status": "Healthy" },
            "operationState": { "phase": "Succeeded", "syncResult": { "revision": "0123456789" } },
        });
        assert!(seen(&good).is_synced_to(&revision()));
        for (pointer, bad) in [
            ("/sync/status", "OutOfSync"),
            ("/sync/revision", "abcdef"),
            ("/health/status", "Progressing"),
            ("/operationState/phase", "Running"),
        ] {
            let mut status = good.clone();
            *status.pointer_mut(pointer).unwrap() = bad.into();
            assert!(!seen(&status).is_synced_to(&revision()), "{pointer}");
        }
        assert!(!seen(&json!({})).is_synced_to(&revision()));
    }

    #[test]
    fn a_failure_has_the_words_of_whoever_refused_and_is_of_its_revision() {
        let failed = json!({
            "operationState": {
                "phase": "Failed",
                "message": "one or more objects failed to apply",
                "syncResult": { "revision": "0123456789", "resources": [
                    { "kind": "ConfigMap", "name": "good", "status": "Synced", "message": "created" },
                    { "kind": "Service", "name": "bad", "status": "SyncFailed", "message": "port is required" },
                ] },
            },
            "conditions": [{ "type": "SyncError", "message": "failed last sync" }],
        });
        let words = seen(&failed).failure(&revision()).unwrap();
        assert_eq!(
            words,
            "one or more objects failed to apply; Service bad: port is required; SyncError: failed last sync"
        );
        let mut earlier = failed.clone();
        earlier["operationState"]["syncResult"]["revision"] = "abcdef".into();
        earlier["conditions"] = json!([]);
        assert_eq!(seen(&earlier).failure(&revision()), None);
        assert!(
            seen(&earlier).to_string().starts_with("nothing yet at nothing, nothing yet, operation Failed")
        );
    }
}
