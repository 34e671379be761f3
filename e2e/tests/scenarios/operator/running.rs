//! The operator as a process of this machine, for one namespace, with the rights of the bed's administrator or of whom a
//! scenario says.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::proc::{Daemon, Ready, Spawn};
use e2e::scenario::{MINUTE, Scenario, wait_until};
use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;

/// The one repository that it lets Reflectors use. Nothing of that name is on the nodes.
const IMAGE: &str = "bed.example/reflector:1";
/// Ending includes what was begun.
const ENDING: Duration = Duration::from_secs(30);

/// An operator that runs.
pub(super) struct Operator {
    daemon: Daemon,
    admin: SocketAddr,
    _output: tempfile::TempDir,
}

impl Operator {
    /// Starts one and waits until its caches are warm.
    pub(super) async fn start(story: &Scenario, more: &[&str]) -> Result<Self> {
        Self::start_as(story, &story.bed.kubeconfig(), more).await
    }

    /// The same with the rights of somebody else.
    pub(super) async fn start_as(story: &Scenario, kubeconfig: &Path, more: &[&str]) -> Result<Self> {
        let program = built("operator", "reflector-operator").await?;
        let output = tempfile::tempdir().context("make a folder for its log")?;
        let mut daemon = Spawn::new(&program, output.path())
            .args(["--namespace", &story.namespace, "--admin-addr", "127.0.0.1:0"])
            .args(["--lease-namespace", &story.namespace, "--reflector-image", IMAGE])
            .args(["--log-level", "info,operator=debug"])
            .args(more)
            .env("KUBECONFIG", kubeconfig)
            .start()?;
        daemon.ready(&Ready::Line("admin=".into()), MINUTE).await?;
        let log = daemon.stderr()?;
        let said = log.split("admin=").nth(1).and_then(|rest| rest.split_whitespace().next());
        let admin = said.context("find the admin port in its log")?.parse().context("read the admin port")?;
        daemon.ready(&Ready::Http(admin, "/readyz".into()), MINUTE).await?;
        Ok(Self { daemon, admin, _output: output })
    }

    /// One of its numbers, summed over the series that contain all of these labels.
    pub(super) async fn number(&self, name: &str, labels: &[&str]) -> Result<f64> {
        sum(&fetch(self.admin, "/metrics").await?, name, labels)
    }

    /// Writes so far, the Lease apart.
    pub(super) async fn writes(&self) -> Result<f64> {
        let name = "reflector_operator_api_writes_total";
        Ok(self.number(name, &[]).await? - self.number(name, &["kind=\"Lease\""]).await?)
    }

    /// Reconciles that ended so.
    pub(super) async fn reconciles(&self, result: &str) -> Result<f64> {
        let label = format!("result=\"{result}\"");
        self.number("reflector_operator_reconcile_total", &[&label]).await
    }

    /// Waits until everything has settled: a look that changes nothing follows the last write.
    pub(super) async fn settled(&self) -> Result<()> {
        let quiet =
            async || -> Result<(f64, f64)> { Ok((self.writes().await?, self.reconciles("ok").await?)) };
        let last = std::cell::Cell::new((quiet().await?, 0));
        wait_until("the operator has nothing more to write", MINUTE, async || {
            let (now, (before, times)) = (quiet().await?, last.get());
            let same = now == before;
            last.set((now, if same { times + 1 } else { 0 }));
            ensure!(times > 15, "writes and reconciles with a write: {now:?}");
            Ok(())
        })
        .await
    }

    /// Asks it to end; it must end well.
    pub(super) async fn end(mut self) -> Result<()> {
        self.daemon.sigterm()?;
        let status = self.daemon.wait(ENDING).await?;
        ensure!(status.success(), "it ended with {status}: {}", self.daemon.stderr()?);
        Ok(())
    }

    /// Takes it away as a power cut would.
    pub(super) async fn kill(mut self) -> Result<()> {
        self.daemon.kill_9().await?;
        Ok(())
    }

    /// Lets it stand still, until it goes on where it stood.
    pub(super) fn stall(&self, still: bool) -> Result<()> {
        Ok(self.daemon.signal(if still { Signal::STOP } else { Signal::CONT })?)
    }

    /// Waits until it has ended by itself, which is a failure. What it logged.
    pub(super) async fn gave_up(mut self) -> Result<String> {
        let status = self.daemon.wait(ENDING).await?;
        let log = self.daemon.stderr()?;
        ensure!(!status.success(), "it ended with {status}: {log}");
        Ok(log)
    }

    /// What it logged.
    pub(super) fn log(&self) -> Result<String> {
        Ok(self.daemon.stderr()?)
    }
}

/// One number of a page of metrics, summed over the series that contain all of these labels.
pub(super) fn sum(page: &str, name: &str, labels: &[&str]) -> Result<f64> {
    let series =
        page.lines().filter(|line| line.starts_with(name) && labels.iter().all(|label| line.contains(label)));
    let mut sum = 0.0;
    for line in series {
        let value = line.rsplit(' ').next().context("read a sample")?;
        sum += value.parse::<f64>().with_context(|| format!("read the sample {line}"))?;
    }
    Ok(sum)
}

/// A page of an admin or health port.
pub(super) async fn fetch(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).await.context("connect to the admin port")?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.context("read from the admin port")?;
    let (head, body) = answer.split_once("\r\n\r\n").context("read an answer that has no end of its head")?;
    ensure!(head.contains(" 200 "), "the answer is {head}");
    Ok(body.to_owned())
}

fn root() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest)
}

/// Makes an image of the reflector and brings it to a node, as `bed.example/reflector:TAG`.
pub(super) async fn image_on(story: &Scenario, node: &str, tag: &str) -> Result<()> {
    let program = built("reflector", "reflector").await?;
    story.bed.deliver(node, &program, &format!("bed.example/reflector:{tag}")).await
}

/// Built as tests are, once; afterwards this is a moment.
pub(crate) async fn built(package: &str, program: &str) -> Result<PathBuf> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--package", package, "--bin", program]);
    let status = cargo.current_dir(root()).stdin(Stdio::null()).kill_on_drop(true).status().await;
    let status = status.context("start cargo")?;
    ensure!(status.success(), "{program} does not build: {status}");
    // Beside this test: target/debug/deps/scenarios-… → target/debug.
    let ourselves = std::env::current_exe().context("find this test")?;
    let folder = ourselves.parent().and_then(Path::parent).context("find the target folder")?;
    Ok(folder.join(program))
}
