//! Applications of Argo CD: made for a folder of a repository, refreshed, and waited for.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::repository::{Repository, Revision};
use super::seen::Seen;
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
        self.application_of(manifest(&self.namespace, repository.url(), path)).await
    }

    /// Creates one that is described elsewhere, whatever it is called.
    pub async fn application_of(&self, mut object: Value) -> Result<Application> {
        let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(self.client.clone());
        let namespace = namespaces.get(&self.namespace).await.context("look at the scenario's namespace")?;
        let uid = namespace.metadata.uid.unwrap_or_default();
        object["metadata"]["namespace"] = json!(ARGOCD_NAMESPACE);
        // It has no finalizer: what it made goes with the namespace, and then it goes itself.
        object["metadata"]["ownerReferences"] =
            json!([{ "apiVersion": "v1", "kind": "Namespace", "name": self.namespace, "uid": uid }]);
        let name = object["metadata"]["name"].as_str().context("the application has a name")?.to_owned();
        let application = Application { api: api(self), name };
        let object = serde_json::from_value(object).context("read the application")?;
        application.api.create(&PostParams::default(), &object).await.context("create the application")?;
        Ok(application)
    }
}

fn api(story: &Scenario) -> Api<DynamicObject> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("argoproj.io", "v1alpha1", "Application"));
    Api::namespaced_with(story.client.clone(), ARGOCD_NAMESPACE, &kind)
}

fn manifest(namespace: &str, url: &str, path: &str) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": { "name": namespace },
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

    /// Waits until Argo CD has compared git and the cluster twice more: once may have been under way.
    pub async fn compared(&self) -> Result<()> {
        for _ in 0..2 {
            let before = self.seen().await?.compared_at();
            self.refresh().await?;
            wait_until("Argo CD has compared again", SYNC, async || {
                let seen = self.seen().await?;
                ensure!(seen.compared_at() != before, "{seen}");
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    /// Takes it away. What it made stays.
    pub async fn remove(self) -> Result<()> {
        let removed = self.api.delete(&self.name, &DeleteParams::default()).await;
        removed.context("remove the application").map(drop)
    }

    /// What Argo CD says of it now.
    pub async fn seen(&self) -> Result<Seen> {
        let object = self.api.get(&self.name).await.context("look at the application")?;
        let status = object.data.get("status").cloned().unwrap_or_else(|| json!({}));
        serde_json::from_value(status).context("understand the application's status")
    }
}
