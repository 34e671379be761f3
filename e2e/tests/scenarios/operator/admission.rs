//! The admission policies of the chart on a real API server, with a token of the account that writes.
//!
//! Everything that is refused here is allowed by the role: only the policy stands in the way.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use e2e::scenario::{MINUTE, Scenario, scenario, wait_until};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::chart;
use crate::crds::install;

/// The role that the operator binds to each reflector's account.
const ROLE: &str = "reflector-endpoint";

#[derive(Deserialize)]
struct Table {
    objects: Vec<Object>,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Object {
    kind: String,
    name: String,
    #[serde(default)]
    spec: Option<Value>,
    /// By who wrote it.
    #[serde(default)]
    status: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Row {
    title: String,
    who: String,
    to: String,
    apply: Option<Value>,
    // `merge: null` is a patch, too.
    #[serde(default, deserialize_with = "given")]
    merge: Option<Value>,
    refused: Option<String>,
}

fn given<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

fn table() -> Result<Table> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/operator/admission.yaml");
    let text = std::fs::read_to_string(path).context("read the table")?;
    let table: Value = serde_yaml::from_str(&text).context("understand the table")?;
    serde_json::from_value(table).context("understand the table")
}

fn api(story: &Scenario, client: &Client, kind: &str) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("packetparamedic.io", "v1alpha1", kind));
    Api::namespaced_with(client.clone(), &story.namespace, &resource)
}

/// What is sent to the status of an object, as it is applied.
fn body(kind: &str, name: &str, status: &Value) -> Value {
    json!({
        "apiVersion": "packetparamedic.io/v1alpha1",
        "kind": kind,
        "metadata": { "name": name },
        "status": status,
    })
}

/// Conditions must have a time; the table is easier to read without.
fn dated(status: &Value, time: &str) -> Value {
    let mut status = status.clone();
    for condition in status.get_mut("conditions").and_then(Value::as_array_mut).into_iter().flatten() {
        condition["lastTransitionTime"] = time.into();
    }
    status
}

async fn set_up(story: &Scenario, objects: &[Object]) -> Result<()> {
    for Object { kind, name, spec, status } in objects {
        let api = api(story, &story.client, kind);
        let mut object = body(kind, name, &json!({}));
        object["spec"] = spec.clone().unwrap_or_else(|| json!({}));
        let object = serde_json::from_value(object)?;
        api.create(&PostParams::default(), &object).await.with_context(|| format!("create {kind} {name}"))?;
        for (manager, status) in status {
            let parameters = PatchParams::apply(manager).force();
            let patch = body(kind, name, &dated(status, "2026-11-21T20:00:00Z"));
            let patched = api.patch_status(name, &parameters, &Patch::Apply(&patch)).await;
            patched.with_context(|| format!("write the status of {kind} {name} as {manager}"))?;
        }
    }
    Ok(())
}

/// Clients of everybody in the table, with real tokens of this namespace's own.
async fn accounts(story: &Scenario, rows: &[Row]) -> Result<BTreeMap<String, Client>> {
    let names: BTreeSet<&str> = rows.iter().map(|row| row.who.as_str()).collect();
    let mut clients = BTreeMap::new();
    for who in names {
        let client = if let Some((namespace, name)) = who.split_once('/') {
            story.bind(ROLE, namespace, name).await?;
            story.client_called(&format!("system:serviceaccount:{namespace}:{name}")).await?
        } else {
            story.create_account(who).await?;
            story.bind(ROLE, &story.namespace, who).await?;
            story.client_of(story.token(who).await?).await?
        };
        clients.insert(who.to_owned(), client);
    }
    Ok(clients)
}

/// What the API server says to a row, which changes nothing; nothing when it is allowed.
async fn said(story: &Scenario, row: &Row, client: &Client) -> Result<Option<String>> {
    let (kind, name) = row.to.split_once('/').context("to is KIND/NAME")?;
    let api = api(story, client, kind);
    let answer = match (&row.apply, &row.merge) {
        (Some(status), None) => {
            let manager = row.who.rsplit('/').next().unwrap_or_default();
            let parameters = PatchParams { dry_run: true, ..PatchParams::apply(manager).force() };
            let patch = body(kind, name, &dated(status, "2026-11-21T23:00:00Z"));
            api.patch_status(name, &parameters, &Patch::Apply(&patch)).await
        }
        (None, Some(status)) => {
            let parameters = PatchParams { dry_run: true, ..PatchParams::default() };
            api.patch_status(name, &parameters, &Patch::Merge(&json!({ "status": status }))).await
        }
        _ => bail!("a row has either apply or merge"),
    };
    match answer {
        Ok(_) => Ok(None),
        Err(kube::Error::Api(status)) => Ok(Some(status.message)),
        Err(error) => Err(error).context("ask the API server"),
    }
}

/// F9
#[tokio::test]
async fn a_reflectors_account_writes_its_own_status_and_its_own_entries_and_nothing_else() {
    scenario("admission", async |story: &mut Scenario| {
        install(story).await?;
        chart::apply(story, &["templates/access/endpoint.yaml"]).await?;
        chart::apply(story, &chart::POLICIES).await?;
        let Table { objects, rows } = table()?;
        set_up(story, &objects).await?;
        let clients = accounts(story, &rows).await?;

        // A policy and a role take effect a moment after they are there.
        let refused = rows.iter().filter(|row| row.refused.is_some());
        let first = |kind| refused.clone().find(|row| row.to.starts_with(kind)).context("a row of each kind");
        for row in [first("Reflector/")?, first("ReflectorPeer/")?] {
            wait_until(&format!("the policy is in force for {}", row.to), MINUTE, async || {
                let said = said(story, row, &clients[&row.who]).await?;
                ensure!(said.is_some_and(|words| words.contains("ValidatingAdmissionPolicy")), "not yet");
                Ok(())
            })
            .await?;
        }

        let mut wrong = Vec::new();
        for row in &rows {
            let said = said(story, row, &clients[&row.who]).await.with_context(|| row.title.clone())?;
            let expected = match (&row.refused, &said) {
                (None, None) => true,
                (Some(words), Some(said)) => {
                    said.contains("ValidatingAdmissionPolicy") && said.contains(words)
                }
                _ => false,
            };
            if !expected {
                wrong.push(format!(
                    "{} ({} to {}): expected {:?}, said {said:?}",
                    row.title, row.who, row.to, row.refused
                ));
            }
        }
        ensure!(wrong.is_empty(), "{} of {} rows are wrong:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
        println!("{} rows as the table says", rows.len());
        Ok(())
    })
    .await;
}

/// A field that comes later is the operator's until somebody says otherwise.
#[test]
fn every_field_of_a_status_is_in_the_table() {
    let text = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/operator/admission.yaml"),
    )
    .unwrap();
    for (definition, skipped) in
        [(&*crds::definition::REFLECTOR, &["conditions"][..]), (&*crds::definition::PEER, &[])]
    {
        let fields = definition.part("status")["properties"].as_object().unwrap();
        for field in fields.keys().filter(|field| !skipped.contains(&field.as_str())) {
            assert!(text.contains(&format!("{field}:")), "no row writes {field} of {}", definition.plural);
        }
    }
}
