//! What is linked, and what may be: cargo-deny, the `RustSec` advisories, and two rules about the tree that `deny.toml`
//! cannot say (it looks at the lock file, these at what each crate really links).

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::job::{InCi, Job, Outcome};
use super::tools::{self, CARGO_DENY};

/// Two providers in one process panic at the first handshake; two clocks and two YAML readers disagree.
const SECOND: [&str; 8] =
    ["ring", "openssl", "openssl-sys", "native-tls", "chrono", "serde_yaml", "serde_yml", "yaml_serde"];
/// The vocabulary is data: no runtime.
const RUNTIME: [&str; 2] = ["tokio", "async-std"];
/// A clone of the advisory database is 10 MB; a network that cannot deliver it in a minute is as good as none.
const FETCH: Duration = Duration::from_secs(60);

/// The two programs do not know each other, and `crds` must not link a runtime, whoever else does.
pub(super) fn layers(job: &Job) -> Result<Outcome> {
    absent(job, &["-p", "operator"], &["reflector", "e2e"])?;
    absent(job, &["-p", "reflector"], &["operator", "e2e"])?;
    absent(job, &["-p", "crds"], &RUNTIME)
}

/// Nothing we ship links a second crypto provider, TLS stack, clock or YAML reader.
pub(super) fn crypto(job: &Job) -> Result<Outcome> {
    absent(job, &["--workspace"], &SECOND)
}

fn absent(job: &Job, of: &[&str], unwanted: &[&str]) -> Result<Outcome> {
    let mut command = job.cargo_command(&["tree", "-e", "normal", "--target", "all", "--prefix", "none"]);
    command.args(["--format", "{p}"]).args(of);
    let linked = crates(&job.capture(command)?);
    ensure!(!linked.is_empty(), "cargo tree listed no crate");
    let found: Vec<&str> = unwanted.iter().copied().filter(|name| linked.contains(*name)).collect();
    let who: Vec<String> =
        found.iter().map(|name| format!("cargo tree -e normal --target all -i {name}")).collect();
    ensure!(
        found.is_empty(),
        "linked, but must not be: {}\nwho brings it: {}",
        found.join(", "),
        who.join("; ")
    );
    Ok(Outcome::Passed(format!("{} crates", linked.len())))
}

/// The names in the output of `cargo tree --prefix none --format {p}`: `name v1.2.3 (proc-macro)`.
fn crates(tree: &str) -> BTreeSet<String> {
    tree.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// Licences, bans, sources.
pub(super) fn deny(job: &Job) -> Result<Outcome> {
    let mut command = deny_command(job)?;
    // A skip that fits nothing any more is an error: the list of exceptions only shrinks by itself.
    command.args(["check", "-D", "unmatched-skip", "bans", "licenses", "sources"]);
    job.run(command)?;
    Ok(Outcome::Passed(String::new()))
}

/// Known vulnerabilities. The database is on the network: when that is gone nothing is proven either way.
pub(super) fn advisories(job: &Job) -> Result<Outcome> {
    let mut fetch = deny_command(job)?;
    fetch.args(["fetch", "db"]);
    job.stage("fetching the advisory database");
    if job.run_within(FETCH, fetch).is_err() {
        let why = "the RustSec advisory database cannot be fetched from github.com; run again with a network";
        return Ok(Outcome::Skipped { why: why.into(), in_ci: InCi::Skips });
    }
    let mut check = deny_command(job)?;
    check.args(["check", "--disable-fetch", "advisories"]);
    job.run(check)?;
    Ok(Outcome::Passed(String::new()))
}

fn deny_command(job: &Job) -> Result<Command> {
    Ok(Command::new(tools::ensure(job, &CARGO_DENY)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_crate_names_count() {
        let linked = crates("reflector v0.1.0 (/src)\naws-lc-rs v1.2.3\n\nstring v1.0.0\ntokio v1.54.1\n");
        assert!(linked.contains("tokio") && linked.contains("string"));
        assert!(!linked.contains("ring"));
        assert_eq!(linked.len(), 4);
    }

    #[test]
    fn every_crate_we_check_for_is_banned_in_deny_toml_as_well() {
        let text = include_str!("../../../deny.toml");
        for name in SECOND {
            assert!(text.contains(&format!("crate = \"{name}\"")), "{name}");
        }
    }
}
