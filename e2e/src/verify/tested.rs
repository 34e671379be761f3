//! What a step that runs tests found in its log: how many passed, which could not run, and what those miss.
//!
//! To its harness a test that returned early has passed. Here it has not.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use e2e::skipping;

use super::job::{Job, Outcome};
use super::second_try;

/// What was missing, and the tests that missed it.
type Skips<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// The outcome of a step whose tests have all passed or been skipped. `what` they are called: `tests`.
pub(super) fn outcome(job: &Job, what: &str) -> Result<Outcome> {
    let log = job.logged()?;
    let passed = passed(&log);
    ensure!(passed > 0, "no test ran");
    with_note(job, format!("{passed} {what}{}", second_tries(&log)))
}

/// The tests that failed beside others and passed alone, as the end of a note.
fn second_tries(log: &str) -> String {
    let names: Vec<&str> = log.lines().filter_map(|line| line.strip_prefix(second_try::MARK)).collect();
    if names.is_empty() {
        return String::new();
    }
    format!(", of which only at a second try, alone: {}", names.join(", "))
}

/// The same with another note.
pub(super) fn with_note(job: &Job, note: String) -> Result<Outcome> {
    let log = job.logged()?;
    let skips = skips(&log);
    let unlisted: Vec<String> =
        skips.iter().filter(|(why, _)| !skipping::may_be_missing_in_ci(why)).map(line).collect();
    ensure!(
        !job.place.ci || unlisted.is_empty(),
        "in CI (CI=true) these must be able to run; they miss\n{}",
        unlisted.join("\n")
    );
    if skips.is_empty() {
        return Ok(Outcome::Passed(note));
    }
    Ok(Outcome::Partly { note, tests: tests(&skips).len(), missing: skips.iter().map(line).collect() })
}

/// Tests that did what they are for, summed over the `test result: ok. 12 passed; …` lines.
pub(super) fn passed(log: &str) -> usize {
    let counts = log.lines().filter_map(|line| line.strip_prefix("test result: ")?.split_once(". "));
    let passed: usize =
        counts.filter_map(|(_, rest)| rest.split_once(" passed")?.0.parse::<usize>().ok()).sum();
    passed.saturating_sub(tests(&skips(log)).len() + log.matches(skipping::LEFT).count())
}

/// The lines of [`skipping::skip_test`], also behind what the harness had begun to write. Those of a program that has no
/// tests name none.
fn skips(log: &str) -> Skips<'_> {
    let mut skips = Skips::new();
    for line in log.lines() {
        if let Some((_, said)) = line.split_once(skipping::MARK) {
            let (test, why) = said.split_once(": ").unwrap_or(("a part of it", said));
            skips.entry(why).or_default().insert(test);
        }
    }
    skips
}

fn tests<'a>(skips: &Skips<'a>) -> BTreeSet<&'a str> {
    skips.values().flatten().copied().collect()
}

fn line((why, tests): (&&str, &BTreeSet<&str>)) -> String {
    let tests: Vec<&str> = tests.iter().copied().collect();
    match tests.as_slice() {
        [only] => format!("{why} ({only})"),
        many => format!("{why} ({} tests)", many.len()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::place::Place;

    const LOG: &str = "running 4 tests\n\
        SKIPPED: cable::cut: a network\n\
        test one ... SKIPPED: stock::up: iperf3\n\
        SKIPPED: stock::down: iperf3\n\
        SKIPPED: stock::down: iperf3\n\
        test result: ok. 9 passed; 0 failed\n\
        LEFT: storage::a_claim: to the step bed\n\
        noise 9 passed\n\
        test result: ok. 30 passed; 0 failed\n";

    fn judged(ci: bool, log: &str) -> Result<Outcome> {
        let dir = tempfile::tempdir().unwrap();
        let place = Place { ci, long: ci, ..Place::at(dir.path().to_path_buf()) };
        let job = Job::new(place, "test", Duration::from_secs(60), std::sync::Arc::default()).unwrap();
        job.say(log).unwrap();
        outcome(&job, "tests")
    }

    #[test]
    fn a_test_that_could_not_run_or_runs_elsewhere_has_not_passed() {
        assert_eq!(passed(LOG), 39 - 3 - 1);
        assert_eq!(passed(""), 0);
        assert!(judged(false, "").is_err(), "no test");
    }

    #[test]
    fn a_test_that_needed_a_second_try_is_named() {
        let log = "test result: ok. 5 passed; 0 failed\nSECOND TRY: a::b\nSECOND TRY: c\n";
        let Outcome::Passed(note) = judged(true, log).unwrap() else { panic!("all ran") };
        assert_eq!(note, "5 tests, of which only at a second try, alone: a::b, c");
    }

    #[test]
    fn skipped_tests_are_counted_once_and_told_by_what_they_miss() {
        let Outcome::Partly { note, tests, missing } = judged(false, LOG).unwrap() else { panic!("all ran") };
        assert_eq!((note.as_str(), tests), ("35 tests", 3));
        assert_eq!(missing, ["a network (cable::cut)", "iperf3 (2 tests)"]);
        assert!(matches!(judged(false, "test result: ok. 5 passed").unwrap(), Outcome::Passed(_)));
    }

    #[test]
    fn a_part_that_a_program_leaves_out_is_counted_as_well() {
        let skips = skips("  SKIPPED: there is no iperf3 on this machine.\n");
        assert_eq!(
            skips.iter().map(line).collect::<Vec<_>>(),
            ["there is no iperf3 on this machine. (a part of it)"]
        );
    }

    #[test]
    fn in_ci_only_what_is_listed_may_be_skipped() {
        let error = judged(true, LOG).err().unwrap().to_string();
        assert!(error.contains("a network (cable::cut)") && error.contains("iperf3 (2 tests)"), "{error}");
        let listed = "SKIPPED: old: iperf3 of version 3.9; name one\ntest result: ok. 5 passed; 0 failed\n";
        assert!(matches!(judged(true, listed).unwrap(), Outcome::Partly { tests: 1, .. }));
    }
}
