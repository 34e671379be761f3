//! Applications of Argo CD: made for a folder of a repository, refreshed, and waited for.

use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::repository::{Repository, Revision};
use super::story::Scenario;
use super::wait::wait_until;
use crate::bed::ARGOCD_NAMESPACE;

/// A first sync takes fifteen seconds on two idle cores.
const SYNC: Duration = Duration::from_secs(120);
/// Where it looks into git again when somebody sets it.
const REFRESH: &str = "argocd.argoproj.io/refresh";

/// An Application that syncs by itself, prunes, and heals, into the scenario's namespace. It goes with that namespace.
pub struct Application {
    api: Api<DynamicObject>,
    name: String,
}

impl Scenario {
    /// Creates one for a folder of a repository: plain manifests, or a chart.
    pub async fn application(&self, repository: &Repository, path: &str) -> Result<Application> {
        let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(self.client.clone());
        let namespace = namespaces.get(&self.namespace).await.context("look at the scenario's namespace")?;
        let object =
            manifest(&self.namespace, &namespace.metadata.uid.unwrap_or_default(), repository.url(), path);
        let application = Application { api: api(self), name: self.namespace.clone() };
        let object = serde_json::from_value(object).context("read the application")?;
        application.api.create(&PostParams::default(), &object).await.context("create the application")?;
        Ok(application)
    }
}

fn api(story: &Scenario) -> Api<DynamicObject> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("argoproj.io", "v1alpha1", "Application"));
    Api::namespaced_with(story.client.clone(), ARGOCD_NAMESPACE, &kind)
}

fn manifest(namespace: &str, uid: &str, url: &str, path: &str) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {
            "name": namespace,
            "namespace": ARGOCD_NAMESPACE,
            // It has no finalizer: what it made goes with the namespace, and then it goes itself.
            "ownerReferences": [{ "apiVersion": "v1", "kind": "Namespace", "name": namespace, "uid": uid }],
        },
        "spec": {
            "project": "default",
            "source": { "repoURL": url, "path": path, "targetRevision": "main" },
            "destination": { "server": "https://kubernetes.default.svc", "namespace": namespace },
            "syncPolicy": {
                "automated": { "prune": true, "selfHeal": true },
                // It would try five times for minutes, call that Running, and see no new commit meanwhile.
                "retry": { "limit": 0 },
            },
        },
    })
}

impl Application {
    /// Tells Argo CD to look into git now. It does so by itself every few seconds.
    pub async fn refresh(&self) -> Result<()> {
        let patch = json!({ "metadata": { "annotations": { REFRESH: "normal" } } });
        let patched = self.api.patch(&self.name, &PatchParams::default(), &Patch::Merge(patch)).await;
        patched.context("refresh the application").map(drop)
    }

    /// Waits until the cluster is as this revision says, and all of it is healthy.
    pub async fn synced(&self, revision: &Revision) -> Result<()> {
        wait_until(&format!("the application is Synced to {:.7} and Healthy", revision.0), SYNC, async || {
            let seen = self.seen().await?;
            ensure!(seen.is_synced_to(revision), "{seen}");
            Ok(())
        })
        .await
    }

    /// Waits until Argo CD has failed to do what this revision says, and mentions `why`; returns all its words.
    pub async fn failed(&self, revision: &Revision, why: &str) -> Result<String> {
        wait_until(&format!("Argo CD says why it cannot sync {:.7}: {why}", revision.0), SYNC, async || {
            let seen = self.seen().await?;
            let words = seen.failure(revision).filter(|words| words.contains(why));
            words.with_context(|| seen.to_string())
        })
        .await
    }

    /// What Argo CD says of it now.
    pub async fn seen(&self) -> Result<Seen> {
        let object = self.api.get(&self.name).await.context("look at the application")?;
        let status = object.data.get("status").cloned().unwrap_or_else(|| json!({}));
        serde_json::from_value(status).context("understand the application's status")
    }
}

/// The part of an Application's status that scenarios look at.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Seen {
    sync: Sync,
    health: Health,
    conditions: Vec<Condition>,
    operation_state: Operation,
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
    fn is_synced_to(&self, revision: &Revision) -> bool {
        let done = self.operation_state.phase == "Succeeded" || self.operation_state == Operation::default();
        done && self.sync == Sync { status: "Synced".into(), revision: revision.0.clone() }
            && self.health.status == "Healthy"
    }

    /// The words of an operation on this revision that failed, or of a comparison that could not be made.
    fn failure(&self, revision: &Revision) -> Option<String> {
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
        )
    }
}

#[cfg(test)]
mod tests {
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
