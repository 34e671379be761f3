//! Starting a component and waiting for it; knowing later whether it is still the same process.
//!
//! A component outlives the command that started it: it has its own session and is in the bed's cgroup, by which a sweep
//! finds it even when no state file names it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::{Instant, interval, timeout};

use super::component::Component;
use super::ready::Looker;

/// How often a sign is looked at again. A socket announces itself to nobody.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// One look may hang on a server that accepts and says nothing.
const LOOK: Duration = Duration::from_secs(2);
/// How many lines of a log an error shows.
const TAIL: usize = 20;
/// Becomes the rest in a session of its own. What whoever starts a bed has open, a lock perhaps, is not to stay open for as
/// long as the bed runs.
const DETACH: &str = r#"exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; exec setsid "$@""#;

/// A process that was started. Its number may be somebody else's by now; its start time tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// When it started, in clock ticks since boot.
    pub started: u64,
}

impl Process {
    fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        alive(&stat).map(|started| Self { pid, started })
    }

    /// Whether it still runs.
    pub fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Sends it a signal, unless it is gone.
    pub fn signal(self, signal: Signal) -> io::Result<()> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        match pid.filter(|_| self.is_alive()) {
            Some(pid) => Ok(kill_process(pid, signal)?),
            None => Ok(()),
        }
    }

    /// Waits until it is gone.
    pub async fn gone(self, deadline: Duration) -> Result<()> {
        let mut tick = interval(LOOK_AGAIN);
        let wait = async {
            while self.is_alive() {
                tick.tick().await;
            }
        };
        timeout(deadline, wait)
            .await
            .with_context(|| format!("process {} is not gone after {deadline:?}", self.pid))
    }
}

/// The start time in `/proc/PID/stat`; `None` when the process has ended and only waits to be reaped.
fn alive(stat: &str) -> Option<u64> {
    // The name is in parentheses and may contain anything, also parentheses.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?;
    (!matches!(state, "Z" | "X")).then(|| fields.nth(18)?.parse().ok()).flatten()
}

/// A component that was started, until it is ready.
pub(super) struct Starting {
    /// Which process it is.
    pub(super) process: Process,
    child: Child,
    component: Component,
    log: std::path::PathBuf,
    began: Instant,
}

/// Writes its files and starts it, in a session of its own. `prefix` leads into its cgroup and namespaces.
pub(super) fn start(component: Component, prefix: &[OsString], log: &Path) -> Result<Starting> {
    for (path, text) in &component.files {
        write(path, text)?;
    }
    let name = &component.name;
    let out = File::options().create(true).append(true).open(log);
    let out = out.with_context(|| format!("open the log of {name}"))?;
    let err = out.try_clone().with_context(|| format!("open the log of {name}"))?;
    let mut command = Command::new("sh");
    command.args(["-c", DETACH, "sh"]).args(prefix).args(&component.command);
    command.envs(component.environment.iter().map(|(name, value)| (name, value)));
    if !component.path.is_empty() {
        command.env("PATH", in_front(&component.path)?);
    }
    let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn();
    let child = child.with_context(|| format!("start {name}"))?;
    let process = child.id().and_then(Process::of).with_context(|| format!("{name} ended at once"))?;
    Ok(Starting { process, child, component, log: log.into(), began: Instant::now() })
}

impl Starting {
    /// Waits for its sign; ends early when the process does. Says how long it took.
    pub(super) async fn ready(mut self, looker: &Looker, deadline: Duration) -> Result<Duration> {
        let mut tick = interval(LOOK_AGAIN);
        let name = self.component.name.clone();
        let wait = async {
            loop {
                tick.tick().await;
                let look = looker.shows(&self.component.ready, self.process.pid, &self.log);
                if timeout(LOOK, look).await.unwrap_or(false) {
                    return Ok(());
                }
                if let Some(status) = self.child.try_wait().with_context(|| format!("look at {name}"))? {
                    bail!(
                        "{name} ended ({status}) before it was ready; its last words:\n{}",
                        tail(&self.log)
                    );
                }
            }
        };
        match timeout(deadline, wait).await {
            Ok(done) => done.map(|()| self.began.elapsed()),
            Err(_) => bail!(
                "{name} was not ready within {deadline:?} (awaited: {:?}); its last words:\n{}",
                self.component.ready,
                tail(&self.log)
            ),
        }
    }
}

/// Writes a file and the folders above it; nobody else may read it, some hold keys.
pub(super) fn write(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).with_context(|| format!("make the folder {}", folder.display()))?;
    fs::write(path, text).with_context(|| format!("write {}", path.display()))
}

/// The end of a log, for an error.
pub(super) fn tail(log: &Path) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(TAIL);
    lines[from..].join("\n")
}

#[expect(clippy::disallowed_methods, reason = "a component inherits the PATH of the command that starts it")]
fn in_front(folders: &[std::path::PathBuf]) -> Result<OsString> {
    let rest = std::env::var_os("PATH").unwrap_or_default();
    let all = folders.iter().cloned().chain(std::env::split_paths(&rest));
    std::env::join_paths(all).context("put a folder in front of PATH")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_whose_number_was_given_away_is_not_ours() {
        let this = Process::of(std::process::id()).unwrap();
        assert!(this.is_alive());
        let other = Process { started: this.started + 1, ..this };
        assert!(!other.is_alive());
        // Nobody is signalled: this test would not survive it.
        other.signal(Signal::KILL).unwrap();
    }

    #[test]
    fn a_component_holds_no_lock_of_whoever_started_it() {
        let locked = r#"exec 3</dev/null 9</dev/null; exec sh -c "$0" sh ls /proc/self/fd"#;
        let output = std::process::Command::new("sh").args(["-c", locked, DETACH]).output().unwrap();
        let open = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(open.starts_with("0\n1\n"), "{open}{errors}");
        assert!(!open.lines().any(|number| number == "9"), "{open}{errors}");
    }

    #[test]
    fn a_start_time_is_read_past_a_hostile_name_and_the_dead_do_not_count() {
        let stat = |state: &str| {
            format!("7 (a) R) {state} 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 9 0 4711 18446744 99\n")
        };
        assert_eq!(alive(&stat("S")), Some(4711));
        assert_eq!(alive(&stat("Z")), None);
        assert_eq!(alive("nonsense"), None);
    }
}
