//! Tests that failed beside others run once more, alone. In: the log of a run of tests. Out: what passed only then, in
//! the log and in the note of the step, where nobody can overlook it.
//!
//! The real clocks, sockets and kernels of these tests share their machine with whatever else runs on it. A test that
//! fails alone as well fails the step, and so do more than a few.

use std::process::Command;

use anyhow::Result;

use super::job::Job;

/// More failures than this have a common cause, which is not chance.
const MOST: usize = 3;
/// Before the name of each test that passed alone only.
pub(super) const MARK: &str = "SECOND TRY: ";

/// Failed tests of one target: what cargo calls it, and their names.
#[derive(Debug, PartialEq, Eq)]
struct Failed {
    target: Vec<String>,
    tests: Vec<String>,
}

/// Runs a `cargo test`, and what failed in it again.
pub(super) fn run(job: &Job, command: Command) -> Result<()> {
    let environment: Vec<_> =
        command.get_envs().map(|(key, value)| (key.to_owned(), value.map(ToOwned::to_owned))).collect();
    let before = job.logged()?.len();
    let Err(error) = job.run(command) else { return Ok(()) };
    let log = job.logged()?;
    let failed = failed(log.get(before..).unwrap_or_default());
    let tests: usize = failed.iter().map(|target| target.tests.len()).sum();
    if tests == 0 || tests > MOST {
        return Err(error);
    }
    for Failed { target, tests } in failed {
        for test in tests {
            job.stage(format!("again, alone: {test}"));
            let mut alone = job.cargo_command(&["test"]);
            alone.args(&target).args(["--", "--exact", &test]);
            for (key, value) in &environment {
                match value {
                    Some(value) => alone.env(key, value),
                    None => alone.env_remove(key),
                };
            }
            job.run(alone)?;
            job.say(&format!("{MARK}{test}"))?;
        }
    }
    Ok(())
}

/// What failed, by target. A target that ended otherwise than by a failed test has none, and then there is no telling.
fn failed(log: &str) -> Vec<Failed> {
    let mut all = Vec::new();
    let mut tests = Vec::new();
    for line in log.lines() {
        if let Some(test) = line.strip_suffix(" ... FAILED").and_then(|line| line.strip_prefix("test ")) {
            // One that is expected to panic says so behind its name.
            tests.push(test.split(" - ").next().unwrap_or(test).to_owned());
        } else if let Some(target) = line.strip_prefix("error: test failed, to rerun pass `") {
            if tests.is_empty() {
                return Vec::new();
            }
            let target = target.trim_end_matches('`').split(' ').map(ToOwned::to_owned).collect();
            all.push(Failed { target, tests: std::mem::take(&mut tests) });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::place::Place;

    const LOG: &str = "test a::one ... ok\n\
        test a::two ... FAILED\n\
        test a::three - should panic ... FAILED\n\
        error: test failed, to rerun pass `-p x --test a`\n\
        test b ... FAILED\n\
        error: test failed, to rerun pass `-p y --lib`\n\
        error: 2 targets failed:\n";

    #[test]
    fn failures_are_found_with_their_targets() {
        let expected = [
            (["-p", "x", "--test", "a"].as_slice(), ["a::two", "a::three"].as_slice()),
            (&["-p", "y", "--lib"], &["b"]),
        ];
        let own = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        let expected = expected.map(|(target, tests)| Failed { target: own(target), tests: own(tests) });
        assert_eq!(failed(LOG), expected);
    }

    #[test]
    fn a_target_that_died_gets_no_second_try() {
        assert_eq!(failed(&format!("{LOG}error: test failed, to rerun pass `-p z --test dies`\n")), []);
        assert_eq!(failed("error: could not compile `x`\n"), []);
    }

    /// A cargo that fails its first run, of `count` tests, and answers the next ones with `alone`.
    fn tried(count: usize, alone: i32) -> (Result<()>, String) {
        let dir = tempfile::tempdir().unwrap();
        let cargo = dir.path().join("cargo");
        let place = Place { cargo: cargo.clone().into(), ..Place::at(dir.path().to_path_buf()) };
        let job = Job::new(place, "test", Duration::from_secs(60), Arc::default()).unwrap();
        let lines = (0..count).map(|n| format!("echo 'test t{n} ... FAILED'\n")).collect::<Vec<_>>().concat();
        let script = format!(
            "[ \"$SEEN\" = yes ] || exit 9\ncase \" $* \" in *' --exact '*) echo alone \"$@\"; exit {alone};; esac\n\
             {lines}echo 'error: test failed, to rerun pass `-p x --lib`'\nexit 101\n"
        );
        std::fs::write(dir.path().join("script"), script).unwrap();
        let mut command = Command::new("sh");
        command.arg("script").env("SEEN", "yes");
        // What runs again is `cargo`: the same script.
        std::fs::write(&cargo, "#!/bin/sh\nexec sh script \"$@\"\n").unwrap();
        std::fs::set_permissions(&cargo, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let result = run(&job, command);
        (result, job.logged().unwrap())
    }

    #[test]
    fn what_fails_beside_others_and_passes_alone_is_named() {
        let (result, log) = tried(2, 0);
        result.unwrap();
        assert!(log.contains("alone test -p x --lib -- --exact t0\n"), "{log}");
        assert!(log.contains("\nSECOND TRY: t0\n") && log.contains("\nSECOND TRY: t1\n"), "{log}");
    }

    #[test]
    fn what_fails_alone_fails() {
        let (result, log) = tried(1, 101);
        assert!(result.is_err() && !log.contains(MARK), "{log}");
    }

    #[test]
    fn many_failures_are_no_chance() {
        let (result, log) = tried(MOST + 1, 0);
        assert!(result.is_err() && !log.contains("alone test"), "{log}");
    }
}
