//! Runs one long command: output to a log, seconds to whoever waits, an end at its deadline.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::debian;
use super::progress::Progress;

/// How often a waiting person sees the seconds.
const TICK: Duration = Duration::from_secs(1);
/// How much of the log an error shows.
const TAIL: usize = 15;

/// A command that is told to end when we do, also when nobody could clean up after us. The thread that starts it has to
/// wait for it, as [`run`] does: to the kernel, that thread is its owner.
pub(super) fn owned(program: &Path) -> Command {
    // In every Debian; without it an orphan goes on to its own end.
    let Some(setpriv) = debian::find("setpriv") else { return Command::new(program) };
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// Runs it to its end. The caller sets its standard input. The log stays, and is named when something failed.
pub(super) fn run(
    mut command: Command,
    what: &str,
    log: &Path,
    limit: Duration,
    progress: &mut Progress,
) -> Result<Duration> {
    let started = now();
    let out = File::create(log).with_context(|| format!("create {}", log.display()))?;
    let errors = out.try_clone().context("copy the log's descriptor")?;
    let program = command.get_program().to_string_lossy().into_owned();
    // In our own process group: Ctrl-C ends the build with us.
    let mut child = command.stdout(out).stderr(errors).spawn().with_context(|| format!("start {program}"))?;
    let pid = Pid::from_child(&child);
    let (tell, told) = mpsc::channel();
    std::thread::Builder::new()
        .name("wait-for-build".into())
        .spawn(move || tell.send(child.wait()))
        .context("start a thread")?;
    loop {
        let elapsed = now().saturating_duration_since(started);
        if elapsed > limit {
            // The only failure is that it has just ended.
            let _ = kill_process(pid, Signal::KILL);
            bail!("{what} took more than {} s and was ended; its log is {}", limit.as_secs(), log.display());
        }
        progress.tick(what, elapsed);
        match told.recv_timeout(TICK.min(limit)) {
            Ok(status) => {
                let status = status.with_context(|| format!("wait for {program}"))?;
                if !status.success() {
                    bail!(
                        "{what} failed ({status}); its log is {}, which ends:\n{}",
                        log.display(),
                        tail(log)?
                    );
                }
                return Ok(now().saturating_duration_since(started));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => bail!("the thread that waits for {program} is gone"),
        }
    }
}

fn tail(log: &Path) -> Result<String> {
    let text = fs::read(log).with_context(|| format!("read {}", log.display()))?;
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(TAIL)..].join("\n"))
}

#[expect(clippy::disallowed_methods, reason = "shows how long a build takes, and ends it at its deadline")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    fn sh(script: &str, limit: Duration) -> (Result<Duration>, String) {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::null());
        let result = run(command, "node: building", &log, limit, &mut Progress::silent());
        (result, fs::read_to_string(&log).unwrap())
    }

    #[test]
    fn output_of_both_kinds_is_in_the_log() {
        let (result, log) = sh("echo out; echo err >&2", Duration::from_secs(60));
        result.unwrap();
        assert_eq!(log, "out\nerr\n");
    }

    #[test]
    fn a_failure_names_the_log_and_shows_its_end() {
        let (result, _) = sh("for n in $(seq 100); do echo line $n; done; exit 3", Duration::from_secs(60));
        let error = result.unwrap_err().to_string();
        assert!(error.starts_with("node: building failed (exit status: 3); its log is /"), "{error}");
        assert!(error.contains("\nline 86\n") && error.ends_with("\nline 100"), "{error}");
        assert!(!error.contains("line 85\n"), "{error}");
    }

    #[test]
    fn a_command_ends_with_the_thread_that_owns_it() {
        use std::io::Read as _;
        use std::os::unix::process::ExitStatusExt as _;
        let start = || {
            let mut command = owned(Path::new("sh"));
            command.args(["-c", "echo; exec sleep 5"]).stdin(Stdio::null()).stdout(Stdio::piped());
            let mut child = command.spawn().unwrap();
            // It runs, so it has an owner.
            child.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
            child
        };
        let mut child = std::thread::spawn(start).join().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
    }

    #[test]
    fn a_command_over_its_deadline_is_ended() {
        // Returns long before the command would.
        let (result, _) = sh("exec sleep 600", Duration::from_millis(100));
        assert!(result.unwrap_err().to_string().contains("was ended; its log is"));
    }
}
