//! Everything that the operator does, once.

use anyhow::{Context as _, Result, ensure};
use crds::{Reflector, ReflectorFleet, ReflectorPeer};
use e2e::scenario::{MINUTE, Scenario, wait_until};
use k8s_openapi::api::core::v1::Service;
use serde_json::{Value, json};

use super::ACCOUNT;
use crate::chart;
use crate::crds::install;
use crate::operator::fleets::{self, edit, label, set_label};
use crate::operator::pairing::acting::{appliance, create_peer, gone, is_waiting, secret_of, until};
use crate::operator::running::Operator;
use crate::operator::{create, reflector, says};

/// A field of each kind that is no text.
const FLAGS: [(&str, &str); 3] =
    [("Reflector", "suspend"), ("ReflectorPeer", "suspend"), ("ReflectorFleet", "prune")];

pub(super) async fn everything_is_done_once(story: &Scenario) -> Result<()> {
    let kubeconfig = tempfile::NamedTempFile::new().context("make a file for its kubeconfig")?;
    std::fs::write(&kubeconfig, story.kubeconfig_of(&story.token(ACCOUNT).await?).await?)?;
    let operator = Operator::start_as(story, kubeconfig.path(), &["--leader-elect"]).await?;
    let done = async {
        a_reflector_is_made_and_changed(story).await?;
        a_peer_gets_a_code_and_needs_it_no_more(story).await?;
        a_fleet_gets_a_member_and_loses_it(story).await?;
        objects_that_cannot_be_read_are_told_so(story).await
    };
    done.await.with_context(|| format!("its log: {}", operator.log().unwrap_or_default()))?;
    operator.end().await
}

async fn a_reflector_is_made_and_changed(story: &Scenario) -> Result<()> {
    let more = json!({
        "identity": { "storage": { "storageClassName": "local-path" } },
        "network": { "port": 15800, "healthPort": 15801, "hostNetwork": false },
    });
    create(story, &reflector("attic", "node-1", 15800, &more)).await?;
    says(story, "attic", "Ready", "False", "ImagePullFailed").await?;
    edit::<Reflector>(story, "attic", &json!({ "spec": { "network": { "hostNetwork": true } } })).await?;
    wait_until("it has no Service any more", MINUTE, async || {
        let service = story.api::<Service>().get_opt("rfl-attic").await?;
        ensure!(service.is_none(), "it has one");
        Ok(())
    })
    .await?;
    // Told twice: the second time as a repetition.
    for repository in [json!("evil.example/r"), Value::Null, json!("evil.example/r")] {
        let evil = !repository.is_null();
        edit::<Reflector>(story, "attic", &json!({ "spec": { "image": { "repository": repository } } }))
            .await?;
        let (type_, status, reason) =
            if evil { ("Stalled", "True", "ImageNotAllowed") } else { ("Ready", "False", "ImagePullFailed") };
        says(story, "attic", type_, status, reason).await?;
    }
    Ok(())
}

async fn a_peer_gets_a_code_and_needs_it_no_more(story: &Scenario) -> Result<()> {
    create_peer(story, "den", &json!({})).await?;
    let den = until(story, "den", "Waiting", is_waiting).await?;
    edit::<ReflectorPeer>(story, "den", &json!({ "spec": { "endpointId": appliance(1) } })).await?;
    gone(story, &secret_of(&den)?).await
}

async fn a_fleet_gets_a_member_and_loses_it(story: &Scenario) -> Result<()> {
    let home = label(story, "home");
    set_label(story, "node-2", &home, Some("yes")).await?;
    fleets::create(story, &home, 15810, &json!({})).await?;
    let reflectors = story.api::<Reflector>();
    wait_until("there is a member", MINUTE, async || Ok(reflectors.get("homes-node-2").await?)).await?;
    set_label(story, "node-2", &home, None).await?;
    edit::<ReflectorFleet>(story, "homes", &json!({ "spec": { "nodeSelector": { &home: "no" } } })).await?;
    wait_until("it is gone", MINUTE, async || {
        ensure!(reflectors.get_opt("homes-node-2").await?.is_none(), "it is there");
        Ok(())
    })
    .await
}

/// As after a downgrade: the definitions are those of a release that knew other values.
async fn objects_that_cannot_be_read_are_told_so(story: &Scenario) -> Result<()> {
    for (kind, flag) in FLAGS {
        let name = format!("crd/{}s.packetparamedic.io", kind.to_lowercase());
        let path = format!("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/{flag}/type");
        let edit = json!([{ "op": "replace", "path": path, "value": "string" }]).to_string();
        story.kubectl(["patch", &name, "--type=json", "--patch", &edit]).await?;
    }
    for (kind, flag) in FLAGS {
        let mut spec = match kind {
            "Reflector" => json!({}),
            "ReflectorPeer" => json!({ "reflectorRef": { "kind": "Reflector", "name": "attic" } }),
            _ => json!({ "nodeSelector": { "of": "nobody" }, "template": { "spec": {} } }),
        };
        spec[flag] = json!("tomorrow");
        let object = json!({
            "apiVersion": "packetparamedic.io/v1alpha1",
            "kind": kind,
            "metadata": { "name": "later" },
            "spec": spec,
        });
        wait_until(&format!("a {kind} of a later release is taken"), MINUTE, async || {
            chart::kubectl(story, &["apply"], &object.to_string()).await
        })
        .await?;
        let path = "--output=jsonpath={.status.conditions[?(@.type==\"Stalled\")].message}";
        wait_until(&format!("the {kind} says that it cannot be read"), MINUTE, async || {
            let words = story.kubectl(["get", kind, "later", path]).await?;
            ensure!(words.contains("cannot be read by this release"), "it says: {words}");
            Ok(())
        })
        .await?;
    }
    install(story).await
}
