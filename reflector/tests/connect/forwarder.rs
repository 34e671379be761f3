//! A reflector that takes data through the tunnel only, and a `connect` beside it that it lets in.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::bed::{Bed, PATIENCE, until};
use crate::iperf;

const PROGRAM: &str = env!("CARGO_BIN_EXE_reflector");

/// Only the control port, and nothing in plain on it.
const TUNNEL_ONLY: &str = "plain_on_control_port = false\n[access]\nname = \"attic\"\n";

/// Both ends. Dropping it ends them.
pub(crate) struct Forwarder {
    pub(crate) bed: Bed,
    pub(crate) at: SocketAddr,
    connect: Connect,
    _home: TempDir,
}

/// A running `connect`, and its words. Killed when dropped.
pub(crate) struct Connect {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
}

fn program(home: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    let key = home.join("client.ed25519");
    command.env_clear().env("HOME", home).env("REFLECTOR__IDENTITY__PRIVATE_KEY_PATH", key);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// Runs `connect` to its end; exit code and standard error.
pub(crate) async fn refused(home: &Path, address: &str) -> (Option<i32>, String) {
    refused_with(home, address, &[]).await
}

/// The same with more arguments.
pub(crate) async fn refused_with(home: &Path, address: &str, more: &[&str]) -> (Option<i32>, String) {
    let mut command = program(home);
    let output = command.args(["connect", address, "--forward", "0"]).args(more).output();
    let output = timeout(PATIENCE, output).await.unwrap().unwrap();
    assert!(output.stdout.is_empty(), "stdout is for answers");
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

impl Forwarder {
    /// With the policy of this section (`[quotas]\n…`).
    pub(crate) async fn start(quotas: &str) -> Self {
        let bed = Bed::run(&PathBuf::from(PROGRAM), &format!("{TUNNEL_ONLY}{quotas}"), &[]).await;
        let home = tempfile::tempdir().unwrap();
        let address = format!("{}@{}", bed.endpoint_id, bed.addr);
        // Its first run makes the key, and is told that nobody knows it.
        let (code, told) = refused(home.path(), &address).await;
        assert_eq!(code, Some(2), "{told}");
        let id = told.split("Our Endpoint ID is ").nth(1).unwrap().split('.').next().unwrap().to_owned();
        assert!(bed.cli(&["peers", "add", &id, "--name", "laptop"]).status.success());
        let connect = Connect::spawn(home.path(), &address, &[]);
        let promise = |line: &String| Some(line.strip_prefix("forwarding ")?.split(' ').next()?.to_owned());
        let at = until(|| connect.said().iter().find_map(promise), "promise to forward").await;
        Self { bed, at: at.parse().unwrap(), connect, _home: home }
    }

    /// Runs iperf3 through it.
    pub(crate) async fn iperf3(&self, more: &[&str]) -> Value {
        iperf::run(self.at, IpAddr::V4(Ipv4Addr::LOCALHOST), more).await
    }

    /// The words of `connect` so far.
    pub(crate) fn said(&self) -> Vec<String> {
        self.connect.said()
    }

    /// Waits for a line that holds these words.
    pub(crate) async fn says(&self, words: &str) -> String {
        self.connect.says(words).await
    }

    /// The end of its newest session, from the audit log.
    pub(crate) async fn ended(&self) -> Value {
        self.bed.audited("session_completed", |_| true).await
    }

    /// Sends a signal and waits for the end of the process.
    pub(crate) async fn signal(&mut self, signal: rustix::process::Signal) -> ExitStatus {
        self.connect.signal(signal).await
    }
}

impl Connect {
    pub(crate) fn spawn(home: &Path, address: &str, more: &[&str]) -> Self {
        let mut child =
            program(home).args(["connect", address, "--forward", "0"]).args(more).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let said = Arc::<Mutex<Vec<String>>>::default();
        let heard = Arc::clone(&said);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                heard.lock().unwrap().push(line);
            }
        });
        Self { child, said }
    }

    fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }

    pub(crate) async fn says(&self, words: &str) -> String {
        until(|| self.said().into_iter().find(|line| line.contains(words)), words).await
    }

    pub(crate) async fn signal(&mut self, signal: rustix::process::Signal) -> ExitStatus {
        let pid = rustix::process::Pid::from_raw(self.child.id().unwrap().cast_signed()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
        timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap()
    }
}
