//! The definitions on a real API server: what it accepts, what it refuses and with which words, and what people see.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use e2e::scenario::{MINUTE, Scenario, scenario, wait_until};
use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, PostParams};
use serde::Deserialize;
use serde_json::{Value, json};

/// What is tried, and what must come of it. The validators of `crds` are held to the same table.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    title: String,
    kind: String,
    name: Option<String>,
    old: Option<Value>,
    spec: Value,
    server: Option<String>,
}

const KINDS: [(&str, &str); 3] =
    [("Reflector", "reflectors"), ("ReflectorPeer", "reflectorpeers"), ("ReflectorFleet", "reflectorfleets")];

fn crds() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../crds")
}

/// The definition of a kind.
pub(crate) fn yaml(plural: &str) -> PathBuf {
    crds().join("yaml").join(format!("{plural}.yaml"))
}

/// As a user would. A warning of the API server is an error.
pub(crate) async fn install(story: &Scenario) -> Result<()> {
    let yaml = crds().join("yaml").display().to_string();
    story
        .kubectl(["apply", "--server-side", "--force-conflicts", "--warnings-as-errors", "-f", &yaml])
        .await
        .context("install the definitions")?;
    // kubectl takes a definition without conditions, as it is at first, for an error.
    wait_until("the definitions are established", MINUTE, async || {
        let names = KINDS.map(|(_, plural)| format!("crd/{plural}.packetparamedic.io"));
        let wait = ["wait", "--for=condition=Established", "--timeout=5s"].map(String::from);
        story.kubectl(wait.into_iter().chain(names)).await.map(drop)
    })
    .await
}

fn objects(story: &Scenario, kind: &str) -> Result<Api<DynamicObject>> {
    let (kind, plural) =
        KINDS.iter().find(|(name, _)| *name == kind).with_context(|| format!("{kind} is none of ours"))?;
    let kind = GroupVersionKind::gvk("packetparamedic.io", "v1alpha1", kind);
    let resource = ApiResource::from_gvk_with_plural(&kind, plural);
    Ok(Api::namespaced_with(story.client.clone(), &story.namespace, &resource))
}

fn object(row: &Row, name: &str, spec: &Value) -> Result<DynamicObject> {
    Ok(serde_json::from_value(json!({
        "apiVersion": "packetparamedic.io/v1alpha1",
        "kind": row.kind,
        "metadata": { "name": name },
        "spec": spec,
    }))?)
}

/// What the API server says to a row; nothing when it accepts.
async fn said(story: &Scenario, row: &Row, index: usize) -> Result<Option<String>> {
    let api = objects(story, &row.kind)?;
    let name = row.name.clone().unwrap_or_else(|| format!("row-{index}"));
    let look = PostParams { dry_run: true, ..PostParams::default() };
    let mut new = object(row, &name, &row.spec)?;
    let answer = match &row.old {
        None => api.create(&look, &new).await,
        Some(old) => {
            let old = api.create(&PostParams::default(), &object(row, &name, old)?).await;
            new.metadata.resource_version = old.context("create the old object")?.metadata.resource_version;
            let answer = api.replace(&name, &look, &new).await;
            api.delete(&name, &DeleteParams::default()).await.context("delete the old object")?;
            answer
        }
    };
    match answer {
        Ok(_) => Ok(None),
        Err(kube::Error::Api(status)) => Ok(Some(status.message)),
        Err(error) => Err(error).context("ask the API server"),
    }
}

#[tokio::test]
async fn the_api_server_accepts_and_refuses_what_the_table_says() {
    scenario("crds", async |story: &mut Scenario| {
        install(story).await?;
        let table = std::fs::read_to_string(crds().join("tests/objects.yaml")).context("read the table")?;
        let table: Value = serde_yaml::from_str(&table).context("understand the table")?;
        let rows: Vec<Row> = serde_json::from_value(table)?;
        let mut wrong = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            let said = said(story, row, index).await.with_context(|| row.title.clone())?;
            let expected = match (&row.server, &said) {
                (None, None) => true,
                (Some(words), Some(said)) => said.contains(words),
                _ => false,
            };
            if !expected {
                wrong.push(format!("{} ({}): expected {:?}, said {said:?}", row.title, row.kind, row.server));
            }
        }
        ensure!(wrong.is_empty(), "{} of {} rows are wrong:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
        println!("{} rows as the table says", rows.len());
        Ok(())
    })
    .await;
}

const PEERS: &str = "
apiVersion: packetparamedic.io/v1alpha1
kind: ReflectorPeer
metadata: { name: living-room }
spec:
  reflectorRef: { kind: Reflector, name: attic }
  quotas: { maxTestDuration: 60s, bytesPerDay: 1500M }
---
apiVersion: packetparamedic.io/v1alpha1
kind: ReflectorPeer
metadata: { name: kitchen }
spec:
  reflectorRef: { kind: ReflectorFleet, name: homes }
";

#[tokio::test]
async fn kubectl_explains_lists_and_selects_our_kinds() {
    scenario("crds-kubectl", async |story: &mut Scenario| {
        install(story).await?;
        for (field, says) in [
            ("reflector.spec.network.port", "4000 when left out"),
            ("reflectorpeer.spec.suspend", "true revokes now"),
            ("reflectorfleet.spec.template.spec.quotas.maxTestDuration", "1s to 300s"),
        ] {
            let page = story.kubectl(["explain", field]).await?;
            let page: Vec<&str> = page.split_whitespace().collect();
            ensure!(page.join(" ").contains(says), "{field}: {page:?}");
        }
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("peers.yaml");
        std::fs::write(&file, PEERS)?;
        let file = file.display().to_string();
        story.kubectl(["apply", "-f", &file]).await?;
        let again = story.kubectl(["apply", "-f", &file]).await?;
        ensure!(again.lines().all(|line| line.ends_with(" unchanged")), "a second apply: {again}");

        let listed = story.kubectl(["get", "rpeer"]).await?;
        let columns: Vec<&str> = listed.lines().next().unwrap_or_default().split_whitespace().collect();
        let expected = "NAME REFLECTOR READY REASON ENDPOINT-ID TESTS BYTES REMAINING LAST-SEEN AGE";
        ensure!(columns.join(" ") == expected, "columns: {columns:?}");
        for (selector, name) in [
            ("spec.reflectorRef.name=attic", "living-room"),
            ("spec.reflectorRef.kind=ReflectorFleet", "kitchen"),
        ] {
            let selected = ["get", "reflectorpeers", "-o", "name", "--field-selector", selector];
            let selected = story.kubectl(selected).await?;
            let only = format!("reflectorpeer.packetparamedic.io/{name}");
            ensure!(selected.trim() == only, "{selector}: {selected}");
        }
        let all = story.kubectl(["get", "packetparamedic", "-o", "name"]).await?;
        ensure!(all.lines().count() == 2, "the category: {all}");
        let typed = ["get", "rpeer", "living-room", "-o", "jsonpath={.spec.quotas}"];
        let typed = story.kubectl(typed).await?;
        ensure!(typed == r#"{"bytesPerDay":"1500M","maxTestDuration":"60s"}"#, "returns as typed: {typed}");
        Ok(())
    })
    .await;
}

/// A slip must not leave in whom somebody meant to shut out.
#[tokio::test]
async fn a_misspelt_field_is_refused_by_kubectl() {
    scenario("crds-typo", async |story: &mut Scenario| {
        install(story).await?;
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("peer.yaml");
        std::fs::write(&file, PEERS.replace("quotas:", "qotas:"))?;
        match story.kubectl(["apply", "-f", &file.display().to_string()]).await {
            Err(error) => ensure!(error.to_string().contains("unknown field \"spec.qotas\""), "{error:#}"),
            Ok(applied) => bail!("it was accepted: {applied}"),
        }
        Ok(())
    })
    .await;
}
