//! Ours, both ends through the real program: `reflector serve` and `reflector test`.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use e2e::appliance::{Appliance, Connection, Key};
use reflector::client::target::HostPort;
use reflector::client::{Address, Link};
use reflector::identity::{Current, Identity};
use serde_json::Value;
use tokio::runtime::Runtime;

use super::host::Host;
use super::process::Running;
use super::{Contender, Place, Sample};

const PROGRAM: &str = env!("CARGO_BIN_EXE_reflector");
const SERVER_SEED: [u8; 32] = [21; 32];
const CLIENT_SEED: [u8; 32] = [22; 32];
const APPLIANCE_SEED: [u8; 32] = [23; 32];

/// Datagrams without a pace: more than any machine sends.
const UNPACED: &str = "200G";

/// A server as it is shipped, with limits that are not in the way.
pub(crate) struct Reflector {
    pub(crate) address: SocketAddr,
    pub(crate) process: Running,
    pub(crate) runtime: Runtime,
    folder: PathBuf,
}

impl Reflector {
    /// `network` is appended to the section of that name.
    pub(crate) fn start(place: &Place, network: &str) -> Result<Self> {
        Self::start_on(&Host::Here, place, network)
    }

    pub(crate) fn start_on(host: &Host, place: &Place, network: &str) -> Result<Self> {
        let folder = place.corner()?;
        let (address, health) = (host.free()?, host.free()?);
        let id = |seed: &[u8; 32]| Key::from_seed(*seed).endpoint_id();
        let server = write_key(&folder.join("server"), &SERVER_SEED)?;
        let text = format!(
            "[identity]\nprivate_key_path = \"{}\"\n[network]\nlisten_address = \"{address}\"\nlisten_address_health = \"{health}\"\ndeployment_mode = \"lan\"\n{network}\n[access]\nname = \"bench\"\nauthorized_peers = [\"{}\", \"{}\"]\n[quotas]\ncooldown_sec = 0\nmax_tests_per_hour_per_peer = 10000\nmax_concurrent_tests = 64\nmax_echo_pps = 100000\n[logging]\nlevel = \"error\"\n",
            server.display(),
            id(&CLIENT_SEED),
            id(&APPLIANCE_SEED),
        );
        fs::write(folder.join("server.toml"), text)?;
        let mut command = host.command(PROGRAM);
        command.arg("-c").arg(folder.join("server.toml")).arg("serve").stdout(Stdio::null());
        let mut process = Running::start(&mut command)?;
        process.listening(address.port())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { address, process, runtime, folder })
    }

    /// An appliance that is past its hello.
    pub(crate) fn appliance(&self) -> Result<Connection> {
        let appliance = Appliance::builder(Key::from_seed(APPLIANCE_SEED));
        once_let_in(|| Ok(self.runtime.block_on(appliance.open(self.address))?.0))
    }

    /// A client of ours, which can ask for more than an appliance.
    pub(crate) fn link(&self) -> Result<Link> {
        let us = Current::new(Identity::from_seed(&CLIENT_SEED), None, reflector::clock::now().wall)?;
        let endpoint_id = Identity::from_seed(&SERVER_SEED).id();
        let at = HostPort { host: self.address.ip().to_string(), port: self.address.port() };
        let address = Address { endpoint_id, at };
        once_let_in(|| Ok(self.runtime.block_on(Link::connect(&address, &us))?))
    }

    /// One `reflector test`: its result, its CPU time and the server's.
    fn test(&self, args: &[String]) -> Result<(Value, f64)> {
        let config = self.folder.join("client.toml");
        if !config.exists() {
            let key = write_key(&self.folder.join("client"), &CLIENT_SEED)?;
            fs::write(&config, format!("[identity]\nprivate_key_path = \"{}\"\n", key.display()))?;
        }
        let target = format!("{}@{}", Key::from_seed(SERVER_SEED).endpoint_id(), self.address);
        let before = self.process.cpu_seconds()?;
        let mut command = Command::new(PROGRAM);
        command.arg("-c").arg(config).arg("test").arg(target).args(args).arg("--json");
        let done = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::null()))?.end()?;
        let cpu = done.cpu_seconds + self.process.cpu_seconds()? - before;
        Ok((serde_json::from_str(&done.stdout).context("read our JSON")?, cpu))
    }
}

/// A server that has just begun to listen knows its peers a moment later.
fn once_let_in<T>(attempt: impl Fn() -> Result<T>) -> Result<T> {
    for _ in 0..50 {
        if let Ok(done) = attempt() {
            return Ok(done);
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    attempt()
}

fn write_key(folder: &Path, seed: &[u8; 32]) -> Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::create_dir(folder)?;
    let key = folder.join("identity.ed25519");
    fs::write(&key, seed)?;
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
    Ok(key)
}

/// Our client with our server.
pub(crate) struct Pair {
    reflector: Reflector,
    args: Vec<String>,
}

impl Pair {
    fn start(place: &Place, args: &[&str], streams: u32) -> Result<Self> {
        let streams = streams.to_string();
        let args = ["--up", "-P", &streams].iter().chain(args).map(|arg| (*arg).to_owned()).collect();
        Ok(Self { reflector: Reflector::start(place, "")?, args })
    }

    pub(crate) fn tcp(place: &Place, streams: u32) -> Result<Self> {
        Self::start(place, &[], streams)
    }

    pub(crate) fn udp(place: &Place) -> Result<Self> {
        Self::start(place, &["--udp", UNPACED], 1)
    }

    pub(crate) fn tunnel(place: &Place, streams: u32) -> Result<Self> {
        Self::start(place, &["--tunnel"], streams)
    }
}

impl Contender for Pair {
    fn run(&mut self, seconds: u32) -> Result<Sample> {
        let mut args = self.args.clone();
        args.extend(["-t".to_owned(), seconds.to_string()]);
        let (json, cpu) = self.reflector.test(&args)?;
        let phase = &json["phases"][0];
        ensure!(phase["end_reason"] == "completed", "ended as {}", phase["end_reason"]);
        let (bytes, duration) = (phase["bytes"].as_u64(), phase["duration_s"].as_f64());
        let (received, seconds) = bytes.zip(duration).context("no bytes in our result")?;
        // The account of the peer, kept apart from the results that the two ends exchange.
        let charged = json["usage"]["charged_bytes"].as_u64().context("no bytes charged")?;
        let sent = (phase["transport"] != "udp").then_some(charged);
        Ok(Sample { sent, ..Sample::of_bytes(received, seconds, cpu) })
    }
}
