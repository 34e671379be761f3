//! A reflector as a process, its command line, and its files: what a test of the whole program stands on.
//!
//! The program is the `testbed` example: the product with the test engine. It is built on first use with the profile
//! of the running test, so a stale one is never tested.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::Duration;

use e2e::appliance::{Appliance, Connection, Key};
use e2e::proc::{Daemon, Ready, Spawn};
use serde_json::Value;
use tempfile::TempDir;

/// Long enough for a busy machine; nothing is asserted about it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The product with the test engine.
pub(crate) fn testbed() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--package", "reflector", "--example", "testbed"]);
        // target/<profile>/deps/<this test>
        let exe = std::env::current_exe().unwrap();
        let profile = exe.parent().and_then(Path::parent).unwrap().to_owned();
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        assert!(cargo.status().unwrap().success(), "cargo build --example testbed");
        profile.join("examples/testbed")
    })
}

/// One reflector with a folder of its own. Dropping it kills the process and removes the folder.
pub(crate) struct Bed {
    pub(crate) dir: TempDir,
    program: PathBuf,
    spawn: Spawn,
    pub(crate) daemon: Daemon,
    pub(crate) addr: SocketAddr,
    pub(crate) health: SocketAddr,
    pub(crate) endpoint_id: String,
}

impl Bed {
    /// Default policy.
    pub(crate) async fn start() -> Self {
        Self::with("").await
    }

    /// `extra` is appended to the configuration: whole sections (`[quotas]\n…`, `[logging]\n…`).
    pub(crate) async fn with(extra: &str) -> Self {
        Self::launch(extra, &[]).await
    }

    /// With environment variables, for example `REFLECTOR_TESTBED_PACE`.
    pub(crate) async fn launch(extra: &str, env: &[(&str, &str)]) -> Self {
        Self::run(testbed(), extra, env).await
    }

    /// Another program with the same command line: the product as it is shipped, without the test engine.
    pub(crate) async fn run(program: &Path, extra: &str, env: &[(&str, &str)]) -> Self {
        Self::launch_as(program, tempfile::tempdir().unwrap(), extra, |spawn| {
            env.iter().fold(spawn, |spawn, (name, value)| spawn.env(name, value))
        })
        .await
    }

    /// In a folder that exists already, with a process that differs in more than its configuration.
    pub(crate) async fn launch_as(
        program: &Path,
        dir: TempDir,
        extra: &str,
        adapt: impl FnOnce(Spawn) -> Spawn,
    ) -> Self {
        let config = dir.path().join("reflector.toml");
        let text = format!(
            "[identity]\nprivate_key_path = \"{}\"\n[network]\nlisten_address = \"127.0.0.1:0\"\nlisten_address_health = \"127.0.0.1:0\"\n{}\n",
            dir.path().join("identity.ed25519").display(),
            if extra.contains("[access]") {
                extra.to_owned()
            } else {
                format!("[access]\nname = \"attic\"\n{extra}")
            },
        );
        std::fs::write(&config, text).unwrap();
        let spawn =
            adapt(Spawn::new(program, dir.path()).args([Path::new("-c"), &config, Path::new("serve")]));
        let daemon = spawn.start().unwrap();
        let unset = SocketAddr::from(([0, 0, 0, 0], 0));
        let program = program.to_owned();
        let mut bed =
            Self { dir, program, spawn, daemon, addr: unset, health: unset, endpoint_id: String::new() };
        bed.await_ready().await;
        bed
    }

    async fn await_ready(&mut self) {
        let socket = self.path("admin.sock");
        self.daemon.ready(&Ready::Socket(socket), PATIENCE).await.unwrap();
        // `status` fails until the peers folder was read: wait for the line that says so.
        self.daemon.ready(&Ready::Line("peers directory loaded".into()), PATIENCE).await.unwrap();
        let status = self.status();
        self.addr = status["listen_address"].as_str().unwrap().parse().unwrap();
        self.health = status["health_address"].as_str().unwrap().parse().unwrap();
        status["endpoint_id"].as_str().unwrap().clone_into(&mut self.endpoint_id);
    }

    /// Starts it again on the same folder, after a kill or a stop.
    pub(crate) async fn restart(&mut self) {
        self.daemon = self.spawn.start().unwrap();
        self.await_ready().await;
    }

    /// A file in its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs a command of the CLI on this reflector.
    pub(crate) fn cli(&self, args: &[&str]) -> Output {
        Command::new(&self.program).arg("-c").arg(self.path("reflector.toml")).args(args).output().unwrap()
    }

    /// Runs a command that must succeed and parses its JSON.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let output = self.cli(args);
        let text = String::from_utf8_lossy(&output.stdout);
        serde_json::from_str(&text)
            .unwrap_or_else(|e| panic!("{args:?}: {e}\n{text}\n{}", String::from_utf8_lossy(&output.stderr)))
    }

    /// `reflector status --json`
    pub(crate) fn status(&self) -> Value {
        self.json(&["status", "--json"])
    }

    /// Opens a pairing window; the code.
    pub(crate) fn pair(&self) -> String {
        self.json(&["pair", "--json"])["code"].as_str().unwrap().to_owned()
    }

    /// Authorises a key through the CLI; returns once it is in force.
    pub(crate) fn add(&self, key: &Key, name: &str) {
        let output = self.cli(&["peers", "add", &key.endpoint_id(), "--name", name]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Writes a manifest with extra lines under `spec:` (indented by two spaces) and waits until it is in force.
    pub(crate) fn write_peer(&self, key: &Key, name: &str, spec: &str) {
        let text = format!(
            "apiVersion: packetparamedic.io/v1alpha1\nkind: ReflectorPeer\nmetadata:\n  name: {name}\nspec:\n  reflectorRef:\n    kind: Reflector\n    name: attic\n  endpointId: {}\n{spec}",
            key.endpoint_id()
        );
        let staged = self.path(&format!("peers/.{name}.tmp"));
        std::fs::write(&staged, text).unwrap();
        std::fs::rename(staged, self.path(&format!("peers/{name}.yaml"))).unwrap();
    }

    /// A fresh appliance, authorised and connected, past its hello.
    pub(crate) async fn appliance(&self, name: &str) -> (Key, Connection) {
        let key = Key::generate();
        self.add(&key, name);
        let (connection, _) = Appliance::builder(key.clone()).open(self.addr).await.unwrap();
        (key, connection)
    }

    /// The audit log, parsed.
    pub(crate) fn audit(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path("audit.jsonl")).unwrap_or_default();
        // The last line may be on its way to the disk.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits until the audit log holds a line of this type for which `and` holds.
    pub(crate) async fn audited(&self, event_type: &str, and: impl Fn(&Value) -> bool) -> Value {
        let found = || self.audit().into_iter().find(|line| line["event_type"] == event_type && and(line));
        until(found, &format!("an audit line {event_type}")).await
    }

    /// One number of `/metrics`, by its whole series (`reflector_connections{state="known"}`).
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        let text = http_get(self.health, "/metrics").await;
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
        line.unwrap_or_else(|| panic!("no series {series} in\n{text}"))
    }
}

/// The body of a GET.
pub(crate) async fn http_get(addr: SocketAddr, path: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
}

/// Looks again until there is something, or fails saying what was awaited. For things another process does, which
/// announce themselves to nobody.
pub(crate) async fn until<T>(mut look: impl FnMut() -> Option<T>, what: &str) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "no {what} within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
