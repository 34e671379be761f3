//! The step that starts a real Kubernetes, tells all scenarios on it, and ends it without a trace.

use std::process::Command;

use anyhow::{Result, bail};
use e2e::scenario::{TURN, TURNS};
use e2e::{bed, parts};

use super::job::{InCi, Job, Outcome};
use super::{second_try, tested};

/// Rounds of starting, killing and ending: one for everybody, five where there is time. `cargo bed check --rounds 10` is for more.
const ROUNDS: [&str; 2] = ["1", "5"];
/// Most of a scenario is waiting, so more of them fit than there are processors on a small machine.
const SIDE_BY_SIDE: &str = "--test-threads=4";
/// Which Kubernetes scenarios are told on, and which of them, none named being all: the newest for everybody, and with
/// `--long` the oldest as well, as far as its API server, its kubelet and its admission have a say. Not in CI, where both
/// would have to be built from nothing: the second takes ten minutes, which there are not.
const LINES: [&[Line]; 2] = [&[NEWEST], &[NEWEST, OLDEST]];
const NEWEST: Line = Line { kubernetes: "newest", argocd: true, scenarios: &[] };
const OLDEST: Line = Line {
    kubernetes: "oldest",
    argocd: false,
    scenarios: &[
        "chart::render::",
        "crds::",
        "host_network::",
        "images::",
        "operator::a_reflector_becomes",
        "operator::admission::",
        "services::",
        "storage::",
    ],
};

struct Line {
    kubernetes: &'static str,
    argocd: bool,
    scenarios: &'static [&'static str],
}

/// Starts it unless it runs; one that ran before runs on.
pub(super) fn run(job: &Job) -> Result<Outcome> {
    // In CI the start installs packages as root, and says itself what it cannot get.
    let installs = job.place.ci && rustix::process::geteuid().is_root();
    if !installs && let Some(why) = parts::lacking() {
        return Ok(Outcome::Skipped { why, in_ci: InCi::Fails });
    }
    if bed::Bed::running().is_ok() {
        // An operator of a demo would act on the objects of scenarios.
        job.run(ourselves(&["demo", "--clear"]))?;
        TURNS.iter().try_for_each(|turn| tell(job, &NEWEST, turn))?;
    } else {
        for line in LINES[usize::from(job.place.long && !job.place.ci)] {
            on_new_beds(job, line)?;
        }
        job.stage("starting it, killing it, starting it again, ending it, looking for traces");
        job.run(cargo_bed(&["check", "--rounds", ROUNDS[usize::from(job.place.long)]]))?;
    }
    tested::outcome(job, "scenarios")
}

/// Each turn on a bed of its own: most of either is waiting, so that both take hardly longer than one.
fn on_new_beds(job: &Job, line: &Line) -> Result<()> {
    job.stage(format!("building and starting the {} Kubernetes", line.kubernetes));
    let told = up(job, line).and_then(|()| {
        // Once, not in both turns.
        job.run(scenarios(job, &["--list"]))?;
        job.stage("scenarios");
        match bed::Apart::open() {
            Ok(apart) => on_two(job, line, &apart),
            Err(why) => {
                job.say(&format!("one bed for both turns, there is no place for a second: {why:#}"))?;
                TURNS.iter().try_for_each(|turn| tell(job, line, turn))
            }
        }
    });
    ended(job, told)
}

/// The first turn on the bed that is up, the second beside it.
fn on_two(job: &Job, line: &Line, apart: &bed::Apart) -> Result<()> {
    let [beside, alone] = TURNS;
    let other = job.beside("bed-alone", apart.inside(&job.place.root))?;
    let (here, there) = std::thread::scope(|scope| {
        let there = scope.spawn(|| ended(&other, up(&other, line).and_then(|()| tell(&other, line, alone))));
        let here = tell(job, line, beside);
        (here, there.join().unwrap_or_else(|_| bail!("whoever told what is told alone panicked")))
    });
    job.absorb(&other)?;
    here.and(there)
}

fn up(job: &Job, line: &Line) -> Result<()> {
    let mut words = vec!["up", "--spare", "--kubernetes", line.kubernetes];
    words.extend((line.argocd && job.place.long).then_some("--argocd"));
    job.run(cargo_bed(&words))
}

/// Ends it, also after a failure: what there was to see of a scenario is kept in target/scenarios, of a start in the log.
fn ended(job: &Job, told: Result<()>) -> Result<()> {
    let told = told.and_then(|()| job.run(cargo_bed(&["status"])));
    told.and(job.run(cargo_bed(&["down"])))
}

fn tell(job: &Job, line: &Line, turn: &str) -> Result<()> {
    let mut scenarios = scenarios(job, &[SIDE_BY_SIDE]);
    scenarios.args(line.scenarios).env("REFLECTOR_BED_REQUIRED", "1").env(TURN, turn);
    if job.place.long {
        // Rounds that are counted are all run.
        scenarios.env("REFLECTOR_TEST_LONG", "1");
    }
    second_try::run(job, scenarios)
}

fn scenarios(job: &Job, words: &[&str]) -> Command {
    let mut command = job.cargo_command(&["test", "--package", "e2e", "--test", "scenarios", "--"]);
    command.args(words);
    command
}

/// `cargo bed` of this program.
pub(super) fn cargo_bed(words: &[&str]) -> Command {
    let mut command = ourselves(&["bed"]);
    command.args(words);
    command
}

/// This program, also after cargo has put another one in its place, which building the scenarios does, and also for a
/// command that leads there through others.
pub(super) fn ourselves(words: &[&str]) -> Command {
    let mut command = Command::new(format!("/proc/{}/exe", std::process::id()));
    command.args(words);
    command
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn what_the_oldest_is_told_exists() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
        for name in OLDEST.scenarios {
            let (room, rest) = name.split_once("::").unwrap();
            let part = rest.split("::").next().unwrap();
            let files = [
                folder.join(format!("{room}.rs")),
                folder.join(room).join("mod.rs"),
                folder.join(room).join(format!("{part}.rs")),
                folder.join(room).join(part).join("mod.rs"),
            ];
            let told: String = files.iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect();
            let test = rest.rsplit("::").next().unwrap();
            assert!(told.contains(&format!("fn {test}")) || (test.is_empty() && !told.is_empty()), "{name}");
        }
    }
}
