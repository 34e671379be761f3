//! `test`: lets a Reflector measure its own host, in its pod.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::answer::Exit;
use super::args::{Format, Global};
use super::cluster::Cluster;
use super::logs;

/// The reflector in its image.
const PROGRAM: &str = "/reflector";
/// How long kubectl waits for the pod; the self-test itself ends within a minute.
const POD: &str = "--pod-running-timeout=15s";

/// Answers as `reflector self-test` does, with its exit codes.
pub(super) async fn run(cluster: &Cluster, reflector: &str, global: &Global) -> Result<Exit> {
    let pod = logs::pod(cluster, reflector).await?;
    let words = words(&pod, global.output)?;
    cluster.stands_for(&words.join(" "));
    // Its streams are ours, and nothing else runs meanwhile.
    let ended = Command::new("kubectl").args(whose(global, &cluster.namespace)).args(&words).status();
    let ended = ended.context("start kubectl, which has to be on PATH")?;
    Ok(match ended.code() {
        Some(0) => Exit::Done,
        Some(2) => Exit::No,
        _ => Exit::Failed,
    })
}

fn words(pod: &str, format: Option<Format>) -> Result<Vec<String>> {
    let mut words = ["exec", POD, pod, "--container", "reflector", "--", PROGRAM, "self-test"]
        .map(str::to_owned)
        .to_vec();
    match format {
        None => {}
        Some(Format::Json) => words.push("--json".to_owned()),
        Some(Format::Yaml) => bail!("a self-test answers in words or as json"),
    }
    Ok(words)
}

/// The same cluster, whoever is asked.
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
            output: Some(Format::Json),
            verbose: false,
        };
        assert_eq!(
            whose(&global, "homes"),
            ["--namespace", "homes", "--context", "lab", "--kubeconfig", "/k"]
        );
        let words = words("rfl-attic-x", Some(Format::Json)).unwrap();
        assert_eq!(words[words.len() - 3..], ["/reflector", "self-test", "--json"]);
        assert!(super::words("p", Some(Format::Yaml)).is_err());
    }
}
