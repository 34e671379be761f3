//! `kubectl reflector` as a person uses it, started by kubectl, with the operator beside it.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use crds::{Reflector, ReflectorPeer};
use e2e::scenario::{MINUTE, Scenario, scenario, wait_until};
use kube::ResourceExt as _;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::timeout;

use super::pairing::acting::{Pod, appliance};
use super::running::{Operator, built, image_on};
use super::{create, reflector, says};
use crate::chart;
use crate::crds::install;

/// What it printed, what it complained of, and how it ended.
pub(super) struct Ended {
    pub(super) out: String,
    pub(super) err: String,
    pub(super) code: Option<i32>,
}

impl Ended {
    fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.out).with_context(|| format!("read JSON: {}{}", self.out, self.err))
    }
}

/// Starts it as kubectl does: by its name on the PATH.
pub(super) async fn plugin(story: &Scenario, words: &[&str]) -> Result<Ended> {
    plugin_as(story, &story.bed.kubeconfig(), words).await
}

/// The same for somebody else.
pub(super) async fn plugin_as(story: &Scenario, kubeconfig: &Path, words: &[&str]) -> Result<Ended> {
    let program = built("operator", "kubectl-reflector").await?;
    let folder = program.parent().context("find its folder")?;
    let path = std::env::join_paths([folder, story.bed.tools()])?;
    let mut kubectl = Command::new(story.bed.tools().join("kubectl"));
    kubectl.arg("reflector").args(words).args(["--namespace", &story.namespace]);
    kubectl.env("PATH", path).env("KUBECONFIG", kubeconfig);
    let output = kubectl.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(2 * MINUTE, output).await.context("it did not end")??;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Ended { out: text(output.stdout), err: text(output.stderr), code: output.status.code() })
}

/// The claim of an appliance, as soon as a code waits.
async fn present(story: &Scenario, peer: &str, byte: u8) -> Result<()> {
    let shown = plugin(story, &["pair", peer, "-o", "json"]).await?.json()?;
    let code = shown["code"].as_str().with_context(|| format!("{shown} has no code"))?;
    let peer: ReflectorPeer = story.api().get(peer).await?;
    Pod::attic(story).await?.claims(&peer, code, appliance(byte)).await
}

/// X3, X9: pairing, explanation, export and revocation by hand.
#[tokio::test]
async fn a_person_pairs_looks_exports_and_revokes() {
    scenario("plugin", async |story: &mut Scenario| {
        install(story).await?;
        let operator = Operator::start(story, &[]).await?;
        create(story, &reflector("attic", "node-1", 15500, &json!({}))).await?;

        let shown = plugin(story, &["pair", "den", "--ttl", "5m", "--verbose"]).await?;
        ensure!(shown.code == Some(0) && shown.out.contains("Code for den"), "{}{}", shown.out, shown.err);
        ensure!(shown.err.contains("+ kubectl --namespace") && shown.err.contains("create"), "{}", shown.err);
        let peer: ReflectorPeer = story.api().get("den").await?;
        let managers = peer.managed_fields();
        ensure!(
            managers.iter().any(|one| one.manager.as_deref() == Some("packetparamedic-cli")),
            "{managers:?}"
        );

        let waits = plugin(story, &["pair", "den", "--wait", "-o", "json"]);
        let (ended, presented) = tokio::join!(waits, present(story, "den", 1));
        presented?;
        let ended = ended?;
        ensure!(ended.code == Some(0), "{}{}", ended.out, ended.err);
        ensure!(ended.json()?["endpointId"] == appliance(1).to_string(), "{}", ended.out);

        let why = plugin(story, &["why", "den"]).await?.out;
        ensure!(why.contains("NotLoaded") && why.contains("has not loaded it yet"), "{why}");
        let status = plugin(story, &["status"]).await?;
        ensure!(status.code == Some(2) && status.out.contains("peer den"), "{}{}", status.out, status.err);
        let peers = plugin(story, &["peers"]).await?.out;
        ensure!(peers.contains(&appliance(1).short()), "{peers}");
        let export = plugin(story, &["export"]).await?.out;
        ensure!(export.contains(&format!("endpointId: {}", appliance(1))), "{export}");
        let report = plugin(story, &["report"]).await?;
        ensure!(report.code == Some(0) && report.out.contains("=== pods"), "{}{}", report.out, report.err);
        ensure!(!report.out.contains("kind: Secret"), "it read a Secret");

        // The pod enforces it; this is what it writes.
        let enforce = async {
            let generation = wait_until("den is suspended", MINUTE, async || {
                let peer: ReflectorPeer = story.api().get("den").await?;
                ensure!(peer.spec.suspend == Some(true), "not yet");
                peer.metadata.generation.context("its generation")
            })
            .await?;
            let revocation = json!({ "enforcedAt": "2026-01-02T00:00:00Z", "latencyMs": 3.5 });
            let entry = json!({
                "loadedGeneration": generation, "loadedEndpointId": appliance(1), "revocation": revocation,
            });
            Pod::attic(story).await?.says("den", &entry).await
        };
        let (revoked, enforced) = tokio::join!(plugin(story, &["revoke", "den"]), enforce);
        enforced?;
        let revoked = revoked?;
        ensure!(revoked.code == Some(0), "{}{}", revoked.out, revoked.err);
        ensure!(revoked.out.contains("den is shut out") && revoked.out.contains("3.5 ms"), "{}", revoked.out);
        operator.end().await
    })
    .await;
}

/// X9
#[tokio::test]
async fn a_person_approves_what_the_appliance_shows_and_git_is_not_overruled() {
    scenario("plugin-manual", async |story: &mut Scenario| {
        install(story).await?;
        let operator = Operator::start(story, &[]).await?;
        let manual = json!({ "access": { "approval": "Manual" } });
        create(story, &reflector("attic", "node-2", 15600, &manual)).await?;
        let shown = plugin(story, &["pair", "den"]).await?;
        ensure!(shown.code == Some(0), "{}{}", shown.out, shown.err);
        let waits = plugin(story, &["pair", "den", "--wait"]);
        let (ended, presented) = tokio::join!(waits, present(story, "den", 1));
        presented?;
        let ended = ended?;
        ensure!(
            ended.code == Some(3) && ended.out.contains(&appliance(1).confirm()),
            "{}{}",
            ended.out,
            ended.err
        );

        let other = appliance(2).confirm();
        let wrong = plugin(story, &["approve", "den", "--confirm", &other]).await?;
        ensure!(wrong.code == Some(1) && wrong.err.contains(&appliance(1).confirm()), "{}", wrong.err);
        let right = plugin(story, &["approve", "den", "--confirm", &appliance(1).confirm()]).await?;
        ensure!(right.code == Some(0), "{}", right.err);
        let peer: ReflectorPeer = story.api().get("den").await?;
        ensure!(peer.spec.endpoint_id == Some(appliance(1).to_string()), "{:?}", peer.spec);

        story.kubectl(["label", "reflectorpeer", "den", "kustomize.toolkit.fluxcd.io/name=homes"]).await?;
        let refused = plugin(story, &["revoke", "den", "--timeout", "1s"]).await?;
        ensure!(refused.code == Some(1) && refused.err.contains("Flux"), "{}", refused.err);
        let peer: ReflectorPeer = story.api().get("den").await?;
        ensure!(peer.spec.suspend.is_none(), "it was edited");
        let forced = plugin(story, &["revoke", "den", "--force", "--timeout", "1s"]).await?;
        ensure!(matches!(forced.code, Some(0 | 2)), "{}", forced.err);
        let peer: ReflectorPeer = story.api().get("den").await?;
        ensure!(peer.spec.suspend == Some(true), "it was not edited");
        operator.end().await
    })
    .await;
}

/// F1, F7: what only a pod that runs can answer.
#[tokio::test]
async fn a_person_reads_logs_tests_the_host_and_drains_a_reflector_that_runs() {
    scenario("plugin-pod", async |story: &mut Scenario| {
        install(story).await?;
        chart::apply(story, &["templates/access/endpoint.yaml"]).await?;
        image_on(story, "node-2", "plugin").await?;
        let operator = Operator::start(story, &[]).await?;
        let mut more = json!({ "image": { "tag": "plugin", "pullPolicy": "Never" } });
        create(story, &reflector("attic", "node-2", 15700, &more)).await?;
        says(story, "attic", "Ready", "True", "Serving").await?;
        built("reflector", "reflector").await?;

        let status = plugin(story, &["status", "attic"]).await?;
        ensure!(
            status.code == Some(0) && status.out.contains("Ready (Serving)"),
            "{}{}",
            status.out,
            status.err
        );
        let logs = plugin(story, &["logs", "attic", "--tail", "5"]).await?;
        ensure!(logs.code == Some(0) && !logs.out.is_empty(), "{}{}", logs.out, logs.err);
        let test = plugin(story, &["test", "attic", "-o", "json"]).await?;
        ensure!(matches!(test.code, Some(0 | 2)), "{}{}", test.out, test.err);
        ensure!(test.json()?.get("verdict").is_some(), "{}", test.out);

        let drained = plugin(story, &["drain", "attic", "--timeout", "1m"]).await?;
        ensure!(
            drained.code == Some(0) && drained.out.contains("is drained"),
            "{}{}",
            drained.out,
            drained.err
        );
        says(story, "attic", "Ready", "False", "Suspended").await?;
        let undone = plugin(story, &["drain", "attic", "--undo"]).await?;
        ensure!(undone.code == Some(0), "{}", undone.err);
        says(story, "attic", "Ready", "True", "Serving").await?;

        // Nobody paired this machine, and the client says so with its own exit code.
        let here = plugin(story, &["test", "attic", "--from-here", "--verbose"]).await?;
        ensure!(
            here.code == Some(2) && here.err.contains("+ reflector test PP-"),
            "{}{}",
            here.out,
            here.err
        );

        let exported = plugin(story, &["export", "--identities"]).await?;
        ensure!(exported.code == Some(0), "{}{}", exported.out, exported.err);
        ensure!(
            exported.out.starts_with("# PRIVATE KEYS.") && exported.err.contains("private keys"),
            "no warning"
        );
        let id = endpoint_id(story, "attic").await?;
        let folder = tempfile::tempdir().context("make a folder for the key")?;
        let file = folder.path().join("identities.yaml");
        std::fs::write(&file, &exported.out).context("keep the key")?;
        let report = plugin(story, &["report"]).await?.out;
        let key = exported.out.split("identity.ed25519: ").nth(1).context("it has no key")?;
        ensure!(!report.contains(key.trim()), "the report has the key");

        story.kubectl(["delete", "reflector", "attic", "--wait"]).await?;
        story.kubectl(["delete", "persistentvolumeclaim", "rfl-attic-identity", "--wait=false"]).await?;
        story.kubectl(["apply", "--filename", &file.display().to_string()]).await?;
        more["identity"] = json!({ "importSecretRef": { "name": "attic-identity" } });
        create(story, &reflector("moved", "node-2", 15720, &more)).await?;
        says(story, "moved", "Ready", "True", "Serving").await?;
        ensure!(endpoint_id(story, "moved").await? == id, "another key serves");
        operator.end().await
    })
    .await;
}

async fn endpoint_id(story: &Scenario, name: &str) -> Result<String> {
    let status = story.api::<Reflector>().get(name).await?.status.context("it has no status")?;
    status.endpoint_id.context("it has no Endpoint ID")
}
