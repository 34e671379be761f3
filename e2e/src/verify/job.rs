//! One step at work: starts its commands, keeps their output, ends them when they take too long.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::place::Place;

/// How a step ended, when it did not fail.
pub(super) enum Outcome {
    /// With a note for the line, or an empty one.
    Passed(String),
    /// The same, but some of its tests could not run.
    Partly {
        /// Worth reading, or empty.
        note: String,
        /// How many tests.
        tests: usize,
        /// What they miss, a line each.
        missing: Vec<String>,
    },
    /// Could not run.
    Skipped {
        /// What is missing.
        why: String,
        /// What that means where a machine decides.
        in_ci: InCi,
    },
}

/// What a skipped step means in CI.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum InCi {
    /// The machine must be able to run it.
    Fails,
    /// It needs something outside that may be unreachable through no fault of the tree.
    Skips,
}

/// What the runner sees of a running step.
#[derive(Default)]
pub(super) struct Live {
    stage: Mutex<String>,
    last_command: Mutex<Option<String>>,
    children: Mutex<Children>,
}

#[derive(Default)]
struct Children {
    /// One for each command that runs.
    groups: Vec<Pid>,
    stopped: bool,
}

impl Live {
    /// What the step is doing right now.
    pub(super) fn stage(&self) -> String {
        lock(&self.stage).clone()
    }

    /// The command that ran last: on failure, the one that failed.
    pub(super) fn last_command(&self) -> Option<String> {
        lock(&self.last_command).clone()
    }

    /// Ends what runs with everything it started; nothing further starts.
    pub(super) fn stop(&self) {
        let mut children = lock(&self.children);
        children.stopped = true;
        for group in &children.groups {
            kill(*group);
        }
    }
}

/// A step's tools. Lives for one step; its commands end with it.
pub(super) struct Job {
    /// Where we are.
    pub(super) place: Place,
    name: &'static str,
    limit: Duration,
    live: Arc<Live>,
    /// What precedes each command: the way into the place where they run. Nothing when that is here.
    way: Vec<OsString>,
}

impl Job {
    /// A job with an empty log.
    pub(super) fn new(place: Place, name: &'static str, limit: Duration, live: Arc<Live>) -> Result<Self> {
        fs::create_dir_all(place.logs()).with_context(|| format!("create {}", place.logs().display()))?;
        let job = Self { place, name, limit, live, way: Vec::new() };
        File::create(job.log()).with_context(|| format!("create {}", job.log().display()))?;
        Ok(job)
    }

    /// A part of this step that runs beside the rest, with a log of its own, in the place that `way` leads into.
    pub(super) fn beside(&self, name: &'static str, way: Vec<OsString>) -> Result<Self> {
        let part = Self::new(self.place.clone(), name, self.limit, Arc::clone(&self.live))?;
        Ok(Self { way, ..part })
    }

    /// Takes over what a part has logged, whatever became of it.
    pub(super) fn absorb(&self, part: &Self) -> Result<()> {
        self.say(&part.logged()?)
    }

    /// The log of this step.
    pub(super) fn log(&self) -> PathBuf {
        self.place.logs().join(format!("{}.log", self.name))
    }

    /// Everything logged so far.
    pub(super) fn logged(&self) -> Result<String> {
        let bytes = fs::read(self.log()).context("read the log")?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Adds a line to the log.
    pub(super) fn say(&self, text: &str) -> Result<()> {
        writeln!(self.append()?, "{text}").context("write the log")
    }

    /// Tells a waiting person what is going on.
    pub(super) fn stage(&self, text: impl Into<String>) {
        *lock(&self.live.stage) = text.into();
    }

    /// Runs cargo in the workspace; passes when it does.
    pub(super) fn cargo(&self, arguments: &[&str]) -> Result<Outcome> {
        self.run(self.cargo_command(arguments))?;
        Ok(Outcome::Passed(String::new()))
    }

    /// A cargo command to add to, for [`Job::run`] or [`Job::capture`].
    pub(super) fn cargo_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.place.cargo);
        command.args(arguments);
        command
    }

    /// Runs a command to its end, output to the log.
    pub(super) fn run(&self, command: Command) -> Result<()> {
        let out = self.append()?;
        self.must_succeed(command, out, self.limit)
    }

    /// Like [`Job::run`] with a deadline of its own.
    pub(super) fn run_within(&self, limit: Duration, command: Command) -> Result<()> {
        let out = self.append()?;
        self.must_succeed(command, out, limit)
    }

    /// Runs a command to its end and returns its stdout; stderr goes to the log.
    pub(super) fn capture(&self, command: Command) -> Result<String> {
        self.capture_within(self.limit, command)
    }

    /// Like [`Job::capture`] with a deadline of its own.
    pub(super) fn capture_within(&self, limit: Duration, command: Command) -> Result<String> {
        let path = self.place.logs().join(format!("{}.out", self.name));
        let out = File::create(&path).with_context(|| format!("create {}", path.display()))?;
        self.must_succeed(command, out, limit)?;
        fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
    }

    fn append(&self) -> Result<File> {
        OpenOptions::new().append(true).open(self.log()).context("open the log")
    }

    fn must_succeed(&self, command: Command, out: File, limit: Duration) -> Result<()> {
        let text = describe(&command, &self.place);
        let status = self.execute(command, &text, out, limit)?;
        if !status.success() {
            // Another one may have been started since.
            *lock(&self.live.last_command) = Some(text.clone());
            bail!("`{text}` failed: {status}");
        }
        Ok(())
    }

    fn execute(&self, mut command: Command, text: &str, out: File, limit: Duration) -> Result<ExitStatus> {
        self.say(&format!("$ {text}"))?;
        *lock(&self.live.last_command) = Some(text.to_owned());
        command = led(&self.way, command);
        command
            .current_dir(&self.place.root)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(self.append()?)
            .env("CARGO_TERM_COLOR", "never")
            .env("CARGO_TERM_PROGRESS_WHEN", "never")
            // A group of its own: ending it also ends what cargo started.
            .process_group(0);
        for variable in &self.place.unset {
            command.env_remove(variable);
        }
        let (mut child, group) = {
            let mut children = lock(&self.live.children);
            ensure!(!children.stopped, "interrupted");
            let child = command.spawn().with_context(|| format!("start `{text}`"))?;
            let group = Pid::from_child(&child);
            children.groups.push(group);
            (child, group)
        };
        let (tell, told) = mpsc::channel();
        let waiter = std::thread::Builder::new().name(format!("wait-{}", self.name));
        waiter.spawn(move || tell.send(child.wait())).context("start a thread")?;
        let status = if let Ok(status) = told.recv_timeout(limit) {
            status.with_context(|| format!("wait for `{text}`"))
        } else {
            kill(group);
            // Killed, so this comes at once.
            let _ = told.recv();
            bail!("`{text}` took more than {} s and was ended", limit.as_secs());
        };
        lock(&self.live.children).groups.retain(|other| *other != group);
        status
    }
}

/// The same command behind what leads to where it runs.
fn led(way: &[OsString], command: Command) -> Command {
    let [program, words @ ..] = way else { return command };
    let mut led = Command::new(program);
    led.args(words).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => led.env(name, value),
            None => led.env_remove(name),
        };
    }
    led
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn kill(group: Pid) {
    // The only failure is that it has already ended.
    let _ = kill_process_group(group, Signal::KILL);
}

/// A command as one would type it at the top of the tree: the tasks of this program are cargo's aliases.
fn describe(command: &Command, place: &Place) -> String {
    let program = command.get_program();
    let ours = program == place.cargo || is_a_running_program(Path::new(program));
    let program = if ours { "cargo".into() } else { short(Path::new(program), place) };
    let set = command.get_envs().filter_map(|(key, value)| {
        value.map(|value| format!("{}={:?}", key.to_string_lossy(), value.to_string_lossy()))
    });
    let arguments = command.get_args().map(|argument| short(Path::new(argument), place));
    set.chain([program]).chain(arguments).collect::<Vec<_>>().join(" ")
}

/// `/proc/PID/exe`: this program, whatever stands in its place by now.
fn is_a_running_program(path: &Path) -> bool {
    path.starts_with("/proc") && path.ends_with("exe")
}

fn short(path: &Path, place: &Place) -> String {
    path.strip_prefix(&place.root).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(limit: Duration) -> (tempfile::TempDir, Job) {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::at(dir.path().to_path_buf());
        let job = Job::new(place, "step", limit, Arc::default()).unwrap();
        (dir, job)
    }

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn output_of_both_kinds_is_in_the_log_after_the_command() {
        let (_dir, job) = job(LONG);
        job.run(sh("echo out; echo err >&2")).unwrap();
        assert_eq!(job.logged().unwrap(), "$ sh -c echo out; echo err >&2\nout\nerr\n");
    }

    #[test]
    fn captured_output_is_returned_and_errors_stay_in_the_log() {
        let (_dir, job) = job(LONG);
        assert_eq!(job.capture(sh("echo out; echo err >&2")).unwrap(), "out\n");
        assert!(job.logged().unwrap().ends_with("err\n"));
    }

    #[test]
    fn a_failing_command_fails_the_step_and_is_remembered() {
        let (_dir, job) = job(LONG);
        let error = job.run(sh("exit 3")).unwrap_err();
        assert!(error.to_string().contains("`sh -c exit 3` failed: exit status: 3"), "{error}");
        assert_eq!(job.live.last_command().as_deref(), Some("sh -c exit 3"));
    }

    #[test]
    fn a_command_over_its_deadline_is_ended_with_its_children() {
        let (_dir, job) = job(Duration::from_millis(300));
        // The child keeps the pipe open as long as it lives: reading to its end proves that it is gone.
        let (mut reader, writer) = std::io::pipe().unwrap();
        let out = File::from(std::os::fd::OwnedFd::from(writer));
        let error = job.execute(sh("sleep 300 & wait"), "sh", out, job.limit).unwrap_err();
        assert!(error.to_string().contains("took more than"), "{error}");
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || tell.send(std::io::Read::read_to_end(&mut reader, &mut Vec::new())));
        told.recv_timeout(Duration::from_secs(10)).expect("the grandchild outlived its deadline").unwrap();
    }

    #[test]
    fn after_a_stop_nothing_new_starts() {
        let (_dir, job) = job(LONG);
        job.live.stop();
        assert!(job.run(sh("true")).unwrap_err().to_string().contains("interrupted"));
    }

    #[test]
    fn a_part_runs_where_it_was_led_and_what_it_said_is_taken_over() {
        let (_dir, job) = job(LONG);
        let part = job.beside("part", ["env", "WHERE=there"].map(OsString::from).to_vec()).unwrap();
        let mut command = sh("echo $WHERE $WHAT");
        command.env("WHAT", "it is");
        part.run(command).unwrap();
        job.run(sh("echo ${WHERE-here}")).unwrap();
        job.absorb(&part).unwrap();
        let expected =
            "$ sh -c echo ${WHERE-here}\nhere\n$ WHAT=\"it is\" sh -c echo $WHERE $WHAT\nthere it is\n\n";
        assert_eq!(job.logged().unwrap(), expected);
    }

    #[test]
    fn commands_are_shown_as_one_would_type_them() {
        let (dir, job) = job(LONG);
        let mut command = Command::new(dir.path().join("target/tools/bin/cargo-deny"));
        command.arg("check").env("A", "b c");
        assert_eq!(describe(&command, &job.place), "A=\"b c\" target/tools/bin/cargo-deny check");
        let mut alias = Command::new("/proc/17/exe");
        alias.args(["bed", "up"]);
        assert_eq!(describe(&alias, &job.place), "cargo bed up");
    }
}
