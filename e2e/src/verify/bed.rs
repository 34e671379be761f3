//! The step that starts a real Kubernetes, tells all scenarios on it, and ends it without a trace.

use std::process::Command;

use anyhow::Result;
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
        tell(job, &NEWEST)?;
    } else {
        for line in LINES[usize::from(job.place.long && !job.place.ci)] {
            on_a_new_bed(job, line)?;
        }
        job.stage("starting it, killing it, starting it again, ending it, looking for traces");
        job.run(cargo_bed(&["check", "--rounds", ROUNDS[usize::from(job.place.long)]]))?;
    }
    tested::outcome(job, "scenarios")
}

fn on_a_new_bed(job: &Job, line: &Line) -> Result<()> {
    let kubernetes = line.kubernetes;
    job.stage(format!("building and starting the {kubernetes} Kubernetes"));
    let mut words = vec!["up", "--spare", "--kubernetes", kubernetes];
    words.extend((line.argocd && job.place.long).then_some("--argocd"));
    let up = job.run(cargo_bed(&words));
    let told = up.and_then(|()| tell(job, line)).and_then(|()| job.run(cargo_bed(&["status"])));
    // Also after a failure: what there was to see of a scenario is kept in target/scenarios, of a start in this log.
    let down = job.run(cargo_bed(&["down"]));
    told.and(down)
}

/// First those that are told beside others, then those that want to be alone.
fn tell(job: &Job, line: &Line) -> Result<()> {
    let names = line.scenarios.iter().copied();
    for turn in TURNS {
        job.stage(format!("scenarios, {turn}"));
        let mut scenarios = job.cargo_command(&["test", "--package", "e2e", "--test", "scenarios", "--"]);
        scenarios.arg(SIDE_BY_SIDE).args(names.clone());
        scenarios.env("REFLECTOR_BED_REQUIRED", "1").env(TURN, turn);
        if job.place.long {
            // Rounds that are counted are all run.
            scenarios.env("REFLECTOR_TEST_LONG", "1");
        }
        second_try::run(job, scenarios)?;
    }
    Ok(())
}

/// `cargo bed` of this program.
pub(super) fn cargo_bed(words: &[&str]) -> Command {
    let mut command = ourselves(&["bed"]);
    command.args(words);
    command
}

/// This program, also after cargo has put another one in its place, which building the scenarios does.
pub(super) fn ourselves(words: &[&str]) -> Command {
    let mut command = Command::new("/proc/self/exe");
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
