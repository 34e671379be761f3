//! The table of steps, cheapest first, and those that are a single cargo command.
//!
//! Flags that would rebuild the tree (`RUSTFLAGS`) are not used: clippy gets `-D warnings` after `--`, rustdoc through
//! `RUSTDOCFLAGS`, and everything shares one target folder.

use std::num::NonZero;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail, ensure};

use super::job::{Job, Outcome};
use super::{
    bed, cost, demo, deps, features, fuzz, generated, hygiene, interop, sanitize, second_try, tested,
    tests_list, unsafety,
};

/// One thing that must be true of the tree.
pub(super) struct Step {
    /// Its name on the command line and in the log's name.
    pub(super) name: &'static str,
    /// What it proves, for `--list`.
    pub(super) what: &'static str,
    /// When it runs.
    pub(super) when: When,
    /// A command of it that takes longer is ended, and the step fails.
    pub(super) limit: Duration,
    /// Does it. An error is a failure, its text is shown.
    pub(super) run: fn(&Job) -> Result<Outcome>,
}

/// When a step runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// Each time, also with `--quick`: no cluster, no network, nothing that is built as shipped.
    Quick,
    /// Each time but with `--quick`.
    Always,
    /// With `--long`, and in CI.
    Long,
}

/// For what reads files or asks cargo about them: far above the slowest disk.
const QUICK: Duration = Duration::from_secs(2 * 60);
/// For what compiles the tree on two slow cores, from nothing.
const BUILD: Duration = Duration::from_secs(25 * 60);
/// For what also compiles Kubernetes.
const KUBERNETES: Duration = Duration::from_secs(60 * 60);

/// The steps, the bed last of those that run each time. To add one, add an entry; its `run` is a closure or a function that
/// takes the [`Job`].
pub(super) const STEPS: &[Step] = &[
    Step {
        name: "fmt",
        what: "the code is formatted",
        when: When::Quick,
        limit: QUICK,
        run: |job| job.cargo(&["fmt", "--all", "--check"]),
    },
    Step {
        name: "hygiene",
        what: "no machine's paths or registries in the tree; scripts are strict",
        when: When::Quick,
        limit: QUICK,
        run: hygiene::run,
    },
    Step {
        name: "unsafe",
        what: "unsafe code only in the one folder of system calls, at most 400 lines, each place argued",
        when: When::Quick,
        limit: QUICK,
        run: unsafety::run,
    },
    Step {
        name: "layers",
        what: "crds builds without tokio; reflector and operator do not know each other",
        when: When::Quick,
        limit: QUICK,
        run: deps::layers,
    },
    Step {
        name: "crypto",
        what: "one crypto provider, one TLS stack, one clock, one YAML reader",
        when: When::Quick,
        limit: QUICK,
        run: deps::crypto,
    },
    Step {
        name: "clippy",
        what: "no warning in any target",
        when: When::Quick,
        limit: BUILD,
        run: |job| job.cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    },
    Step {
        name: "test",
        what: "unit and integration tests, the fuzz corpora among them",
        when: When::Quick,
        limit: BUILD,
        run: tests,
    },
    Step {
        name: "interop",
        what: "stock iperf3 clients and servers of the versions here agree with ours in numbers",
        when: When::Always,
        limit: BUILD,
        run: interop::run,
    },
    Step {
        name: "doctest",
        what: "examples in the documentation run",
        when: When::Always,
        limit: BUILD,
        run: |job| job.cargo(&["test", "--workspace", "--doc", "--no-fail-fast"]),
    },
    Step {
        name: "rustdoc",
        what: "the documentation builds and its links lead somewhere",
        when: When::Always,
        limit: BUILD,
        run: rustdoc,
    },
    Step {
        name: "generated",
        what: "lock files are current; generated files are compared by the tests it lists",
        when: When::Quick,
        limit: BUILD,
        run: generated::run,
    },
    Step {
        name: "features",
        what: "each row of docs/features.md names a test or command that exists",
        when: When::Quick,
        limit: BUILD,
        run: features::run,
    },
    Step {
        name: "demo",
        what: "the product's main job, on one host and in a cluster, goes as `cargo demo` tells it",
        when: When::Always,
        limit: KUBERNETES,
        run: demo::run,
    },
    Step {
        name: "deny",
        what: "licences, banned and doubled crates, sources (deny.toml)",
        when: When::Always,
        limit: BUILD,
        run: deps::deny,
    },
    Step {
        name: "advisories",
        what: "no known vulnerability, no yanked crate",
        when: When::Always,
        limit: BUILD,
        run: deps::advisories,
    },
    Step {
        name: "cost",
        what: "an idle reflector is small and asleep, and gives back what it took (profile dist)",
        when: When::Always,
        limit: BUILD,
        run: cost::idle,
    },
    Step {
        name: "bed",
        what: "a real Kubernetes starts, is killed, starts again, runs every scenario and leaves no trace",
        when: When::Always,
        limit: KUBERNETES,
        run: bed::run,
    },
    Step {
        name: "handshake",
        what: "TLS handshakes cost no more than openssl's, as a ratio (profile dist)",
        when: When::Long,
        limit: BUILD,
        run: cost::handshake,
    },
    Step {
        name: "engines",
        what: "engines keep their ratios to stock iperf3 and others (profile dist)",
        when: When::Long,
        limit: BUILD,
        run: cost::engines,
    },
    Step {
        name: "sanitize",
        what: "unit tests of engines and link under AddressSanitizer find no misuse of memory",
        when: When::Long,
        limit: BUILD,
        run: sanitize::run,
    },
    Step {
        name: "fuzz",
        what: "each fuzz target finds nothing in a minute",
        when: When::Long,
        limit: BUILD,
        run: fuzz::run,
    },
];

/// The targets whose tests count: everything but benches, which measure and prove nothing here.
pub(super) const TESTED: [&str; 5] = ["--workspace", "--lib", "--bins", "--tests", "--examples"];

/// Most of a test is waiting, for sockets and for deadlines: as many at once fit on a machine with two processors. With two,
/// the step takes twice as long.
const AT_ONCE: usize = 6;

/// Its tests have one cable between them, which they wait for most of the time: they run beside the others.
const ON_A_CABLE: &str = "network";

fn tests(job: &Job) -> Result<Outcome> {
    let (cable, others): (Vec<_>, Vec<_>) =
        tests_list::integration_tests(job)?.into_iter().partition(|name| name == ON_A_CABLE);
    ensure!(!cable.is_empty(), "no test is called {ON_A_CABLE}");
    job.stage("");
    let part = job.beside("test-network", Vec::new())?;
    let on_a_cable = test(job, &["--workspace", "--test", ON_A_CABLE]);
    let mut words = vec!["--workspace", "--lib", "--bins", "--examples"];
    words.extend(others.iter().flat_map(|name| ["--test", name.as_str()]));
    let (there, here) = std::thread::scope(|scope| {
        let there = scope.spawn(|| second_try::run(&part, on_a_cable));
        let here = second_try::run(job, test(job, &words));
        (there.join().unwrap_or_else(|_| bail!("whoever ran the tests on a cable panicked")), here)
    });
    job.absorb(&part)?;
    here.and(there)?;
    tested::outcome(job, "tests")
}

fn test(job: &Job, targets: &[&str]) -> Command {
    let mut command = job.cargo_command(&["test"]);
    command.args(targets).arg("--no-fail-fast");
    // They have a step of their own, which says which versions there were.
    command.arg("--").args(interop::MODULES.iter().flat_map(|module| ["--skip", module]));
    if job.place.long {
        // Rounds that are counted in hundreds are all run.
        command.env("REFLECTOR_TEST_LONG", "1");
    }
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    command.env("RUST_TEST_THREADS", processors.max(AT_ONCE).to_string());
    // Scenarios are told in a step of their own, also when a bed happens to run.
    command.env("REFLECTOR_BED_LATER", "1");
    command
}

fn rustdoc(job: &Job) -> Result<Outcome> {
    let mut command = job.cargo_command(&["doc", "--workspace", "--no-deps", "--document-private-items"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    job.run(command)?;
    Ok(Outcome::Passed(String::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_fits_its_column_and_says_what_it_proves() {
        for step in STEPS {
            assert!(step.name.len() <= 12, "{}", step.name);
            assert!(step.name.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{}", step.name);
            assert!(!step.what.is_empty());
        }
    }
}
