//! Pods of scenarios: built from as little as they differ in, and waited for.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};

use super::story::Scenario;
use super::wait::{MINUTE, wait_until};
use crate::bed::BUSYBOX;

/// A pod that runs a shell script in busybox, as restricted as a reflector's: not root, nothing writable, no rights.
/// `more` is laid over its spec.
pub fn busybox(name: &str, script: &str, more: &Value) -> Value {
    let mut spec = json!({
        "terminationGracePeriodSeconds": 2,
        "automountServiceAccountToken": false,
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        "containers": [{
            "name": "main",
            "image": BUSYBOX,
            "imagePullPolicy": "Never",
            "command": ["/bin/sh", "-c", script],
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": { "drop": ["ALL"] },
            },
        }],
    });
    overlay(&mut spec, more);
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "labels": { "app": name } }, "spec": spec })
}

/// Objects are merged, lists element by element, everything else is replaced.
fn overlay(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                overlay(under.entry(key).or_insert(Value::Null), value);
            }
        }
        (Value::Array(under), Value::Array(over)) => {
            for (index, value) in over.iter().enumerate() {
                match under.get_mut(index) {
                    Some(place) => overlay(place, value),
                    None => under.push(value.clone()),
                }
            }
        }
        (under, over) => *under = over.clone(),
    }
}

/// What scenarios do with pods and their disks.
#[expect(async_fn_in_trait, reason = "an extension of one type; nobody else implements it")]
pub trait Pods {
    /// Asks the default class for a small disk.
    async fn create_claim(&self, name: &str) -> Result<()>;
    /// Creates it.
    async fn create_pod(&self, pod: &Value) -> Result<()>;
    /// Waits until its containers are ready, and shows it.
    async fn ready_pod(&self, name: &str) -> Result<Pod>;
    /// Waits until it has ended well, and shows what it printed.
    async fn ended_pod(&self, name: &str) -> Result<String>;
    /// Deletes it and waits until it is gone.
    async fn delete_pod(&self, name: &str) -> Result<()>;
}

impl Pods for Scenario {
    async fn create_claim(&self, name: &str) -> Result<()> {
        let claim: PersistentVolumeClaim = serde_json::from_value(json!({
            "metadata": { "name": name },
            "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "16Mi" } } },
        }))
        .context("read the claim")?;
        let claims = self.api::<PersistentVolumeClaim>();
        claims.create(&PostParams::default(), &claim).await.context("create the claim")?;
        Ok(())
    }

    async fn create_pod(&self, pod: &Value) -> Result<()> {
        let pod: Pod = serde_json::from_value(pod.clone()).context("read the pod")?;
        self.api::<Pod>().create(&PostParams::default(), &pod).await.context("create the pod")?;
        Ok(())
    }

    async fn ready_pod(&self, name: &str) -> Result<Pod> {
        let pods = self.api::<Pod>();
        wait_until(&format!("the pod {name} is ready"), MINUTE, async || {
            let pod = pods.get(name).await?;
            ensure!(is_ready(&pod), "{}", describe(&pod));
            Ok(pod)
        })
        .await
    }

    async fn ended_pod(&self, name: &str) -> Result<String> {
        let pods = self.api::<Pod>();
        wait_until(&format!("the pod {name} has done its work"), MINUTE, async || {
            let pod = pods.get(name).await?;
            ensure!(phase(&pod) == "Succeeded", "{}", describe(&pod));
            Ok(())
        })
        .await?;
        self.kubectl(["logs", name]).await
    }

    async fn delete_pod(&self, name: &str) -> Result<()> {
        let pods = self.api::<Pod>();
        pods.delete(name, &DeleteParams::default()).await.context("delete the pod")?;
        wait_until(&format!("the pod {name} is gone"), MINUTE, async || {
            ensure!(pods.get_opt(name).await?.is_none(), "it is still there");
            Ok(())
        })
        .await
    }
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("unknown")
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|one| one.type_ == "Ready" && one.status == "True")
}

/// The phase, and what stands in the way of more.
fn describe(pod: &Pod) -> String {
    let Some(status) = &pod.status else { return "no status yet".to_owned() };
    let containers =
        status.container_statuses.iter().flatten().filter_map(|container| container.state.as_ref());
    let reasons = containers.filter_map(|state| {
        let waiting = state.waiting.as_ref().map(|why| (&why.reason, &why.message));
        waiting.or_else(|| state.terminated.as_ref().map(|why| (&why.reason, &why.message)))
    });
    let reasons = reasons.flat_map(|(reason, message)| [reason, message]).flatten();
    // An unscheduled pod has no containers; its conditions say why.
    let conditions = status.conditions.iter().flatten().filter(|one| one.status == "False");
    let reasons = reasons.chain(conditions.filter_map(|one| one.message.as_ref()));
    // A kubelet that refuses a pod says so here.
    let all: Vec<&str> = reasons.chain(&status.message).map(String::as_str).collect();
    format!("phase {} ({})", phase(pod), all.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_laid_over_a_pod_keeps_its_restrictions() {
        let more = json!({ "hostNetwork": true, "containers": [{ "ports": [{ "containerPort": 7 }] }] });
        let pod = busybox("p", "true", &more);
        let spec = &pod["spec"];
        assert_eq!(spec["hostNetwork"], true);
        assert_eq!(spec["containers"][0]["ports"][0]["containerPort"], 7);
        assert_eq!(spec["containers"][0]["securityContext"]["readOnlyRootFilesystem"], true);
        assert_eq!(spec["securityContext"]["runAsNonRoot"], true);
    }
}
