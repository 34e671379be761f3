//! A Reflector that lives for years: its key moves in from elsewhere, it is reached in each way there is, and its owner
//! changes it while people measure.

use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use crds::Reflector;
use e2e::appliance::Key;
use e2e::scenario::{MINUTE, Scenario, scenario, wait_until};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};
use tokio::process::Command;

use super::fleets::edit;
use super::running::built;
use super::says;
use super::serving::{Attic, DENIED, MEASURED, address};

const NODE: (&str, [u8; 4]) = ("node-1", [10, 99, 0, 11]);

/// F4, F5, A5: quotas are in force within the same process; a listener is a new pod, which nobody's test is cut for, and
/// which nobody else has to pair with again or restarts for.
#[tokio::test]
async fn edits_of_policy_restart_nothing_and_one_of_the_listener_that_reflector_after_its_test() {
    scenario("living-edits", async |story: &mut Scenario| {
        let attic = Attic::serving(story, NODE, 16700, &json!({})).await?;
        attic.beside("cellar", NODE.0, 16710, &json!({})).await?;
        let den = attic.appliance("den").await?;
        attic.ends(&den, &[], MEASURED).await?;
        let (before, beside) = (attic.pod().await?, attic.pod_of("cellar").await?);

        edit::<Reflector>(story, "attic", &json!({ "spec": { "quotas": { "allowedTests": ["UdpEcho"] } } }))
            .await?;
        wait_until("the new quota holds", MINUTE, async || {
            attic.ends(&den, &[], DENIED).await?;
            Ok(())
        })
        .await?;
        edit::<Reflector>(
            story,
            "attic",
            &json!({ "spec": { "quotas": { "allowedTests": ["UdpEcho", "Throughput"] } } }),
        )
        .await?;
        wait_until("the old one holds again", MINUTE, async || {
            attic.ends(&den, &[], MEASURED).await?;
            Ok(())
        })
        .await?;
        let pod = story.container(&before).await?;
        ensure!(attic.pod().await? == before && pod.restarts == 0, "it was started again: {pod:?}");

        let running = attic.measure(&den, &["-t", "15"])?;
        attic.sessions(1).await?;
        edit::<Reflector>(story, "attic", &json!({ "spec": { "network": { "plainOnControlPort": false } } }))
            .await?;
        let (ended, said) = running.ended().await?;
        ensure!(ended == Some(MEASURED), "the running test ended with {ended:?}: {said}");
        let pods = story.api::<Pod>();
        wait_until("the pod of before is gone", 2 * MINUTE, async || {
            let pod = pods.get_opt(&before).await?;
            ensure!(pod.is_none(), "it is there");
            Ok(())
        })
        .await?;
        says(story, "attic", "Ready", "True", "Serving").await?;
        attic.ends(&den, &["--tunnel"], MEASURED).await?;
        let pod = story.container(&beside).await?;
        ensure!(attic.pod_of("cellar").await? == beside && pod.restarts == 0, "cellar was touched: {pod:?}");
        attic.operator.end().await
    })
    .await;
}

/// F3: through the one port, through data ports, and through a Service of the pod network.
#[tokio::test]
async fn in_each_exposure_the_address_in_the_status_is_where_one_measures() {
    scenario("living-exposed", async |story: &mut Scenario| {
        let attic = Attic::serving(story, NODE, 16720, &json!({})).await?;
        let den = attic.appliance("den").await?;
        attic.ends(&den, &[], MEASURED).await?;
        attic.ends(&den, &["--tunnel"], MEASURED).await?;

        let ports = json!({ "port": 16730, "healthPort": 16731, "mode": "Direct",
            "dataPorts": { "start": 16740, "end": 16743 } });
        let pod_network = json!({ "port": 16750, "healthPort": 16751, "hostNetwork": false });
        for (name, port, network) in [("ports", 16730, ports), ("service", 16750, pod_network)] {
            attic.make_beside(name, NODE.0, port, &json!({ "network": network })).await?;
            if name == "service" {
                let words = says(story, name, "Ready", "False", "NoAddress").await?;
                ensure!(words.contains("a node port does not do"), "{words}");
                balanced(story, name).await?;
            }
            says(story, name, "Ready", "True", "Serving").await?;
            let address = address(story, name).await?;
            let peer = json!({
                "reflectorRef": { "kind": "Reflector", "name": name },
                "endpointId": den.key.endpoint_id(),
            });
            attic.peer(&format!("den-{name}"), &peer).await?;
            attic.ready(&format!("den-{name}")).await?;
            // The nodes learn of a load balancer's address a moment later.
            wait_until(&format!("one measures at {name}"), MINUTE, async || {
                let (ended, said) = attic.measure_at(&address, &den, &["-t", "1"])?.ended().await?;
                ensure!(ended == Some(MEASURED), "{address}: {ended:?}: {said}");
                Ok(())
            })
            .await?;
        }
        attic.operator.end().await
    })
    .await;
}

/// Plays the load balancer of this cluster, which gives a Service the address of a node.
async fn balanced(story: &Scenario, name: &str) -> Result<()> {
    let given = json!({ "status": { "loadBalancer": { "ingress": [{ "ip": "10.99.0.11" }] } } }).to_string();
    let service = format!("service/rfl-{name}");
    story
        .kubectl(["patch", &service, "--subresource=status", "--type=merge", "--patch", &given])
        .await
        .map(drop)
}

/// F7, I4: whoever knew a reflector elsewhere knows it here, and nobody reads its key anywhere.
#[tokio::test]
async fn a_key_that_moves_in_is_the_same_endpoint_and_is_told_nobody() {
    scenario("living-moved", async |story: &mut Scenario| {
        let attic = Attic::serving(story, NODE, 16760, &json!({})).await?;
        let key = Key::generate();
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": "from-home" },
            "data": { "identity.ed25519": ByteString(key.seed().to_vec()) },
        });
        let secret: Secret = serde_json::from_value(secret).context("read the Secret")?;
        story.api::<Secret>().create(&PostParams::default(), &secret).await.context("create the Secret")?;
        let import = json!({ "identity": { "importSecretRef": { "name": "from-home" } } });
        let address = attic.beside("moved", NODE.0, 16770, &import).await?;
        ensure!(address.starts_with(&format!("{}@", key.endpoint_id())), "another key serves: {address}");

        // From here on the claim has it.
        story.api::<Secret>().delete("from-home", &DeleteParams::default()).await?;
        edit::<Reflector>(story, "moved", &json!({ "spec": { "identity": { "importSecretRef": null } } }))
            .await?;
        let before = attic.pod_of("moved").await?;
        story.api::<Pod>().delete(&before, &DeleteParams::default()).await?;
        let pods = story.api::<Pod>();
        wait_until("its pod is another one", 2 * MINUTE, async || {
            ensure!(pods.get_opt(&before).await?.is_none(), "it is there");
            Ok(())
        })
        .await?;
        says(story, "moved", "Ready", "True", "Serving").await?;
        let status = story.api::<Reflector>().get("moved").await?.status.context("it has no status")?;
        ensure!(status.endpoint_id.as_deref() == Some(&key.endpoint_id()), "{:?}", status.endpoint_id);

        let pod = attic.pod_of("moved").await?;
        let kinds = "reflectors,configmaps,deployments,pods,persistentvolumeclaims,events";
        let told = [
            story.kubectl(["get", kinds, "--output", "yaml"]).await?,
            story.kubectl(["logs", &pod, "--all-containers"]).await?,
        ]
        .concat();
        ensure!(told.contains("kind: Reflector") && told.contains(&key.endpoint_id()), "{told}");
        let seed = key.seed();
        let base64 = json!(ByteString(seed.to_vec())).to_string();
        let hex: Vec<String> = seed.iter().map(|byte| format!("{byte:02x}")).collect();
        for text in [base64.trim_matches('"').to_owned(), hex.concat(), format!("{seed:?}")] {
            ensure!(!told.contains(&text), "somebody may read the key");
        }
        attic.operator.end().await
    })
    .await;
}

/// L4: with kubectl alone, while it is written; whoever has the copy verifies it where there is no cluster.
#[tokio::test]
async fn the_audit_log_of_a_pod_is_copied_out_by_kubectl_and_is_whole() {
    scenario("living-audit", async |story: &mut Scenario| {
        let attic = Attic::serving(story, NODE, 16770, &json!({})).await?;
        let den = attic.appliance("den").await?;
        for _ in 0..2 {
            attic.ends(&den, &[], MEASURED).await?;
        }
        let running = attic.measure(&den, &["-t", "10"])?;
        attic.sessions(1).await?;
        let export = ["exec", "deploy/rfl-attic", "--", "/reflector", "audit", "export"];
        let copy = story.kubectl(export).await.context("copy the audit log out")?;
        let (ended, said) = running.ended().await?;
        ensure!(ended == Some(MEASURED), "the running test ended with {ended:?}: {said}");
        let completed = copy.lines().filter(|line| line.contains("\"session_completed\"")).count();
        ensure!(completed == 2, "{completed} sessions are in {copy}");

        let folder = tempfile::tempdir().context("make a folder for the copy")?;
        let file = folder.path().join("audit.jsonl");
        std::fs::write(&file, &copy).context("keep the copy")?;
        let mut verify = Command::new(built("reflector", "reflector").await?);
        verify.args(["audit", "verify", "--json"]).arg(&file).env("HOME", folder.path());
        let verified = verify.stdin(Stdio::null()).output().await.context("verify the copy")?;
        ensure!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
        let report: Value = serde_json::from_slice(&verified.stdout).context("read what was found")?;
        let lines = copy.lines().count();
        ensure!(report["intact"] == true && report["lines"] == lines && report["first_seq"] == 1, "{report}");
        attic.operator.end().await
    })
    .await;
}
