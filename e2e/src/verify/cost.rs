//! The steps that measure. They judge only what a busy machine cannot change much, memory, wake-ups and ratios, and
//! measure again before they fail.

use std::process::{Command, Stdio};

use anyhow::Result;

use super::job::{InCi, Job, Outcome};

/// `cargo cost`; its table is in the log.
pub(super) fn idle(job: &Job) -> Result<Outcome> {
    job.stage("building as shipped, then watching it do nothing");
    job.run(job.cargo_command(&["cost"]))?;
    Ok(Outcome::Passed(last_line(&job.logged()?)))
}

/// The handshake benchmark, held to its target.
pub(super) fn handshake(job: &Job) -> Result<Outcome> {
    if Command::new("openssl").arg("version").stdin(Stdio::null()).output().is_err() {
        let why = "the peer to measure beside is missing; install the command openssl".to_owned();
        return Ok(Outcome::Skipped { why, in_ci: InCi::Fails });
    }
    job.stage("building as shipped, then taking turns with openssl");
    let arguments =
        ["bench", "--profile", "dist", "--package", "reflector", "--bench", "handshake", "--", "--gate"];
    job.run(job.cargo_command(&arguments))?;
    Ok(Outcome::Passed(last_line(&job.logged()?)))
}

/// The benchmark of the engines: the short form of what docs/bench shows. Its targets are goals, of which some are missed on
/// some machines and docs/bench says which; here a row may miss its own by 40 %, and what is worse has become slower.
pub(super) fn engines(job: &Job) -> Result<Outcome> {
    if Command::new("iperf3").arg("--version").stdin(Stdio::null()).output().is_err() {
        let why = "the peer to measure beside is missing; install the command iperf3".to_owned();
        return Ok(Outcome::Skipped { why, in_ci: InCi::Fails });
    }
    job.stage("building as shipped, then taking turns with iperf3");
    let mut command =
        job.cargo_command(&["bench", "--profile", "dist", "--package", "reflector", "--bench", "engines"]);
    // All rows in about five minutes.
    command.args(["--", "--gate", "--slack", "40", "--seconds", "1"]);
    job.run(command)?;
    Ok(Outcome::Passed(last_line(&job.logged()?)))
}

fn last_line(log: &str) -> String {
    log.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_note_is_the_last_line_that_says_something() {
        assert_eq!(last_line("| a | b |\n\n14 limits kept\n\n"), "14 limits kept");
        assert_eq!(last_line(""), "");
    }
}
