//! What is kept of a scenario that failed: its objects, events and logs, and the logs of the bed's components.

use std::fs;
use std::path::{Path, PathBuf};

use super::story::Scenario;
use crate::bed::ARGOCD_NAMESPACE;

/// What a story, or the software it is about, makes in its namespace.
const OBJECTS: &str = "pods,services,endpointslices,deployments,replicasets,statefulsets,daemonsets,jobs,\
    persistentvolumeclaims,configmaps,leases";
/// What kubectl is asked, and the file of the answer.
const QUESTIONS: [(&str, &[&str]); 5] = [
    ("objects.yaml", &["get", OBJECTS, "--output=yaml"]),
    ("events.txt", &["get", "events", "--sort-by=.lastTimestamp"]),
    ("pods.txt", &["describe", "pods"]),
    ("nodes.txt", &["describe", "nodes"]),
    ("volumes.yaml", &["get", "persistentvolumes", "--output=yaml"]),
];

/// Writes what there is to see into a folder of the scenario's name, logs of components first: they are there
/// whatever is broken. What cannot be had is said in its file.
pub(super) async fn keep(name: &str, scenario: &Scenario) -> PathBuf {
    let folder = folder(name);
    // Best effort throughout: the failure that led here is what counts.
    let _ = fs::remove_dir_all(&folder);
    let _ = fs::create_dir_all(&folder);
    for component in scenario.bed.names() {
        let _ = fs::copy(scenario.bed.layout().log(component), folder.join(format!("bed-{component}.log")));
    }
    // One that stands still would let every question wait for as long as it may.
    let ready = scenario.kubectl(["get", "--raw=/readyz", "--request-timeout=5s"]).await;
    if ready.is_err() {
        put(&folder, "api-server.txt", ready);
        return folder;
    }
    for (file, words) in QUESTIONS {
        put(&folder, file, scenario.kubectl(words).await);
    }
    if scenario.bed.argocd().is_some() {
        let words = ["get", "applications.argoproj.io", &scenario.namespace, "--output=yaml"];
        // The later of two namespaces counts.
        let there = format!("--namespace={ARGOCD_NAMESPACE}");
        let application = scenario.kubectl(words.into_iter().chain([there.as_str()])).await;
        put(&folder, "application.yaml", application);
    }
    let pods = scenario.kubectl(["get", "pods", "--output=name"]).await.unwrap_or_default();
    for pod in pods.lines().filter_map(|line| line.strip_prefix("pod/")) {
        let log = scenario.kubectl(["logs", pod, "--all-containers", "--prefix"]).await;
        put(&folder, &format!("pod-{pod}.log"), log);
        // Only what was started again has one.
        let before = scenario.kubectl(["logs", pod, "--all-containers", "--prefix", "--previous"]).await;
        if before.is_ok() {
            put(&folder, &format!("pod-{pod}.previous.log"), before);
        }
    }
    folder
}

fn put(folder: &Path, file: &str, text: anyhow::Result<String>) {
    let text = text.unwrap_or_else(|error| format!("could not be had: {error:#}\n"));
    let _ = fs::write(folder.join(file), text);
}

#[expect(clippy::disallowed_methods, reason = "cargo says where its target folder is")]
fn folder(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir));
    target.join("scenarios").join(name)
}
