//! What lies in `deploy/`: samples that still apply, health as Argo CD judges it, and values that the chart knows.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use e2e::scenario::{Scenario, scenario, scenario_with_argocd};
use serde_json::Value;

use crate::chart;
use crate::crds::install;

const HEALTH: &str = "argocd/resource_customizations/packetparamedic.io";
const KINDS: [&str; 3] = ["Reflector", "ReflectorPeer", "ReflectorFleet"];

fn deploy(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(path)
}

fn text(path: &str) -> Result<String> {
    std::fs::read_to_string(deploy(path)).with_context(|| format!("read deploy/{path}"))
}

/// The last document of a file.
fn last(path: &str) -> Result<Value> {
    let text = text(path)?;
    let document = text.rsplit("\n---\n").next().unwrap_or_default();
    serde_yaml::from_str(document).with_context(|| format!("understand deploy/{path}"))
}

#[tokio::test]
async fn every_sample_applies_and_a_second_time_changes_nothing() {
    scenario("deploy-samples", async |story: &mut Scenario| {
        install(story).await?;
        let mut applied = 0;
        for entry in std::fs::read_dir(deploy("samples"))? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).context("read its name")?.to_owned();
            let sample = std::fs::read_to_string(&path)?;
            // Flux and Argo CD would fight with whoever sets it by hand.
            ensure!(!sample.contains("suspend:"), "{name} says suspend");
            if name == "namespace.yaml" {
                let said = chart::kubectl(story, &["apply", "--dry-run=server"], &sample).await?;
                ensure!(said.contains("namespace/reflectors"), "{said}");
                continue;
            }
            let sample = sample.replace("namespace: reflectors", &format!("namespace: {}", story.namespace));
            let apply = ["apply", "--server-side", "--warnings-as-errors"];
            chart::kubectl(story, &apply, &sample).await.with_context(|| name.clone())?;
            let before = resource_versions(story).await?;
            chart::kubectl(story, &apply, &sample).await.with_context(|| name.clone())?;
            let after = resource_versions(story).await?;
            ensure!(before == after, "{name} changes again:\n{before}\n{after}");
            applied += 1;
        }
        ensure!(applied >= 5, "only {applied} samples");
        Ok(())
    })
    .await;
}

async fn resource_versions(story: &Scenario) -> Result<String> {
    let columns = "--output=custom-columns=KIND:.kind,NAME:.metadata.name,VERSION:.metadata.resourceVersion";
    story.kubectl(["get", "packetparamedic", columns]).await
}

/// Flux, Argo CD and k3s each have the values in another place.
#[tokio::test]
async fn the_values_of_every_example_are_those_of_the_chart() {
    scenario("deploy-values", async |story: &mut Scenario| {
        let argocd = last("argocd/operator.yaml")?["spec"]["source"]["helm"]["valuesObject"].clone();
        let flux = last("flux/operator.yaml")?["spec"]["values"].clone();
        let k3s = &last("k3s/operator.yaml")?["spec"];
        ensure!(k3s["failurePolicy"] == "abort", "k3s would install it again: {}", k3s["failurePolicy"]);
        let content = k3s["valuesContent"].as_str().context("k3s' values are text")?;
        let k3s = serde_yaml::from_str(content)?;
        for (whose, values) in [("Argo CD", argocd), ("Flux", flux), ("k3s", k3s)] {
            ensure!(values.is_object(), "{whose} has no values");
            let folder = tempfile::tempdir()?;
            let file = folder.path().join("values.json");
            std::fs::write(&file, values.to_string())?;
            let option = format!("--values={}", file.display());
            let made = chart::rendered(story, &[&option]).await.with_context(|| whose.to_owned())?;
            ensure!(made.contains("pod-security.kubernetes.io/enforce: privileged"), "{whose}: no namespace");
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn argo_cds_own_lua_judges_every_case_as_it_should() {
    scenario_with_argocd("deploy-health", async |story: &mut Scenario| {
        let program = story.bed.tools().join("argocd");
        let mut wrong = Vec::new();
        let mut seen = 0;
        for kind in KINDS {
            let cases = &last(&format!("{HEALTH}/{kind}/health_test.yaml"))?["tests"];
            for case in cases.as_array().context("there are cases")? {
                let input = case["inputPath"].as_str().context("a case has an object")?;
                let mut argocd = Command::new(&program);
                argocd.args(["admin", "settings", "resource-overrides", "health"]);
                argocd.arg(deploy(&format!("{HEALTH}/{kind}/{input}")));
                argocd.arg("--argocd-cm-path").arg(deploy("argocd/argocd-cm.yaml"));
                let output = argocd.output().context("start argocd")?;
                let said = String::from_utf8_lossy(&output.stdout);
                let health = &case["healthStatus"];
                let (status, message) = (health["status"].as_str(), health["message"].as_str());
                let (status, message) = (status.unwrap_or_default(), message.unwrap_or_default());
                if !said.contains(&format!("STATUS: {status}\nMESSAGE: {message}\n")) {
                    let error = String::from_utf8_lossy(&output.stderr).into_owned();
                    wrong.push(format!("{kind} {input}: expected {status} ({message}), said {said}{error}"));
                }
                seen += 1;
            }
        }
        ensure!(wrong.is_empty(), "{} of {seen} cases are wrong:\n{}", wrong.len(), wrong.join("\n"));
        println!("{seen} cases");
        Ok(())
    })
    .await;
}

/// The API server of a bed with Argo CD knows Applications.
#[tokio::test]
async fn the_applications_are_accepted_where_argo_cd_is() {
    scenario_with_argocd("deploy-applications", async |story: &mut Scenario| {
        for example in ["argocd/operator.yaml", "argocd/reflectors.yaml", "argocd/argocd-cm.yaml"] {
            let manifest =
                text(example)?.replace("namespace: argocd", &format!("namespace: {}", story.namespace));
            let apply = ["apply", "--server-side", "--dry-run=server", "--warnings-as-errors"];
            chart::kubectl(story, &apply, &manifest).await.with_context(|| example.to_owned())?;
        }
        Ok(())
    })
    .await;
}

/// Every case has its object, and every object its case.
#[test]
fn every_kind_has_health_that_is_healthy_progressing_and_degraded() {
    for kind in KINDS {
        let tests = text(&format!("{HEALTH}/{kind}/health_test.yaml")).unwrap();
        for status in ["Healthy", "Progressing", "Degraded"] {
            assert!(tests.contains(&format!("status: {status}\n")), "{kind} is never {status}");
        }
        for entry in std::fs::read_dir(deploy(&format!("{HEALTH}/{kind}/testdata"))).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(
                tests.contains(&format!("inputPath: testdata/{name}\n")),
                "{kind}: nobody looks at {name}"
            );
        }
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "whoever runs the test says whether to write")]
fn the_patch_of_argocd_cm_is_up_to_date() {
    let mut made = "\
# Made from resource_customizations. To make it anew: UPDATE_GOLDEN=1 cargo test -p e2e --test scenarios deploy::
# kubectl --namespace argocd patch configmap argocd-cm --type merge --patch-file argocd-cm.yaml
apiVersion: v1
kind: ConfigMap
metadata:
  name: argocd-cm
  namespace: argocd
  labels:
    app.kubernetes.io/part-of: argocd
data:
"
    .to_owned();
    for kind in KINDS {
        made += "  resource.customizations.health.packetparamedic.io_";
        made += kind;
        made += ": |\n";
        for line in text(&format!("{HEALTH}/{kind}/health.lua")).unwrap().lines() {
            made += format!("    {line}").trim_end();
            made.push('\n');
        }
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(deploy("argocd/argocd-cm.yaml"), &made).unwrap();
    }
    let known = text("argocd/argocd-cm.yaml").unwrap();
    assert!(made == known, "it is stale: UPDATE_GOLDEN=1 cargo test -p e2e --test scenarios deploy::");
}
