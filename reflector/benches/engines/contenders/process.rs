//! Child processes with an account of their CPU time.

use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use e2e::vitals::Vitals;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

/// Nothing here takes longer to begin, or to end after its time.
const PATIENCE: Duration = Duration::from_secs(30);
/// Clock ticks in a second, on every Linux.
const TICKS: f64 = 100.0;

/// A child. Dropping it kills it.
pub(crate) struct Running {
    child: Child,
}

/// What a child that ended leaves behind.
pub(crate) struct Done {
    pub(crate) stdout: String,
    pub(crate) cpu_seconds: f64,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::null());
        let child = command.spawn().with_context(|| format!("start {command:?}"))?;
        Ok(Self { child })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it writes, where that is a pipe. Leaves the rest for [`Self::end`].
    pub(crate) fn stdout(&mut self) -> Option<&mut ChildStdout> {
        self.child.stdout.as_mut()
    }

    /// User and system time so far.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        Ok(Vitals::of(self.pid()).cpu_ticks()? as f64 / TICKS)
    }

    /// CPU time of its living threads in seconds, to the nanosecond.
    pub(crate) fn cpu_time(&self) -> Result<f64> {
        Ok(Vitals::of(self.pid()).cpu_time()?.as_secs_f64())
    }

    /// Waits for its end; standard output must be a pipe.
    pub(crate) fn end(mut self) -> Result<Done> {
        let mut stdout = String::new();
        if let Some(mut pipe) = self.child.stdout.take() {
            pipe.read_to_string(&mut stdout).context("read the output")?;
        }
        // Not reaped yet: until then the kernel still tells the times of all its threads.
        let pid = Pid::from_child(&self.child);
        waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).context("wait")?;
        let cpu_seconds = self.cpu_seconds()?;
        let status = self.child.wait()?;
        ensure!(status.success(), "a child ended with {status}: {}", stdout.trim());
        Ok(Done { stdout, cpu_seconds })
    }

    /// Waits until it listens on this TCP port of its network.
    pub(crate) fn listening(&mut self, port: u16) -> Result<()> {
        let local = format!(":{port:04X}");
        let network = format!("/proc/{}/net", self.pid());
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let tables = ["tcp", "tcp6"]
                .map(|table| std::fs::read_to_string(format!("{network}/{table}")).unwrap_or_default());
            let listens = tables.iter().flat_map(|table| table.lines()).any(|line| {
                let fields: Vec<&str> = line.split_whitespace().take(4).collect();
                matches!(fields.as_slice(), [_, address, _, "0A"] if address.ends_with(&local))
            });
            if listens {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("a server ended ({status}) before it listened");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("no server on port {port} within {PATIENCE:?}")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that is gone already needs no killing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
