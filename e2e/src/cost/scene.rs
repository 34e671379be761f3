//! A reflector to look at: a process in a folder of its own, with the peers that may connect to it.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::appliance::Key;
use e2e::proc::{Daemon, Ready};
use e2e::vitals::Vitals;
use serde_json::Value;
use tempfile::TempDir;

/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(60);

/// A running reflector. Dropping it kills the process and removes its folder.
pub(super) struct Scene {
    pub(super) addr: SocketAddr,
    program: PathBuf,
    dir: TempDir,
    daemon: Daemon,
}

impl Scene {
    /// Starts one that knows these keys.
    pub(super) async fn start(program: &Path, peers: &[Key]) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let key = dir.path().join("identity.ed25519");
        let mut config = String::new();
        writeln!(config, "[identity]\nprivate_key_path = \"{}\"", key.display())?;
        writeln!(
            config,
            "[network]\nlisten_address = \"127.0.0.1:0\"\nlisten_address_health = \"127.0.0.1:0\""
        )?;
        writeln!(config, "[access]\nname = \"cost\"")?;
        fs::write(dir.path().join("reflector.toml"), config)?;
        fs::create_dir(dir.path().join("peers"))?;
        for (number, peer) in peers.iter().enumerate() {
            let file = dir.path().join(format!("peers/peer-{number}.yaml"));
            fs::write(file, manifest(number, &peer.endpoint_id()))?;
        }
        let arguments =
            ["-c".as_ref(), dir.path().join("reflector.toml").into_os_string().as_os_str(), "serve".as_ref()]
                .map(std::ffi::OsStr::to_owned);
        let mut daemon = Daemon::spawn(program, dir.path(), arguments)?;
        daemon.ready(&Ready::Socket(dir.path().join("admin.sock")), START).await?;
        daemon.ready(&Ready::Line("peers directory loaded".into()), START).await?;
        let mut scene = Self { addr: ([0, 0, 0, 0], 0).into(), program: program.to_owned(), dir, daemon };
        let status = scene.json(&["status", "--json"])?;
        scene.addr = status["listen_address"].as_str().context("no listen_address in the status")?.parse()?;
        Ok(scene)
    }

    /// The process.
    pub(super) fn vitals(&self) -> Vitals {
        self.daemon.vitals()
    }

    /// Opens a pairing window.
    pub(super) fn open_pairing(&self) -> Result<()> {
        self.json(&["pair", "--ttl", "1h", "--json"]).map(drop)
    }

    /// Wrong codes that were looked at in the open window.
    pub(super) fn wrong_codes(&self) -> Result<u64> {
        self.json(&["status", "--json"])?["pairing"]["wrong"].as_u64().context("no count of wrong codes")
    }

    /// Runs a command of the CLI that must succeed and parses its JSON.
    fn json(&self, arguments: &[&str]) -> Result<Value> {
        let config = self.dir.path().join("reflector.toml");
        let output = Command::new(&self.program).arg("-c").arg(config).args(arguments).output()?;
        ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).with_context(|| format!("the output of {arguments:?}"))
    }
}

fn manifest(number: usize, endpoint_id: &str) -> String {
    format!(
        "apiVersion: packetparamedic.io/v1alpha1\nkind: ReflectorPeer\nmetadata:\n  name: peer-{number}\nspec:\n  reflectorRef:\n    kind: Reflector\n    name: cost\n  endpointId: {endpoint_id}\n"
    )
}
