//! `export --identities`: every Reflector's private key as a Secret that `spec.identity.importSecretRef` takes.
//!
//! The key is on the claim, and nothing of ours reads it but the reflector. So it is asked, in its pod, for what its own
//! command gives away: that takes the right to start programs in pods, which no role of ours has.

use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use crds::Reflector;
use kube::ResourceExt as _;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::timeout;

use super::answer::{Answer, Exit, written};
use super::args::{Format, Global};
use super::cluster::Cluster;
use super::export::documents;
use super::text::plain;
use super::{inside, logs};

/// For one pod: kubectl waits 15 s for it, and the command itself reads a file.
const DEADLINE: Duration = Duration::from_secs(30);
/// The entry that `importSecretRef` reads when it names none.
const ENTRY: &str = "identity.ed25519";
/// Says whose key it is, to whoever finds the Secret later.
const WHOSE: &str = "packetparamedic.io/endpoint-id";
/// Above everything else.
const WARNING: &str = "\
# PRIVATE KEYS. Whoever has this text can pass for every reflector in it, and nothing tells them from it but a new key.
# Keep it as you keep passwords: never in git unless encrypted, in no chat, in no ticket. Never let two reflectors run
# with one key.
#
# To let a Reflector adopt its key, apply its Secret and name it in spec.identity.importSecretRef; once it is Ready, take
# that out again and delete the Secret.
";

/// What the reflector answers.
#[derive(Deserialize)]
struct Exported {
    endpoint_id: String,
    private_key: String,
}

pub(super) async fn run(cluster: &Cluster, global: &Global) -> Result<Answer> {
    let reflectors: Vec<Reflector> = cluster.list().await?;
    ensure!(!reflectors.is_empty(), "there is no Reflector in namespace {}", cluster.namespace);
    let mut secrets = Vec::new();
    for reflector in &reflectors {
        let name = reflector.name_any();
        match one(cluster, global, reflector).await {
            Ok(secret) => secrets.push(secret),
            Err(error) => anstream::eprintln!("warning: the key of {name} is not in here: {error:#}"),
        }
    }
    ensure!(!secrets.is_empty(), "no key could be read");
    anstream::eprintln!("warning: these are private keys: keep them as you keep passwords");
    let exit = if secrets.len() == reflectors.len() { Exit::Done } else { Exit::Part };
    Ok(Answer { text: text(&secrets, global.output)?, exit })
}

fn text(secrets: &[Value], format: Option<Format>) -> Result<String> {
    match format {
        // It has no comments: the warning is on standard error.
        Some(Format::Json) => {
            written(&json!({ "apiVersion": "v1", "kind": "List", "items": secrets }), Format::Json)
        }
        _ => Ok(format!("{WARNING}{}", documents(secrets)?)),
    }
}

async fn one(cluster: &Cluster, global: &Global, reflector: &Reflector) -> Result<Value> {
    let pod = logs::pod(cluster, &reflector.name_any()).await?;
    let words = inside::words(&pod, &["export-identity", "--private-key", "--json"]);
    cluster.stands_for(&words.join(" "));
    let mut kubectl = Command::from(inside::kubectl(global, &cluster.namespace));
    let output = kubectl.args(&words).stdin(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(DEADLINE, output).await;
    let output =
        output.with_context(|| format!("no answer from pod {pod} within {} s", DEADLINE.as_secs()))?;
    let exported = read(&output.context("start kubectl, which has to be on PATH")?)?;
    secret(reflector, &exported)
}

/// What it answered, or why not. Nothing of standard output gets into an error: it may hold a key.
fn read(output: &Output) -> Result<Exported> {
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = plain(said.lines().find(|line| !line.trim().is_empty()).unwrap_or("it did not say why"));
        if output.status.code() == Some(64) {
            bail!("its image knows no export-identity, it is older than this plugin: {said}");
        }
        bail!("{said}");
    }
    serde_json::from_slice(&output.stdout).ok().context("the pod answered something else than a key")
}

fn secret(reflector: &Reflector, exported: &Exported) -> Result<Value> {
    let known = reflector.status.as_ref().and_then(|status| status.endpoint_id.as_ref());
    if let Some(known) = known.filter(|known| **known != exported.endpoint_id) {
        let has = &exported.endpoint_id;
        bail!("its pod has the key of {}, its status says {known}: try again once it is Ready", plain(has));
    }
    Ok(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": format!("{}-identity", reflector.name_any()),
            "annotations": { WHOSE: exported.endpoint_id },
        },
        "type": "Opaque",
        "data": { ENTRY: exported.private_key },
    }))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    use k8s_openapi::api::core::v1::Secret;

    use super::*;
    use crate::plugin::testing::{golden, yaml};

    fn attic() -> Reflector {
        yaml("{ metadata: { name: attic }, spec: {}, status: { endpointId: PP-AAAA } }")
    }

    fn exported(id: &str) -> Exported {
        Exported { endpoint_id: id.into(), private_key: format!("{}=", "A".repeat(43)) }
    }

    fn ended(code: i32, out: &str, err: &str) -> Output {
        Output { status: ExitStatus::from_raw(code << 8), stdout: out.into(), stderr: err.into() }
    }

    /// F7
    #[test]
    fn golden_an_identity_is_a_secret_below_a_warning() {
        let secret = secret(&attic(), &exported("PP-AAAA")).unwrap();
        let read: Secret = serde_json::from_value(secret.clone()).unwrap();
        assert_eq!(read.data.unwrap()[ENTRY].0, [0; 32], "what importSecretRef mounts");
        golden("identities.yaml", &text(&[secret], None).unwrap());
    }

    #[test]
    fn a_key_that_is_not_the_reflectors_is_not_given_out() {
        let error = secret(&attic(), &exported("PP-BBBB")).unwrap_err().to_string();
        assert!(error.contains("PP-BBBB") && error.contains("PP-AAAA"), "{error}");
        let fresh: Reflector = yaml("{ metadata: { name: fresh }, spec: {} }");
        assert!(secret(&fresh, &exported("PP-BBBB")).is_ok());
    }

    #[test]
    fn no_key_gets_into_an_error() {
        let said = |output: Output| read(&output).err().unwrap().to_string();
        assert!(!said(ended(0, "{\"private_key\":\"hush\"}", "")).contains("hush"));
        assert!(!said(ended(1, "hush", "\nforbidden\u{1b}[2J\n")).contains("hush"));
        assert_eq!(said(ended(1, "", "\nforbidden\u{1b}[2J\nmore")), "forbidden\u{fffd}[2J");
        assert!(said(ended(64, "", "error: unrecognized subcommand")).contains("older than this plugin"));
    }
}
