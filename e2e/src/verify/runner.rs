//! Runs the steps one after another, shows that they are alive, and stops cleanly on Ctrl-C.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::job::{InCi, Job, Live, Outcome};
use super::report::{self, Tally, Verdict};
use super::steps::Step;
use crate::place::Place;

/// How often the progress line is redrawn.
const REDRAW: Duration = Duration::from_millis(200);
/// Without a terminal a long step says once in a while that it is alive, so that no CI takes it for hung.
const HEARTBEAT: Duration = Duration::from_secs(60);
/// Back to the start of the line, which is then empty.
const CLEAR: &str = "\r\x1b[2K";
/// What a shell reports for a process that SIGINT ended.
const INTERRUPTED: u8 = 130;

/// Runs `steps` in order and prints their lines and the summary.
pub(super) fn run(place: Place, steps: &[&'static Step]) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.context("start the runner").and_then(|runtime| runtime.block_on(all(place, steps))) {
        Ok(code) => code,
        Err(error) => {
            anstream::eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn all(place: Place, steps: &[&'static Step]) -> Result<ExitCode> {
    let mut screen = Screen { terminal: std::io::stdout().is_terminal(), frame: 0 };
    let mut signals = Signals::new()?;
    let mut tally = Tally::default();
    let began = Instant::now();
    for step in steps {
        let live = Arc::new(Live::default());
        let started = Instant::now();
        let Some(verdict) = one(&place, step, &live, &mut screen, &mut signals).await else {
            live.stop();
            screen.print(&format!(
                "interrupted in {}; its log: {}.log",
                step.name,
                place.logs().join(step.name).display()
            ));
            return Ok(ExitCode::from(INTERRUPTED));
        };
        screen.print(&report::finished(step.name, started.elapsed(), &verdict));
        tally.add(step.name, &verdict);
    }
    screen.print(&tally.summary(began.elapsed()));
    Ok(if tally.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One step from start to verdict; none when the user interrupts.
async fn one(
    place: &Place,
    step: &'static Step,
    live: &Arc<Live>,
    screen: &mut Screen,
    signals: &mut Signals,
) -> Option<Verdict> {
    let started = Instant::now();
    let (place, theirs, ci) = (place.clone(), Arc::clone(live), place.ci);
    let mut work = tokio::task::spawn_blocking(move || work(place, step, &theirs));
    let mut tick = interval(if screen.terminal { REDRAW } else { HEARTBEAT });
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            biased;
            () = signals.any() => return None,
            done = &mut work => {
                let result = done.unwrap_or_else(|panic| (Err(anyhow::anyhow!("the step panicked: {panic}")), String::new()));
                return Some(judge(step.name, ci, live.last_command(), result));
            }
            _ = tick.tick() => screen.alive(step.name, &live.stage(), started.elapsed()),
        }
    }
}

/// The blocking part: the step itself, and what it left in its log.
fn work(place: Place, step: &Step, live: &Arc<Live>) -> (Result<Outcome>, String) {
    let job = match Job::new(place, step.name, step.limit, Arc::clone(live)) {
        Ok(job) => job,
        Err(error) => return (Err(error), String::new()),
    };
    let result = (step.run)(&job);
    if let Err(error) = &result
        && let Err(unwritten) = job.say(&format!("{error:#}"))
    {
        return (result, format!("{unwritten:#}"));
    }
    let log = job.logged().unwrap_or_else(|error| format!("{error:#}"));
    (result, log)
}

fn judge(name: &str, ci: bool, command: Option<String>, (result, log): (Result<Outcome>, String)) -> Verdict {
    let again = |command: Option<String>| {
        let whole = format!("cargo verify --only {name}");
        std::iter::once(whole).chain(command).collect()
    };
    match result {
        Ok(Outcome::Passed(note)) => Verdict::Passed(note),
        Ok(Outcome::Partly { note, tests, missing }) => Verdict::Partly { note, tests, missing },
        Ok(Outcome::Skipped { why, in_ci: InCi::Fails }) if ci => {
            let tail = format!("SKIPPED: {why}\nin CI (CI=true) this step must be able to run");
            Verdict::Failed { tail, again: again(None) }
        }
        Ok(Outcome::Skipped { why, .. }) => Verdict::Skipped(why),
        Err(error) => {
            let tail = if log.is_empty() { format!("{error:#}") } else { report::excerpt(&log) };
            Verdict::Failed { tail, again: again(command) }
        }
    }
}

/// Ctrl-C and SIGTERM.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        let listen = |kind| signal(kind).context("listen for signals");
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// Cancel-safe: a signal that arrives between two calls is seen by the next.
    async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Where lines go: a terminal that can be redrawn, or a log.
struct Screen {
    terminal: bool,
    frame: usize,
}

impl Screen {
    fn alive(&mut self, name: &str, stage: &str, took: Duration) {
        if self.terminal {
            self.frame = self.frame.wrapping_add(1);
            write(&format!("{CLEAR}{}", report::progress(name, stage, took, self.frame)));
        } else {
            let whole = if took < REDRAW { Duration::ZERO } else { took };
            write(&format!("{}\n", report::running(name, whole)));
        }
    }

    fn print(&self, text: &str) {
        let clear = if self.terminal { CLEAR } else { "" };
        write(&format!("{clear}{text}\n"));
    }
}

/// A reader that went away (`cargo verify | head`) changes nothing about the result.
fn write(text: &str) {
    let mut out = anstream::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skip(in_ci: InCi) -> (Result<Outcome>, String) {
        (Ok(Outcome::Skipped { why: "no network".into(), in_ci }), String::new())
    }

    #[test]
    fn a_step_that_cannot_run_fails_in_ci_unless_the_world_outside_is_at_fault() {
        assert_eq!(judge("x", false, None, skip(InCi::Fails)), Verdict::Skipped("no network".into()));
        assert_eq!(judge("x", true, None, skip(InCi::Skips)), Verdict::Skipped("no network".into()));
        let Verdict::Failed { tail, .. } = judge("x", true, None, skip(InCi::Fails)) else {
            panic!("passed by absence");
        };
        assert!(tail.contains("SKIPPED: no network"));
    }

    #[test]
    fn a_failure_names_the_step_and_the_very_command() {
        let result = (Err(anyhow::anyhow!("no")), "$ cargo fmt\ndiff\n".to_owned());
        let verdict = judge("fmt", false, Some("cargo fmt --all --check".into()), result);
        let again = vec!["cargo verify --only fmt".to_owned(), "cargo fmt --all --check".to_owned()];
        assert_eq!(verdict, Verdict::Failed { tail: "$ cargo fmt\ndiff".into(), again });
    }
}
