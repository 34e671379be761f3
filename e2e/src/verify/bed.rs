//! The step that starts a real Kubernetes, tells all scenarios on it, and ends it without a trace.

use std::process::Command;

use anyhow::{Result, ensure};
use e2e::bed;

use super::job::{InCi, Job, Outcome};
use super::steps::passed;

/// Rounds of starting, killing and ending: one for everybody, ten where time is no object.
const ROUNDS: [&str; 2] = ["1", "10"];

/// Starts it unless it runs; one that ran before runs on.
pub(super) fn run(job: &Job) -> Result<Outcome> {
    if !rustix::process::geteuid().is_root() {
        return Ok(Outcome::Skipped { why: "the bed needs root".to_owned(), in_ci: InCi::Fails });
    }
    let ran_before = bed::Bed::running().is_ok();
    if !ran_before {
        job.stage("building Kubernetes, starting and ending it");
        job.run(cargo_bed(&["up"]))?;
        job.run(cargo_bed(&["down"]))?;
        job.run(cargo_bed(&["check", "--rounds", ROUNDS[usize::from(job.place.long)]]))?;
        job.run(cargo_bed(&["up"]))?;
    }
    job.stage("scenarios");
    let mut scenarios = job.cargo_command(&["test", "--package", "e2e", "--test", "scenarios"]);
    scenarios.env("REFLECTOR_BED_REQUIRED", "1");
    let told = job.run(scenarios);
    if !ran_before {
        // Also after a failure: what there was to see is kept in target/scenarios.
        job.run(cargo_bed(&["down"]))?;
    }
    told?;
    let passed = passed(&job.logged()?);
    ensure!(passed > 0, "no scenario ran");
    Ok(Outcome::Passed(format!("{passed} scenarios")))
}

/// This program, also after cargo has put another one in its place, which building the scenarios does.
fn cargo_bed(words: &[&str]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg("bed").args(words);
    command
}
