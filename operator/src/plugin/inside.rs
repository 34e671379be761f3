//! The reflector's own program in its pod, started by `kubectl exec` with the person's right to that.

use std::process::Command;

use super::args::Global;

/// The reflector in its image.
const PROGRAM: &str = "/reflector";
/// How long kubectl waits for the pod.
const POD: &str = "--pod-running-timeout=15s";

/// What kubectl is told, to have the program do this in a pod.
pub(super) fn words(pod: &str, told: &[&str]) -> Vec<String> {
    let exec = ["exec", POD, pod, "--container", "reflector", "--", PROGRAM];
    exec.iter().chain(told).map(|word| (*word).to_owned()).collect()
}

/// kubectl, which finds the same cluster.
pub(super) fn kubectl(global: &Global, namespace: &str) -> Command {
    let mut kubectl = Command::new("kubectl");
    kubectl.args(whose(global, namespace));
    kubectl
}

fn whose(global: &Global, namespace: &str) -> Vec<String> {
    let mut words = vec!["--namespace".to_owned(), namespace.to_owned()];
    if let Some(context) = &global.context {
        words.extend(["--context".to_owned(), context.clone()]);
    }
    if let Some(file) = &global.kubeconfig {
        words.extend(["--kubeconfig".to_owned(), file.display().to_string()]);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pod_is_asked_in_the_cluster_that_was_meant() {
        let global = Global {
            namespace: None,
            context: Some("lab".into()),
            kubeconfig: Some("/k".into()),
            output: None,
            verbose: false,
        };
        assert_eq!(
            whose(&global, "homes"),
            ["--namespace", "homes", "--context", "lab", "--kubeconfig", "/k"]
        );
        let words = words("rfl-attic-x", &["self-test", "--json"]);
        assert_eq!(words[words.len() - 3..], ["/reflector", "self-test", "--json"]);
    }
}
