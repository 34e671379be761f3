//! The little the bed itself asks of its API server, through kubectl.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::{interval, timeout};

use super::cgroups::Cgroups;
use super::layout::{Host, Layout, Member};
use super::pki;
use super::programs::Programs;

/// How long Kubernetes may take to see a node change.
const SEEN: Duration = Duration::from_secs(90);
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// For a request that waits for nothing.
const REQUEST: Duration = Duration::from_secs(30);

/// What Kubernetes should think of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    Ready,
    Lost,
}

/// Creates objects, or makes them so.
pub(super) async fn apply(layout: &Layout, programs: &Programs, objects: &Value) -> Result<()> {
    let words = ["apply", "--server-side", "--field-manager=bed", "--filename=-"];
    kubectl(layout, programs, &words, &objects.to_string(), REQUEST).await.map(drop)
}

/// Creates what the files of a folder say. Whoever changes a setting later is another manager, and owns only what they
/// changed.
pub(super) async fn install(
    layout: &Layout,
    programs: &Programs,
    namespace: &str,
    folder: &Path,
) -> Result<()> {
    let folder = format!("--filename={}", folder.display());
    let namespace = format!("--namespace={namespace}");
    let apply = ["apply", "--server-side", "--field-manager=installer", &namespace, &folder];
    kubectl(layout, programs, &apply, "", REQUEST).await.map(drop)
}

/// Has nothing scheduled on a node. A pod that names it runs there all the same.
pub(super) async fn cordon(layout: &Layout, programs: &Programs, node: &Member) -> Result<()> {
    let object = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": { "name": node.name },
        "spec": { "unschedulable": true },
    });
    apply(layout, programs, &object).await.with_context(|| format!("keep {} free", node.name))
}

/// Waits until the API answers there: a new kind takes a moment. (`kubectl wait` gives up on one that has no conditions yet.)
pub(super) async fn served(layout: &Layout, programs: &Programs, path: &str) -> Result<()> {
    let mut tick = interval(LOOK_AGAIN);
    let wait = async {
        loop {
            tick.tick().await;
            match kubectl(layout, programs, &["get", "--raw", path], "", REQUEST).await {
                Err(error) if format!("{error:#}").contains("NotFound") => {}
                answer => return answer.map(drop),
            }
        }
    };
    timeout(SEEN, wait).await.with_context(|| format!("the API does not serve {path} after {SEEN:?}"))?
}

/// Waits until Kubernetes thinks so.
pub(super) async fn node_is(layout: &Layout, programs: &Programs, node: &Member, seen: Seen) -> Result<()> {
    let object = format!("node/{}", node.name);
    let patience = format!("--timeout={}s", SEEN.as_secs());
    let condition = match seen {
        Seen::Ready => "--for=condition=Ready",
        Seen::Lost => "--for=condition=Ready=Unknown",
    };
    let wait = async |condition: &str| {
        kubectl(layout, programs, &["wait", &object, condition, &patience], "", SEEN + REQUEST).await
    };
    wait("--for=create").await?;
    wait(condition).await.map(drop).with_context(|| format!("wait until {} is {seen:?}", node.name))
}

async fn kubectl(
    layout: &Layout,
    programs: &Programs,
    words: &[&str],
    input: &str,
    deadline: Duration,
) -> Result<String> {
    // Whoever waits here may be killed; what waits for it must go with the bed.
    let mut enter = Cgroups::find()?.enter(&Host::Control).into_iter();
    let mut command = Command::new(enter.next().unwrap_or_default());
    command
        .args(enter)
        .arg(programs.tool("kubectl"))
        .arg("--kubeconfig")
        .arg(layout.kubeconfig(pki::ADMIN))
        .args(words);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().context("start kubectl")?;
    let mut stdin = child.stdin.take().context("write to kubectl")?;
    let talk = async {
        stdin.write_all(input.as_bytes()).await?;
        drop(stdin);
        child.wait_with_output().await
    };
    let output = timeout(deadline, talk).await.context("kubectl hangs")?.context("talk to kubectl")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "kubectl {} says: {}", words.join(" "), said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
