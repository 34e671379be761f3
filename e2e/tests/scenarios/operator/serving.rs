//! A Reflector that serves from a pod, with an operator beside it, and appliances on this machine that measure against it.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use crds::{Reflector, ReflectorPeer};
use e2e::appliance::Key;
use e2e::proc::{Daemon, Spawn};
use e2e::scenario::{MINUTE, Scenario, wait_until};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{ListParams, PostParams};
use serde_json::{Value, json};

use super::running::{Operator, built, fetch, image_on};
use super::{create, reflector, says};
use crate::chart;
use crate::crds::install;

/// A test that was cut, refused or done has ended by then.
const ENDING: Duration = Duration::from_secs(60);

/// What `reflector test` ends with.
pub(super) const MEASURED: i32 = 0;
pub(super) const DENIED: i32 = 2;

/// A Reflector called attic, and its operator.
pub(super) struct Attic<'a> {
    pub(super) story: &'a Scenario,
    pub(super) operator: Operator,
    program: PathBuf,
    home: tempfile::TempDir,
    /// Whom appliances expect, and where.
    address: String,
    health: SocketAddr,
}

/// An appliance on this machine.
pub(super) struct Appliance {
    pub(super) name: String,
    folder: PathBuf,
    pub(super) key: Key,
}

/// A measurement that was begun.
pub(super) struct Measurement(Daemon);

impl<'a> Attic<'a> {
    /// Makes one with these quotas, and waits until it serves. Data moves slowly: it is not the speed that is tested.
    pub(super) async fn serving(
        story: &'a Scenario,
        (node, ip): (&str, [u8; 4]),
        port: u16,
        quotas: &Value,
    ) -> Result<Self> {
        install(story).await?;
        chart::apply(story, &["templates/access/endpoint.yaml"]).await?;
        chart::apply(story, &chart::POLICIES).await?;
        let program = built("reflector", "reflector").await?;
        let home = tempfile::tempdir().context("make a home for appliances")?;
        image_on(story, node, "faults").await?;

        let operator = Operator::start(story, &[]).await?;
        let mut all =
            json!({ "cooldown": "0s", "testsPerHour": 100, "maxRate": "20M", "maxTestDuration": "60s" });
        for (key, value) in quotas.as_object().into_iter().flatten() {
            all[key] = value.clone();
        }
        let more = json!({ "image": { "tag": "faults", "pullPolicy": "Never" }, "quotas": all });
        create(story, &reflector("attic", node, port, &more)).await?;
        says(story, "attic", "Ready", "True", "Serving").await?;
        let address = address(story, "attic").await?;
        let health = SocketAddr::from((ip, port + 1));
        Ok(Self { story, operator, program, home, address, health })
    }

    /// One more, of the same program on the same node; waits until it serves. Answers whom one expects there, and where.
    pub(super) async fn beside(&self, name: &str, node: &str, port: u16, more: &Value) -> Result<String> {
        let mut all = json!({
            "image": { "tag": "faults", "pullPolicy": "Never" },
            "quotas": { "cooldown": "0s", "testsPerHour": 100, "maxRate": "20M" },
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            all[key] = value.clone();
        }
        create(self.story, &reflector(name, node, port, &all)).await?;
        says(self.story, name, "Ready", "True", "Serving").await?;
        address(self.story, name).await
    }

    /// An appliance with a key of its own, whom the Reflector does not know.
    pub(super) fn stranger(&self, name: &str) -> Result<Appliance> {
        let folder = self.home.path().join(name);
        std::fs::create_dir(&folder).context("make a folder for an appliance")?;
        let (key, path) = (Key::generate(), folder.join("key"));
        std::fs::write(&path, key.seed()).context("write its key")?;
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).context("keep its key to it")?;
        let config = format!("[identity]\nprivate_key_path = \"{}\"\n", path.display());
        std::fs::write(folder.join("client.toml"), config).context("write its configuration")?;
        Ok(Appliance { name: name.to_owned(), folder, key })
    }

    /// An appliance that may measure: its object is loaded.
    pub(super) async fn appliance(&self, name: &str) -> Result<Appliance> {
        let appliance = self.stranger(name)?;
        self.peer(name, &json!({ "endpointId": appliance.key.endpoint_id() })).await?;
        self.ready(name).await?;
        Ok(appliance)
    }

    /// Makes the object of a peer.
    pub(super) async fn peer(&self, name: &str, more: &Value) -> Result<()> {
        let mut spec = json!({ "reflectorRef": { "kind": "Reflector", "name": "attic" } });
        for (key, value) in more.as_object().into_iter().flatten() {
            spec[key] = value.clone();
        }
        let peer = json!({
            "apiVersion": "packetparamedic.io/v1alpha1",
            "kind": "ReflectorPeer",
            "metadata": { "name": name },
            "spec": spec,
        });
        let peer: ReflectorPeer = serde_json::from_value(peer).context("read the peer")?;
        let peers = self.story.api::<ReflectorPeer>();
        peers.create(&PostParams::default(), &peer).await.context("create the peer")?;
        Ok(())
    }

    /// Waits until a peer is Ready.
    pub(super) async fn ready(&self, name: &str) -> Result<ReflectorPeer> {
        let peers = self.story.api::<ReflectorPeer>();
        wait_until(&format!("{name} is Ready"), MINUTE, async || {
            let peer = peers.get(name).await?;
            let conditions = peer.status.as_ref().map(|status| &status.conditions[..]).unwrap_or_default();
            let ready = conditions.iter().any(|one| one.type_ == "Ready" && one.status == "True");
            ensure!(ready, "{conditions:?}");
            Ok(peer)
        })
        .await
    }

    /// Begins to measure. Data comes from the Reflector, which keeps to the rate it allows.
    pub(super) fn measure(&self, appliance: &Appliance, more: &[&str]) -> Result<Measurement> {
        self.measure_at(&self.address, appliance, more)
    }

    /// The same, somewhere else.
    pub(super) fn measure_at(
        &self,
        address: &str,
        appliance: &Appliance,
        more: &[&str],
    ) -> Result<Measurement> {
        let output = tempfile::tempdir_in(&appliance.folder).context("make a folder for its output")?.keep();
        let config = appliance.folder.join("client.toml");
        let child = Spawn::new(&self.program, &output)
            .args(["-c".as_ref(), config.as_os_str()])
            .args(["test", address, "--json", "--down", "-P", "1"])
            .args(more)
            .env("HOME", &appliance.folder)
            .start()?;
        Ok(Measurement(child))
    }

    /// Measures for a second; it must end so. Answers what was said.
    pub(super) async fn ends(&self, appliance: &Appliance, more: &[&str], code: i32) -> Result<String> {
        let more = [&["-t", "1"], more].concat();
        let (ended, said) = self.measure(appliance, &more)?.ended().await?;
        ensure!(ended == Some(code), "the test of {} ended with {ended:?}: {said}", appliance.name);
        Ok(said)
    }

    /// One number of the pod, summed over the series with these labels.
    pub(super) async fn number(&self, name: &str, labels: &[&str]) -> Result<f64> {
        super::running::sum(&fetch(self.health, "/metrics").await?, name, labels)
    }

    /// Waits until so many sessions run.
    pub(super) async fn sessions(&self, count: u8) -> Result<()> {
        wait_until(&format!("{count} sessions run"), MINUTE, async || {
            let active = self.number("reflector_sessions_active", &[]).await?;
            ensure!((active - f64::from(count)).abs() < 0.5, "{active} run");
            Ok(())
        })
        .await
    }

    /// Its pod, by name.
    pub(super) async fn pod(&self) -> Result<String> {
        self.pod_of("attic").await
    }

    /// The pod of any.
    pub(super) async fn pod_of(&self, reflector: &str) -> Result<String> {
        let selector = ListParams::default().labels(&format!("packetparamedic.io/reflector={reflector}"));
        let pods = self.story.api::<Pod>().list(&selector).await.context("look for its pod")?;
        pods.items.first().map(Pod::name_any).context("it has no pod")
    }
}

impl Measurement {
    /// Waits for its end: the exit code, and everything it printed.
    pub(super) async fn ended(mut self) -> Result<(Option<i32>, String)> {
        let status = self.0.wait(ENDING).await?;
        Ok((status.code(), format!("{}{}", self.0.stdout()?, self.0.stderr()?)))
    }
}

/// Whom one expects at a Reflector, and where, as its status says.
pub(super) async fn address(story: &Scenario, name: &str) -> Result<String> {
    let status = story.api::<Reflector>().get(name).await?.status.context("it has no status")?;
    let id = status.endpoint_id.context("it has no Endpoint ID")?;
    let at = status.addresses.first().context("it has no address")?;
    Ok(format!("{id}@{at}"))
}
