//! What helm makes of the chart, and whether an API server would take all of it.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use e2e::scenario::{Scenario, scenario};

use super::{folder, kubectl, rendered};

/// Ways of installing it that differ in what they install. The kinds of the Prometheus operator are on no bed.
const WAYS: [(&str, &[&str]); 4] = [
    ("by default", &[]),
    ("for one namespace", &["--set=watchNamespace=lab"]),
    (
        "with all that Kubernetes itself knows",
        &[
            "--set=replicas=2,leaderElection.enabled=true,networkPolicy.enabled=true",
            "--set=monitoring.dashboard.enabled=true,reflectorNamespace.create=true",
            "--set=reflector.allowedRepositories={example.net/a,example.net:5000/b}",
            "--set=podLabels.team=net,podAnnotations.note=one,priorityClassName=system-cluster-critical",
            "--set=tolerations[0].operator=Exists,imagePullSecrets[0].name=mine",
            "--set=crds.annotations.note=two,serviceAccount.annotations.note=three",
            "--set=monitoring.additionalLabels.release=prometheus,log.format=text",
        ],
    ),
    (
        "with nothing that can be left out",
        &["--set=crds.install=false,endpoint.install=false,roles.install=false"],
    ),
];

#[tokio::test]
async fn every_way_of_installing_it_is_accepted_by_the_api_server() {
    scenario("chart-render", async |story: &mut Scenario| {
        // What the operator's pod would be warned of, it would be refused where this is enforced.
        let label = "pod-security.kubernetes.io/warn=restricted";
        story.kubectl(["label", "namespace", &story.namespace, label]).await?;
        let apply =
            ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "--warnings-as-errors"];
        for (way, options) in WAYS {
            // There is no lab, and kubectl writes into one namespace only.
            let here = format!("namespace: {}", story.namespace);
            let manifests = rendered(story, options).await?.replace("namespace: lab", &here);
            let said = kubectl(story, &apply, &manifests).await.with_context(|| way.to_owned())?;
            ensure!(said.contains("deployment.apps/reflector-operator"), "{way}: {said}");
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn what_helm_makes_of_it_by_default_is_known_to_the_letter() {
    scenario("chart-golden", async |story: &mut Scenario| {
        // The definitions are compared with the types they are made of.
        let made =
            rendered(story, &["--set=crds.install=false"]).await?.replace(&story.namespace, "NAMESPACE");
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/chart/default.yaml");
        if update() {
            std::fs::write(&golden, &made)?;
        }
        let known = std::fs::read_to_string(&golden).unwrap_or_default();
        ensure!(
            made == known,
            "the chart makes something else of itself; if that is meant, with a bed up: \
             UPDATE_GOLDEN=1 cargo test -p e2e --test scenarios chart::render"
        );
        Ok(())
    })
    .await;
}

#[expect(clippy::disallowed_methods, reason = "whoever runs the test says whether to write")]
fn update() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

#[tokio::test]
async fn helm_finds_nothing_wrong_and_refuses_what_would_not_work() {
    scenario("chart-lint", async |story: &mut Scenario| {
        let chart = folder();
        let chart = chart.to_str().context("the chart's path is no text")?;
        story.helm(["lint", "--strict", chart]).await?;
        let everything = "--set=monitoring.podMonitor.enabled=true,monitoring.serviceMonitor.enabled=true,\
            monitoring.prometheusRule.enabled=true,monitoring.dashboard.enabled=true";
        story.helm(["lint", "--strict", chart, everything]).await?;
        let monitored = rendered(story, &[everything]).await?;
        for kind in ["PodMonitor", "ServiceMonitor", "PrometheusRule"] {
            ensure!(monitored.contains(&format!("\nkind: {kind}\n")), "there is no {kind}");
        }
        // What Prometheus fills in is not helm's.
        ensure!(monitored.contains("{{ $labels.pod }}"), "the alerts lost their labels");
        for (option, words) in [
            ("--set=replicas=2", "set leaderElection.enabled=true"),
            ("--set=fullname=x", "additional properties 'fullname' not allowed"),
            ("--set=image.repository=a:1", "image/repository"),
        ] {
            refused(story, option, words).await?;
        }
        Ok(())
    })
    .await;
}

async fn refused(story: &Scenario, option: &str, words: &str) -> Result<()> {
    let answer = rendered(story, &[option]).await;
    let said = answer.err().with_context(|| format!("{option} is accepted"))?.to_string();
    ensure!(said.contains(words), "{option}: {said}");
    Ok(())
}
