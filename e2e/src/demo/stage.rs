//! The reflector of the demo: its folder, its process, its command line, its manifests and its audit log.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use e2e::measuring::Measuring;
use e2e::proc::{Daemon, Ready, Spawn};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::screen::Screen;

/// How long anything may take before the demo gives up. Far above what it takes.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// How often something is looked at that announces itself to nobody.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// The place where it all happens. Dropping it kills the reflector and removes its folder.
pub(super) struct Stage {
    dir: TempDir,
    program: PathBuf,
    spawn: Spawn,
    daemon: Option<Daemon>,
    /// The control port.
    pub(super) addr: SocketAddr,
    /// Who answers there.
    pub(super) endpoint_id: String,
}

/// Limits of a peer, as its manifest names them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) bytes_per_day: Option<u64>,
    /// Bits a second.
    pub(super) max_rate: u64,
}

impl std::fmt::Display for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "  quotas:\n    maxRate: {}\n", self.max_rate)?;
        self.bytes_per_day.map_or(Ok(()), |limit| writeln!(f, "    bytesPerDay: {limit}"))
    }
}

/// What a command answered.
#[derive(Debug)]
pub(super) struct Said {
    /// Its exit code; -1 when a signal ended it.
    pub(super) code: i32,
    /// Both outputs, standard output first.
    pub(super) text: String,
}

impl Stage {
    /// A folder with a configuration. Starts nothing.
    pub(super) fn new(program: PathBuf) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("reflector-demo-").tempdir().context("make a folder")?;
        let config = format!(
            "[identity]\nprivate_key_path = \"{}\"\n\n[network]\nlisten_address = \"127.0.0.1:0\"\nlisten_address_health = \"127.0.0.1:0\"\n",
            dir.path().join("identity.ed25519").display(),
        );
        std::fs::write(dir.path().join("reflector.toml"), config).context("write the configuration")?;
        let spawn = Spawn::new(&program, dir.path())
            .args(["serve"])
            .env("REFLECTOR_CONFIG", dir.path().join("reflector.toml"));
        let addr = SocketAddr::from(([127, 0, 0, 1], 0));
        Ok(Self { dir, program, spawn, daemon: None, addr, endpoint_id: String::new() })
    }

    /// Starts the reflector, again or for the first time, and waits until it serves.
    pub(super) async fn start(&mut self) -> Result<()> {
        let daemon = self.daemon.insert(self.spawn.start()?);
        daemon.ready(&Ready::Socket(self.dir.path().join("admin.sock")), PATIENCE).await?;
        let status = until("a reflector that serves", async || {
            Ok(self.json(&["status", "--json"]).await.ok().filter(|status| status["serving"] == true))
        })
        .await?;
        let addr = status["listen_address"].as_str().context("no listen_address in the status")?;
        self.addr = addr.parse().context("read the listen_address")?;
        status["endpoint_id"]
            .as_str()
            .context("no endpoint_id in the status")?
            .clone_into(&mut self.endpoint_id);
        Ok(())
    }

    /// The running process.
    pub(super) fn daemon(&mut self) -> Result<&mut Daemon> {
        self.daemon.as_mut().context("the reflector was not started")
    }

    /// A file in the folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Leaves the folder for whoever wants to know what went wrong.
    pub(super) fn keep(&mut self) -> PathBuf {
        self.dir.disable_cleanup(true);
        self.dir.path().to_owned()
    }

    /// Runs a command of the product, whatever it answers.
    pub(super) async fn run(&self, args: &[&str]) -> Result<Said> {
        let output = self.output(args).await?;
        let text = [output.stdout, output.stderr].concat();
        Ok(Said {
            code: output.status.code().unwrap_or(-1),
            text: String::from_utf8_lossy(&text).into_owned(),
        })
    }

    /// Shows a command, runs it, shows what it says. It must succeed.
    pub(super) async fn typed(&self, screen: &Screen, args: &[&str]) -> Result<String> {
        screen.command(&format!("reflector {}", args.join(" ")));
        let said = self.run(args).await?;
        screen.output(said.text.trim_end());
        ensure!(said.code == 0, "`reflector {}` ended with exit code {}", args.join(" "), said.code);
        Ok(said.text)
    }

    /// Runs a command for its JSON.
    pub(super) async fn json(&self, args: &[&str]) -> Result<Value> {
        let output = self.output(args).await?;
        let told = String::from_utf8_lossy(&output.stderr);
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("`reflector {}` gave no JSON: {}", args.join(" "), told.trim()))
    }

    async fn output(&self, args: &[&str]) -> Result<Output> {
        let run = self.command(args).env("REFLECTOR_CONFIG", self.path("reflector.toml")).output();
        let done = timeout(PATIENCE, run).await;
        let Ok(output) = done else {
            bail!("`reflector {}` did not end within {PATIENCE:?}", args.join(" "))
        };
        output.with_context(|| format!("start {}", self.program.display()))
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(args).current_dir(self.dir.path()).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Starts `reflector test` against this reflector, as somebody on another host would: with a key of its own, and no
    /// configuration.
    pub(super) fn measure(&self, args: &[&str]) -> Result<Measuring> {
        let address = format!("{}@{}", self.endpoint_id, self.addr);
        let mut command = self.command(&["test", &address]);
        command.args(args).env_remove("REFLECTOR_CONFIG").env("XDG_STATE_HOME", self.path("client"));
        Measuring::start(command)
    }

    /// What the reflector knows of this peer.
    pub(super) async fn peer(&self, name: &str) -> Result<Value> {
        let list = self.json(&["peers", "list", "--json"]).await?;
        let peers = list["peers"].as_array().context("no list of peers")?;
        let found = peers.iter().find(|peer| peer["name"] == name);
        found.cloned().with_context(|| format!("no peer {name} in the list"))
    }

    /// The page of a measurement that was saved.
    pub(super) fn page(&self) -> Option<PathBuf> {
        let saved = std::fs::read_dir(self.path("client/reflector/history")).ok()?;
        saved
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|kind| kind == "html"))
    }

    /// All lines of this type in the audit log.
    pub(super) fn audit(&self, event_type: &str) -> Result<Vec<Value>> {
        let lines = read_lines(&self.path("audit.jsonl"))?;
        Ok(lines.into_iter().filter(|line| line["event_type"] == event_type).collect())
    }

    /// Edits the peer's manifest as a person would: the file is replaced, nobody is told.
    pub(super) fn limit(&self, peer: &str, limits: Limits) -> Result<()> {
        let file = self.path(&format!("peers/{peer}.yaml"));
        let text = std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        let staged = self.path(&format!("peers/.{peer}.tmp"));
        std::fs::write(&staged, with_limits(&text, limits)).context("write the manifest")?;
        std::fs::rename(&staged, &file).context("put the manifest in place")
    }

    /// Waits for a line of the audit log.
    pub(super) async fn audited(&self, event_type: &str, test_id: &str) -> Result<Value> {
        let log = self.path("audit.jsonl");
        until(&format!("audit line {event_type}"), async || find_line(&log, event_type, test_id)).await
    }
}

/// Looks again until there is something.
pub(super) async fn until<T>(what: &str, look: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    until_every(LOOK_AGAIN, what, look).await
}

/// The same, for what is dear to look at.
pub(super) async fn until_every<T>(
    pause: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let mut tick = interval(pause);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let search = async {
        loop {
            tick.tick().await;
            if let Some(found) = look().await? {
                return Ok(found);
            }
        }
    };
    timeout(PATIENCE, search).await.unwrap_or_else(|_| bail!("no {what} within {PATIENCE:?}"))
}

/// The line of a test; the last one may still be on its way to the disk.
fn find_line(log: &Path, event_type: &str, test_id: &str) -> Result<Option<Value>> {
    Ok(read_lines(log)?
        .into_iter()
        .find(|line| line["event_type"] == event_type && line["test_id"] == test_id))
}

fn read_lines(log: &Path) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(log).context("read the audit log")?;
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// A manifest with these limits and no other; `spec` is its last part, as the reflector writes it.
fn with_limits(manifest: &str, limits: Limits) -> String {
    let kept = manifest.lines().filter(|line| {
        let line = line.trim_start();
        !["quotas:", "bytesPerDay:", "maxRate:"].iter().any(|key| line.starts_with(key))
    });
    let out: String = kept.flat_map(|line| [line, "\n"]).collect();
    out + &limits.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_written_once_and_replaced_later() {
        let limits = |bytes_per_day| Limits { bytes_per_day, max_rate: 3 };
        let first = with_limits("kind: ReflectorPeer\nspec:\n  endpointId: PP-1\n", limits(None));
        assert_eq!(first, "kind: ReflectorPeer\nspec:\n  endpointId: PP-1\n  quotas:\n    maxRate: 3\n");
        let second = with_limits(&first, limits(Some(7)));
        assert_eq!(second, first.clone() + "    bytesPerDay: 7\n");
        assert_eq!(with_limits(&second, limits(None)), first);
    }
}
