//! The step that starts a real Kubernetes, tells all scenarios on it, and ends it without a trace.

use std::process::Command;

use anyhow::Result;
use e2e::{bed, parts};

use super::job::{InCi, Job, Outcome};
use super::tested;

/// Rounds of starting, killing and ending: one for everybody, ten where time is no object.
const ROUNDS: [&str; 2] = ["1", "10"];
/// Which Kubernetes the scenarios are told on: the newest for everybody, the oldest as well where time is no object.
const LINES: [&[&str]; 2] = [&["newest"], &["newest", "oldest"]];

/// Starts it unless it runs; one that ran before runs on.
pub(super) fn run(job: &Job) -> Result<Outcome> {
    // In CI the start installs packages as root, and says itself what it cannot get.
    let installs = job.place.ci && rustix::process::geteuid().is_root();
    if !installs && let Some(why) = parts::lacking() {
        return Ok(Outcome::Skipped { why, in_ci: InCi::Fails });
    }
    if bed::Bed::running().is_ok() {
        tell(job)?;
    } else {
        for kubernetes in LINES[usize::from(job.place.long)] {
            on_a_new_bed(job, kubernetes)?;
        }
        job.stage("starting it, killing it, starting it again, ending it, looking for traces");
        job.run(cargo_bed(&["check", "--rounds", ROUNDS[usize::from(job.place.long)]]))?;
    }
    tested::outcome(job, "scenarios")
}

fn on_a_new_bed(job: &Job, kubernetes: &str) -> Result<()> {
    job.stage(format!("building and starting the {kubernetes} Kubernetes"));
    let mut words = vec!["up", "--kubernetes", kubernetes];
    words.extend(job.place.long.then_some("--argocd"));
    let up = job.run(cargo_bed(&words));
    let told = up.and_then(|()| tell(job)).and_then(|()| job.run(cargo_bed(&["status"])));
    // Also after a failure: what there was to see of a scenario is kept in target/scenarios, of a start in this log.
    let down = job.run(cargo_bed(&["down"]));
    told.and(down)
}

fn tell(job: &Job) -> Result<()> {
    job.stage("scenarios");
    let mut scenarios = job.cargo_command(&["test", "--package", "e2e", "--test", "scenarios"]);
    scenarios.env("REFLECTOR_BED_REQUIRED", "1");
    job.run(scenarios)
}

/// This program, also after cargo has put another one in its place, which building the scenarios does.
fn cargo_bed(words: &[&str]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg("bed").args(words);
    command
}
