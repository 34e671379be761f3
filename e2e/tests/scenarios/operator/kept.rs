//! A reflector with the rights of its pod: it follows its objects, and serves on while the API server is away.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use crds::{Reflector, ReflectorPeer};
use e2e::appliance::{Appliance, Error, Key, Test};
use e2e::proc::{Daemon, Spawn};
use e2e::scenario::{MINUTE, Scenario, alone, wait_until};
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::timeout;

use super::running::built;
use crate::chart;
use crate::crds::install;

/// What the operator calls the account of a Reflector called attic.
const ACCOUNT: &str = "rfl-attic";
/// Long enough for a restart on a busy machine, short enough to wait for its end.
const GRACE: &str = "20s";
/// A command of the reflector answers, or hangs.
const COMMAND: Duration = Duration::from_secs(20);

/// X2, G12, A1: as a process of this machine, because a pod that starts while the API server is away has a kubelet that
/// would not start it.
#[tokio::test]
async fn known_peers_are_served_while_the_api_server_is_away_and_over_a_restart() {
    alone("kept", async |story: &mut Scenario| {
        install(story).await?;
        chart::apply(story, &["templates/access/endpoint.yaml"]).await?;
        let mut pod = Pod::new(story).await?;
        let (known, late, cellar) = (Key::generate(), Key::generate(), Key::generate());
        peer(story, "known", &known, "attic").await?;
        peer(story, "cellar", &cellar, "cellar").await?;
        pod.start().await?;
        pod.serves("it serves the peer that was there", &known).await?;
        pod.refuses("a peer of another reflector", &cellar).await?;

        pod.refuses("a peer without an object", &late).await?;
        peer(story, "late", &late, "attic").await?;
        pod.serves("it serves the peer that was applied", &late).await?;
        let suspend = Patch::Merge(json!({ "spec": { "suspend": true } }));
        let peers = story.api::<ReflectorPeer>();
        peers.patch("late", &PatchParams::default(), &suspend).await.context("suspend the late peer")?;
        pod.refuses("the suspended peer", &late).await?;

        story.bed.stop("apiserver").await?;
        pod.policy("it knows that the API server is away", "stale").await?;
        pod.serves("it serves its peer without the API server", &known).await?;
        pod.refuses("the suspended peer, without the API server", &late).await?;
        let vitals = pod.daemon()?.vitals();
        println!("  resident while idle: {} KiB, {} of it its own", vitals.rss_kib()?, vitals.private_kib()?);

        pod.daemon()?.kill_9().await?;
        pod.start().await?;
        pod.policy("what it kept is in force", "stale").await?;
        pod.serves("it serves its peer after a restart", &known).await?;
        pod.refuses("the suspended peer, after a restart", &late).await?;

        pod.policy("the grace is over", "grace_over").await?;
        pod.refuses("its peer, when the grace is over", &known).await?;
        story.bed.start("apiserver").await?;
        pod.policy("it knows that the API server is back", "current").await?;
        pod.serves("it serves its peer again", &known).await?;
        story.kubectl(["delete", "reflectorpeer", "known"]).await?;
        pod.refuses("the peer that was deleted", &known).await?;
        // Their pauses between tries have grown to a minute, which the next story would wait out.
        for component in ["controller-manager", "scheduler"] {
            story.bed.stop(component).await?;
            story.bed.start(component).await?;
        }
        Ok(())
    })
    .await;
}

async fn peer(story: &Scenario, name: &str, key: &Key, reflector: &str) -> Result<()> {
    let peer = json!({
        "apiVersion": "packetparamedic.io/v1alpha1",
        "kind": "ReflectorPeer",
        "metadata": { "name": name },
        "spec": { "reflectorRef": { "kind": "Reflector", "name": reflector }, "endpointId": key.endpoint_id() },
    });
    let peer: ReflectorPeer = serde_json::from_value(peer).context("read the peer")?;
    story.api().create(&PostParams::default(), &peer).await.with_context(|| format!("create {name}"))?;
    Ok(())
}

/// The reflector, as the operator would have its pod start it.
struct Pod {
    home: tempfile::TempDir,
    program: PathBuf,
    spawn: Spawn,
    daemon: Option<Daemon>,
    address: SocketAddr,
}

impl Pod {
    async fn new(story: &Scenario) -> Result<Self> {
        let attic = json!({
            "apiVersion": "packetparamedic.io/v1alpha1",
            "kind": "Reflector",
            "metadata": { "name": "attic" },
            "spec": {
                "quotas": { "cooldown": "0s", "testsPerHour": 100 },
                "access": { "offlineGrace": GRACE },
            },
        });
        let attic: Reflector = serde_json::from_value(attic).context("read the Reflector")?;
        let attic = story.api().create(&PostParams::default(), &attic).await.context("create it")?;
        let home = tempfile::tempdir().context("make a home for the reflector")?;
        let kubeconfig = home.path().join("kubeconfig");
        std::fs::write(&kubeconfig, account(story).await?).context("write its kubeconfig")?;
        let file = home.path().join("reflector.toml");
        let text = format!(
            "[identity]\nprivate_key_path = \"{}\"\n[network]\nlisten_address = \"127.0.0.1:0\"\nlisten_address_health = \"127.0.0.1:0\"\n[access]\nname = \"attic\"\nnamespace = \"{}\"\nuid = \"{}\"\n",
            home.path().join("identity.ed25519").display(),
            story.namespace,
            attic.uid().context("the Reflector has no uid")?,
        );
        std::fs::write(&file, text).context("write its configuration")?;
        let program = built("reflector", "reflector").await?;
        let spawn = Spawn::new(&program, home.path())
            .args(["serve"])
            .env("REFLECTOR_CONFIG", &file)
            .env("KUBECONFIG", &kubeconfig);
        Ok(Self { home, program, spawn, daemon: None, address: SocketAddr::from(([127, 0, 0, 1], 0)) })
    }

    /// Starts it, again or for the first time, and waits until it serves.
    async fn start(&mut self) -> Result<()> {
        self.daemon = Some(self.spawn.start()?);
        let serving = wait_until("the reflector serves", MINUTE, async || {
            let status = self.status().await?;
            ensure!(status["serving"] == true, "{status}");
            Ok(status)
        });
        let status = serving.await.with_context(|| format!("its log: {}", self.log()))?;
        let address = status["listen_address"].as_str().context("it says no address")?;
        self.address = address.parse().context("read its address")?;
        Ok(())
    }

    fn daemon(&mut self) -> Result<&mut Daemon> {
        self.daemon.as_mut().context("it was not started")
    }

    fn log(&self) -> String {
        self.daemon.as_ref().and_then(|daemon| daemon.stderr().ok()).unwrap_or_default()
    }

    async fn status(&self) -> Result<Value> {
        let mut command = Command::new(&self.program);
        command.args(["status", "--json"]).env("REFLECTOR_CONFIG", self.home.path().join("reflector.toml"));
        let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
        let output = timeout(COMMAND, output).await.context("its status hangs")?.context("ask its status")?;
        let said = String::from_utf8_lossy(&output.stderr);
        serde_json::from_slice(&output.stdout).with_context(|| format!("read its status: {}", said.trim()))
    }

    async fn policy(&self, what: &str, state: &str) -> Result<()> {
        let waited = wait_until(what, MINUTE, async || {
            let status = self.status().await?;
            ensure!(status["policy"]["state"] == state, "{}", status["policy"]);
            Ok(())
        });
        waited.await.with_context(|| format!("its log: {}", self.log()))
    }

    async fn ask(&self, key: &Key) -> Result<(), Error> {
        let (mut link, _hello) = Appliance::builder(key.clone()).open(self.address).await?;
        let grant = link.request(&Test::throughput(1)).await?.granted()?;
        link.close_session(&grant.test_id).await?;
        link.close().await
    }

    async fn serves(&self, what: &str, key: &Key) -> Result<()> {
        let waited = wait_until(what, MINUTE, async || Ok(self.ask(key).await?));
        waited.await.with_context(|| format!("its log: {}", self.log()))
    }

    async fn refuses(&self, whom: &str, key: &Key) -> Result<()> {
        wait_until(&format!("it refuses {whom}"), MINUTE, async || match self.ask(key).await {
            Err(error) if error.code() == Some(403) => Ok(()),
            Err(error) => bail!("refused, but not for want of rights: {error}"),
            Ok(()) => bail!("it was served"),
        })
        .await
    }
}

/// A kubeconfig of the account that the operator gives a pod, with its role and no other right.
async fn account(story: &Scenario) -> Result<String> {
    story.create_account(ACCOUNT).await?;
    story.bind("reflector-endpoint", &story.namespace, ACCOUNT).await?;
    story.kubeconfig_of(&story.token(ACCOUNT).await?).await
}
