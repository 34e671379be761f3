//! The definitions in the cluster are newer than operator and reflectors: objects have fields, names and types that
//! nobody here knows.

use anyhow::{Context as _, Result, ensure};
use e2e::scenario::{MINUTE, Scenario, alone, wait_until};
use kube::ResourceExt as _;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use serde_json::{Value, json};

use super::super::running::Operator;
use super::super::says;
use super::super::serving::{Appliance, Attic, DENIED, MEASURED};
use super::definitions::define;
use super::measuring::NODE;
use crate::chart;
use crate::crds::install;

/// Whoever else writes into a status.
const PAINTER: &str = "painter";
/// Where.
const OBJECTS: [(&str, &str, &str); 3] = [
    ("Reflector", "reflectors", "attic"),
    ("ReflectorPeer", "reflectorpeers", "den"),
    ("ReflectorPeer", "reflectorpeers", "picky"),
];

/// An object that says what we do not know is denied, by name, when that is in a field we read. Everybody else is served
/// by the same processes, whoever was there before and whoever starts now.
#[tokio::test]
async fn with_newer_definitions_what_is_unknown_denies_whom_it_names_and_nobody_else() {
    alone("faults-newer", async |story: &mut Scenario| {
        let mut attic = Attic::serving(story, NODE, 16020, &json!({})).await?;
        let den = attic.appliance("den").await?;
        let picky = attic.appliance("picky").await?;
        let told = async {
            newer(story).await?;
            told(story, &mut attic, &den, &picky).await
        }
        .await;
        install(story).await?;
        told?;
        attic.operator.end().await
    })
    .await;
}

/// Fields everywhere, a name in each choice, another type for a number.
async fn newer(story: &Scenario) -> Result<()> {
    let text = || json!({ "type": "string", "maxLength": 20 });
    define(story, "reflectors", |schema| {
        schema["spec"]["properties"]["hue"] = text();
        schema["status"]["properties"]["hue"] = text();
        add(schema, "/spec/properties/access/properties/approval", "Quorum");
        add(schema, "/spec/properties/audit/properties/onFailure", "Shout");
    })
    .await?;
    define(story, "reflectorpeers", |schema| {
        schema["spec"]["properties"]["hue"] = text();
        schema["status"]["properties"]["hue"] = text();
        schema["status"]["properties"]["reflectors"]["items"]["properties"]["hue"] = text();
        let quotas = &mut schema["spec"]["properties"]["quotas"]["properties"];
        quotas["maxJitter"] = text();
        quotas["maxStreams"] = json!({ "x-kubernetes-int-or-string": true });
        quotas["allowedTests"]["maxItems"] = json!(3);
        add(schema, "/spec/properties/quotas/properties/allowedTests/items", "Quic");
        add(schema, "/spec/properties/reflectorRef/properties/kind", "ReflectorMesh");
    })
    .await?;
    define(story, "reflectorfleets", |schema| {
        let template = "/spec/properties/template/properties/spec/properties";
        add(schema, &format!("{template}/audit/properties/onFailure"), "Shout");
    })
    .await?;
    let fleet = object(
        "ReflectorFleet",
        "later",
        &json!({
            "nodeSelector": { "nobody": "has-it" },
            "template": { "spec": { "audit": { "onFailure": "Shout" } } },
        }),
    );
    // A definition is in force a moment after it was taken.
    wait_until("the newer definitions are in force", MINUTE, async || apply(story, &fleet).await).await
}

/// One more name among those that may be chosen.
fn add(schema: &mut Value, field: &str, name: &str) {
    let names = schema.pointer_mut(&format!("{field}/enum")).and_then(Value::as_array_mut);
    if let Some(names) = names {
        names.push(json!(name));
    }
}

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    let api_version = "packetparamedic.io/v1alpha1";
    json!({ "apiVersion": api_version, "kind": kind, "metadata": { "name": name }, "spec": spec })
}

/// As a person does, whose kubectl knows the newer definitions.
async fn apply(story: &Scenario, object: &Value) -> Result<()> {
    chart::kubectl(story, &["apply", "--server-side"], &object.to_string()).await.map(drop)
}

async fn told(story: &Scenario, attic: &mut Attic<'_>, den: &Appliance, picky: &Appliance) -> Result<()> {
    painted(story).await?;
    attic.ends(picky, &[], MEASURED).await?;
    let later = later(story, attic, picky).await?;
    served(story, attic, den, &later, picky).await?;

    // Somebody starts anew, with all of this there.
    let first = std::mem::replace(&mut attic.operator, Operator::start(story, &[]).await?);
    first.end().await?;
    let pod = attic.pod().await?;
    story.kubectl(["delete", "pod", &pod]).await?;
    says(story, "attic", "Ready", "True", "Serving").await?;
    ensure!(attic.pod().await? != pod, "it is the old pod");
    served(story, attic, den, &later, picky).await?;

    // What the Reflector itself says cannot be used: what held before goes on, for those who were known.
    edit_raw(story, "reflector", "attic", &json!({ "spec": { "audit": { "onFailure": "Shout" } } })).await?;
    let words = says(story, "attic", "Stalled", "True", "InvalidSpec").await?;
    ensure!(words.contains("Shout"), "{words}");
    says(story, "attic", "PolicyCurrent", "False", "Loading").await?;
    attic.ends(den, &[], MEASURED).await?;
    attic.ends(picky, &[], DENIED).await?;
    edit_raw(story, "reflector", "attic", &json!({ "spec": { "audit": null } })).await?;
    says(story, "attic", "Ready", "True", "Serving").await?;

    is_painted(story).await?;
    let failed = attic.operator.reconciles("error").await?;
    ensure!(failed < 1.0, "{failed} reconciles failed: {}", attic.operator.log()?);
    let pod = story.container(&attic.pod().await?).await?;
    ensure!(pod.restarts == 0, "the pod was started again: {pod:?}");
    Ok(())
}

/// Makes and edits objects as a newer release's users do. Answers the appliance whose object only says more than we read.
async fn later(story: &Scenario, attic: &Attic<'_>, picky: &Appliance) -> Result<Appliance> {
    let reference = json!({ "kind": "Reflector", "name": "attic" });
    let later = attic.stranger("later")?;
    let more = json!({
        "reflectorRef": reference, "endpointId": later.key.endpoint_id(), "hue": "green",
        "quotas": { "maxJitter": "5ms" },
    });
    apply(story, &object("ReflectorPeer", "later", &more)).await?;
    edit_raw(story, "reflector", "attic", &json!({ "spec": { "hue": "green", "pruned": true } })).await?;
    let tests = json!({ "spec": { "quotas": { "allowedTests": ["Throughput", "Quic"] } } });
    edit_raw(story, "reflectorpeer", "picky", &tests).await?;
    let id = picky.key.endpoint_id();
    let streams = json!({ "reflectorRef": reference, "endpointId": id, "quotas": { "maxStreams": "many" } });
    apply(story, &object("ReflectorPeer", "streams", &streams)).await?;
    let mesh = json!({ "reflectorRef": { "kind": "ReflectorMesh", "name": "attic" }, "endpointId": id });
    apply(story, &object("ReflectorPeer", "mesh", &mesh)).await?;
    apply(story, &object("Reflector", "cellar", &json!({ "access": { "approval": "Quorum" } }))).await?;
    Ok(later)
}

/// Each says what is wrong with it, and only that.
async fn served(
    story: &Scenario,
    attic: &Attic<'_>,
    den: &Appliance,
    later: &Appliance,
    picky: &Appliance,
) -> Result<()> {
    for (kind, name, words) in [
        ("reflectorpeer", "picky", "Quic"),
        ("reflectorpeer", "streams", "cannot be read by this release"),
        ("reflectorpeer", "mesh", "ReflectorMesh"),
        ("reflector", "cellar", "Quorum"),
        ("reflectorfleet", "later", "Shout"),
    ] {
        let path = "--output=jsonpath={range .status.conditions[?(@.type==\"Ready\")]}{.status} {.reason} {.message}{end}";
        wait_until(&format!("{kind} {name} says what is wrong with it"), MINUTE, async || {
            let said = story.kubectl(["get", kind, name, path]).await?;
            ensure!(said.starts_with("False InvalidSpec") && said.contains(words), "it says: {said}");
            Ok(())
        })
        .await?;
    }
    for appliance in [den, later] {
        attic.ready(&appliance.name).await?;
        attic.ends(appliance, &[], MEASURED).await?;
    }
    // It measured before somebody wrote what we do not know.
    attic.ends(picky, &[], DENIED).await?;
    says(story, "attic", "Ready", "True", "Serving").await.map(drop)
}

/// As kubectl does that knows the newer definitions: what is in none of them is dropped with a warning.
async fn edit_raw(story: &Scenario, kind: &str, name: &str, patch: &Value) -> Result<()> {
    story.kubectl(["patch", kind, name, "--type=merge", "--patch", &patch.to_string()]).await.map(drop)
}

fn raw(story: &Scenario, kind: &str, plural: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("packetparamedic.io", "v1alpha1", kind);
    let resource = ApiResource::from_gvk_with_plural(&kind, plural);
    Api::namespaced_with(story.client.clone(), &story.namespace, &resource)
}

/// Somebody writes beside us what only the newer definitions have.
async fn painted(story: &Scenario) -> Result<()> {
    let condition = json!([{
        "type": "Painted", "status": "True", "reason": "Dry", "message": "",
        "lastTransitionTime": "2026-01-02T03:04:05Z",
    }]);
    for (kind, plural, name) in OBJECTS {
        let mut status = json!({ "hue": "red", "conditions": condition });
        if kind == "ReflectorPeer" {
            status["reflectors"] = json!([{ "name": "attic", "hue": "blue" }]);
        }
        let patch = Patch::Apply(json!({
            "apiVersion": "packetparamedic.io/v1alpha1", "kind": kind, "metadata": { "name": name }, "status": status,
        }));
        let parameters = PatchParams::apply(PAINTER);
        let api = raw(story, kind, plural);
        api.patch_status(name, &parameters, &patch).await.with_context(|| format!("paint {name}"))?;
    }
    Ok(())
}

/// All of it is still there, though operator and pod have written since.
async fn is_painted(story: &Scenario) -> Result<()> {
    for (kind, plural, name) in OBJECTS {
        let now = raw(story, kind, plural).get(name).await?;
        let status = &now.data["status"];
        let conditions = status["conditions"].as_array().context("it has no conditions")?;
        ensure!(
            status["hue"] == "red" && conditions.iter().any(|one| one["type"] == "Painted"),
            "{name}: {status}"
        );
        if kind == "ReflectorPeer" {
            ensure!(status["reflectors"][0]["hue"] == "blue", "{name}: {status}");
        }
        let managers: Vec<_> = now.managed_fields().iter().filter_map(|one| one.manager.as_deref()).collect();
        ensure!(managers.contains(&"reflector-operator"), "{name}: {managers:?}");
    }
    Ok(())
}
