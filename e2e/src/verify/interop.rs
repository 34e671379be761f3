//! The step that sets stock iperf3 against ours, in both roles.

use anyhow::{Result, ensure};

use super::job::{InCi, Job, Outcome};
use super::tested;

/// Modules of the test `interop` that take minutes with many versions: the step `test` leaves them out.
pub(super) const MODULES: [&str; 2] = ["stock_clients::", "stock_servers::"];

/// Runs the whole test binary and says which versions took part.
pub(super) fn run(job: &Job) -> Result<Outcome> {
    let mut command = job.cargo_command(&["test", "--package", "reflector", "--test", "interop"]);
    // What is found is printed by tests that pass.
    command.args(["--", "--show-output"]);
    if job.place.long {
        command.env("REFLECTOR_TEST_LONG", "1");
    }
    job.run(command)?;
    let log = job.logged()?;
    let found = found(&log);
    ensure!(found.is_some(), "the test did not say which iperf3 programs it found");
    match found.filter(|found| !found.is_empty()) {
        Some(found) => tested::with_note(job, format!("iperf3 {found}")),
        None => Ok(Outcome::Skipped {
            why: "no iperf3; install the package iperf3".to_owned(),
            in_ci: InCi::Fails,
        }),
    }
}

/// `iperf3 found: 3.12 (/usr/bin/iperf3), 3.21 (…)`, without the paths.
fn found(log: &str) -> Option<String> {
    let listed = log.lines().find_map(|line| line.trim().strip_prefix("iperf3 found:"))?;
    let versions = listed.split(',').filter_map(|program| program.split_whitespace().next());
    Some(versions.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_the_log() {
        let log = "running 2 tests\niperf3 found: 3.9 (/a/iperf3-3.9), 3.12 (/usr/bin/iperf3)\n";
        assert_eq!(found(log).as_deref(), Some("3.9, 3.12"));
        assert_eq!(found("iperf3 found: \n").as_deref(), Some(""));
        assert_eq!(found("nothing"), None);
    }
}
