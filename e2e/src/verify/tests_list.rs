//! Every test there is, by name: asked of the test binaries, not guessed from the text.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::job::Job;
use super::steps::TESTED;

/// A binary that does not answer `--list` at once has a harness of its own and hangs.
const LIST: Duration = Duration::from_secs(30);

/// A test binary.
#[derive(Debug, PartialEq, Eq)]
struct Binary {
    target: String,
    path: PathBuf,
    /// A file or a folder in `tests`: its name is not that of a package.
    is_of_its_own: bool,
}

/// The names of all tests, `target::module::test`, sorted. Builds them when needed.
pub(super) fn all(job: &Job) -> Result<Vec<String>> {
    let binaries = built(job)?;
    job.stage("listing the tests");
    let mut names = Vec::new();
    for binary in &binaries {
        let mut list = Command::new(&binary.path);
        list.args(["--list", "--format", "terse"]);
        let output =
            job.capture_within(LIST, list).with_context(|| format!("list the tests of {}", binary.target))?;
        names.extend(tests(&output).map(|test| format!("{}::{test}", binary.target)));
    }
    names.sort();
    Ok(names)
}

/// What stands in the folders `tests`, each as `--test NAME`. Builds them, and whatever else has tests, when needed.
pub(super) fn integration_tests(job: &Job) -> Result<Vec<String>> {
    let binaries = built(job)?.into_iter().filter(|binary| binary.is_of_its_own);
    Ok(binaries.map(|binary| binary.target).collect())
}

fn built(job: &Job) -> Result<Vec<Binary>> {
    job.stage("building the tests");
    let mut build = job.cargo_command(&["test", "--no-run", "--message-format=json"]);
    build.args(TESTED);
    let binaries = binaries(&job.capture(build)?);
    ensure!(!binaries.is_empty(), "cargo built no test binary");
    Ok(binaries)
}

/// The test binaries in cargo's messages, one JSON object per line.
fn binaries(messages: &str) -> Vec<Binary> {
    let artifacts = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    artifacts.filter_map(|message| binary(&message)).collect()
}

fn binary(message: &Value) -> Option<Binary> {
    if message.pointer("/reason")? != "compiler-artifact" || message.pointer("/profile/test")? != true {
        return None;
    }
    let target = message.pointer("/target/name")?.as_str()?.to_owned();
    let path = Path::new(message.pointer("/executable")?.as_str()?).to_path_buf();
    let is_of_its_own = message.pointer("/target/kind/0")? == "test";
    Some(Binary { target, path, is_of_its_own })
}

/// The names in `--list --format terse`: `module::name: test`.
fn tests(output: &str) -> impl Iterator<Item = &str> {
    output.lines().filter_map(|line| line.strip_suffix(": test"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_test_binaries_count() {
        let messages = r#"
            {"reason":"compiler-artifact","target":{"name":"serde"},"profile":{"test":false},"executable":null}
            {"reason":"compiler-artifact","target":{"name":"e2e"},"profile":{"test":false},"executable":"/t/e2e"}
            {"reason":"compiler-artifact","target":{"name":"crds","kind":["lib"]},"profile":{"test":true},"executable":"/t/crds-1"}
            {"reason":"compiler-artifact","target":{"name":"yaml","kind":["test"]},"profile":{"test":true},"executable":"/t/yaml-2"}
            {"reason":"build-finished","success":true}
            not json"#;
        let binary = |target: &str, path: &str, is_of_its_own| Binary {
            target: target.into(),
            path: path.into(),
            is_of_its_own,
        };
        let expected = [binary("crds", "/t/crds-1", false), binary("yaml", "/t/yaml-2", true)];
        assert_eq!(binaries(messages), expected);
    }

    #[test]
    fn benches_and_counts_are_not_tests() {
        let output = "a::b: test\nc: benchmark\n2 tests, 1 benchmark\n";
        assert_eq!(tests(output).collect::<Vec<_>>(), ["a::b"]);
    }
}
