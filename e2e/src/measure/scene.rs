//! A bed with the chart installed, from programs as shipped, and nothing else of ours on it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use e2e::bed::Bed;
use e2e::vitals::Vitals;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::Instant;

use super::Args;
use super::moments::{is_true, moments};
use super::tally::Tally;
use crate::demo::build;
use crate::demo::cluster::{self, NAMESPACE, SYSTEM, Target};
use crate::demo::screen::Screen;
use crate::place::Place;

/// The health port is the next one.
const FIRST_PORT: u16 = 14_000;
/// The operator's Deployment, and its release.
const OPERATOR: &str = "reflector-operator";
/// A page of metrics, with nothing but a shell: `$0` is the address, `$1` the port.
const FETCH: &str = r#"exec 3<>"/dev/tcp/$0/$1" && printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3 && cat <&3"#;

/// Where it is measured.
pub(super) struct Scene {
    target: Target,
    bed: Bed,
    client: Client,
    /// Those that were added here.
    appliances: Vec<String>,
    /// Where the programs come from, for whoever reads the table.
    profile: &'static str,
    /// The reflector, which measures as well.
    pub(super) reflector: PathBuf,
    _home: TempDir,
}

impl Scene {
    /// Builds, clears, installs.
    pub(super) async fn set(args: &Args) -> Result<Self> {
        let (place, screen) = (Place::from_env(), Screen::default());
        let bed = Bed::running()?;
        let profile = match (&args.operator, &args.reflector) {
            (None, None) => "profile dist",
            _ => "programs built otherwise",
        };
        let reflector = match &args.reflector {
            Some(program) => absolute(program)?,
            None => build::reflector(&place, &screen).await?,
        };
        let operator = match &args.operator {
            Some(program) => absolute(program)?,
            None => build::operator(&place, &screen).await?,
        };
        let home = tempfile::tempdir().context("make a folder")?;
        let target = Target::bed(bed.clone(), &place.root, &place.target, home.path());
        anstream::eprintln!("clearing the bed, installing the chart");
        cluster::earlier(&target).await.context("clear the bed")?;
        bed.deliver(&target.node, &operator, &target.images.operator).await?;
        bed.deliver(&target.node, &reflector, &target.images.reflector).await?;
        target.install().await?;
        let client = e2e::scenario::client(&bed).await?;
        Ok(Self { target, bed, client, appliances: Vec::new(), profile, reflector, _home: home })
    }

    /// Gives another node the reflector, too.
    pub(super) async fn bring(&self, node: &str) -> Result<()> {
        self.bed.deliver(node, &self.reflector, &self.target.images.reflector).await
    }

    /// So many operators, none or one; waits until it is so, for a new one until it answers that it is ready.
    pub(super) async fn operators(&self, count: u8) -> Result<()> {
        let (name, count) = (format!("deployment/{OPERATOR}"), count.to_string());
        self.target.run(&["kubectl", "-n", SYSTEM, "scale", &name, "--replicas", &count]).await?;
        self.target.run(&["kubectl", "-n", SYSTEM, "rollout", "status", &name, "--timeout=2m"]).await?;
        let label = format!("app.kubernetes.io/instance={OPERATOR}");
        let gone = ["kubectl", "-n", SYSTEM, "wait", "--for=delete", "pod", "-l", &label, "--timeout=2m"];
        if count == "0" { self.target.run(&gone).await.map(drop) } else { Ok(()) }
    }

    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    pub(super) fn bed(&self) -> &Bed {
        &self.bed
    }

    /// The node that has the image.
    pub(super) fn node(&self) -> &str {
        &self.target.node
    }

    /// How many objects of a kind were made for Reflectors.
    pub(super) async fn children(&self, kind: &str) -> Result<usize> {
        let label = "packetparamedic.io/reflector";
        let words = ["kubectl", "-n", NAMESPACE, "get", kind, "-l", label, "-o", "name"];
        Ok(self.target.run(&words).await?.lines().count())
    }

    /// The API server's metrics.
    pub(super) async fn server_metrics(&self) -> Result<String> {
        self.target.run(&["kubectl", "get", "--raw", "/metrics"]).await
    }

    /// Removes everything again.
    pub(super) async fn strike(mut self) -> Result<()> {
        for name in std::mem::take(&mut self.appliances) {
            self.bed.remove_appliance(&name).await?;
        }
        cluster::earlier(&self.target).await.context("clear the bed")
    }

    /// What it was measured with.
    pub(super) async fn versions(&self) -> Result<String> {
        let kubernetes = self.client.apiserver_version().await.context("ask for the version")?.git_version;
        let nodes = self.bed.state().nodes;
        Ok(format!(
            "reflector {} ({}), Kubernetes {kubernetes} on {nodes} nodes of one machine, kine on SQLite",
            env!("CARGO_PKG_VERSION"),
            self.profile
        ))
    }

    pub(super) fn reflectors(&self) -> Api<DynamicObject> {
        self.api("Reflector")
    }

    pub(super) fn peers(&self) -> Api<DynamicObject> {
        self.api("ReflectorPeer")
    }

    pub(super) fn secrets(&self) -> Api<k8s_openapi::api::core::v1::Secret> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    fn api(&self, kind: &str) -> Api<DynamicObject> {
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("packetparamedic.io", "v1alpha1", kind));
        Api::namespaced_with(self.client.clone(), NAMESPACE, &kind)
    }

    /// A Reflector on the node that has the image; with another node, one that never gets a pod.
    pub(super) fn reflector(&self, number: u16, serves: bool, more: &Value) -> Value {
        let node = if serves { self.target.node.as_str() } else { "nowhere" };
        let port = if serves { port(number) } else { FIRST_PORT };
        let mut spec = json!({
            "placement": { "nodeSelector": { "kubernetes.io/hostname": node } },
            "network": { "port": port, "healthPort": port + 1 },
            "identity": { "retain": false },
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            spec[key] = value.clone();
        }
        object("Reflector", &reflector_name(number), &spec)
    }

    /// Makes one that serves, and waits until it does; where it is, as `PP-…` and `host:port`.
    pub(super) async fn serve(&self, number: u16, more: &Value) -> Result<(String, String)> {
        let reflectors = self.reflectors();
        create(&reflectors, self.reflector(number, true, more)).await?;
        let name = reflector_name(number);
        moments(&reflectors, &name, Instant::now(), [&|object| is_true(object, "Ready")]).await?;
        let status = reflectors.get(&name).await?.data["status"].clone();
        let text =
            |value: &Value| value.as_str().map(str::to_owned).context("it has no Endpoint ID or address");
        Ok((text(&status["endpointId"])?, text(&status["addresses"][0])?))
    }

    /// A machine of its own; what precedes a command to run it there.
    pub(super) async fn appliance(&mut self, name: &str) -> Result<Vec<OsString>> {
        // One of that name is what an earlier measurement left when it failed.
        if self.bed.member(name).is_err() {
            self.bed.add_appliance(name).await?;
        }
        self.appliances.push(name.to_owned());
        self.bed.inside(name, [""; 0])
    }

    /// What has been written so far: to our kinds by anybody, and of any kind by the operator and the pods.
    pub(super) async fn tallies(&self) -> Result<(Tally, Tally)> {
        let page = self.target.run(&["kubectl", "get", "--raw", "/metrics"]).await?;
        let log = std::fs::read_to_string(self.bed.audit_log()).context("read the API server's audit log")?;
        Ok((Tally::of_metric(&page), Tally::of_log(&log, SYSTEM, NAMESPACE)))
    }

    /// The provisioner that runs beside the API server.
    pub(super) fn local_path(&self) -> Result<Vitals> {
        let started =
            self.bed.state().components.get("local-path").context("no local-path-provisioner runs")?;
        Ok(Vitals::of(started.process.pid))
    }

    /// Writes to our kinds that the API server has taken, by anybody.
    pub(super) async fn writes(&self) -> Result<f64> {
        Ok(self.tallies().await?.0.total())
    }

    /// Writes of the operator to anything but its Lease, by its own count.
    pub(super) async fn operator_writes(&self) -> Result<f64> {
        let text = self.operator_metrics().await?;
        Ok(sum(&text, "reflector_operator_api_writes_total{", |line| !line.contains("kind=\"Lease\"")))
    }

    /// The operator's metrics.
    pub(super) async fn operator_metrics(&self) -> Result<String> {
        let pod = ["kubectl", "-n", SYSTEM, "get", "pods", "-o", "jsonpath={.items[0].status.podIP}"];
        let address = self.target.run(&pod).await?;
        let words = ["timeout", "5", "bash", "-c", FETCH, address.trim(), "7302"];
        let words = self.bed.inside(&self.target.node, words)?;
        let output = Command::new(&words[0]).args(&words[1..]).kill_on_drop(true).output().await;
        let output = output.context("look at the operator's metrics")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(text.contains(" 200 "), "the operator's metrics answer: {text}");
        Ok(text)
    }
}

/// A machine of its own has a folder of its own to start from.
fn absolute(program: &Path) -> Result<PathBuf> {
    std::fs::canonicalize(program).with_context(|| format!("find the program {}", program.display()))
}

/// The port of a reflector that serves.
pub(super) fn port(number: u16) -> u16 {
    FIRST_PORT + 2 * number
}

/// The operator's process.
pub(super) fn operator() -> Result<Vitals> {
    match processes("/reflector-operator")?.as_slice() {
        [one] => Ok(*one),
        all => bail!("{} operators run", all.len()),
    }
}

/// The reflectors' processes.
pub(super) fn pods() -> Result<Vec<Vitals>> {
    processes("/reflector")
}

pub(super) fn reflector_name(number: u16) -> String {
    format!("r-{number}")
}

pub(super) fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({ "apiVersion": "packetparamedic.io/v1alpha1", "kind": kind, "metadata": { "name": name }, "spec": spec })
}

pub(super) async fn create(api: &Api<DynamicObject>, object: Value) -> Result<()> {
    let object: DynamicObject = serde_json::from_value(object).context("read the object")?;
    api.create(&PostParams::default(), &object).await.context("create the object").map(drop)
}

/// Lays this over an object's spec.
pub(super) async fn edit(api: &Api<DynamicObject>, name: &str, spec: &Value) -> Result<i64> {
    let patch = Patch::Merge(json!({ "spec": spec }));
    let object = api.patch(name, &PatchParams::default(), &patch).await.context("edit the object")?;
    object.metadata.generation.context("it has no generation")
}

/// The samples of a metric that are asked for, summed.
pub(super) fn sum(metrics: &str, name: &str, is_wanted: impl Fn(&str) -> bool) -> f64 {
    let lines = metrics.lines().filter(|line| line.starts_with(name) && is_wanted(line));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// Processes in containers whose program is this one; in the image it stands in the root.
fn processes(program: &str) -> Result<Vec<Vitals>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").context("list the processes")? {
        let entry = entry.context("list the processes")?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // One that has just ended has no program.
        if std::fs::read_link(entry.path().join("exe")).is_ok_and(|exe| exe == std::path::Path::new(program))
        {
            found.push(Vitals::of(pid));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_a_metric_are_summed_where_they_are_wanted() {
        let text = "a{verb=\"GET\"} 5\na{verb=\"PUT\"} 2\na{verb=\"POST\"} 3\nab{verb=\"PUT\"} 7\n";
        assert!((sum(text, "a{", |line| !line.contains("GET")) - 5.0).abs() < 0.1);
    }
}
