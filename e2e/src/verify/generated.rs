//! Generated files: the lock files are asked of cargo, the others are compared by tests, which this step lists.
//!
//! A test that compares a generated file with what the code would write now has a name that ends in
//! `_is_up_to_date`, fails when they differ, and prints the command that writes the file.

use anyhow::Result;

use super::job::{Job, Outcome};
use super::tests_list;

const COMPARES: &str = "_is_up_to_date";

/// Fails when a lock file would change; names the tests that compare the rest.
pub(super) fn run(job: &Job) -> Result<Outcome> {
    let mut locks = 0;
    for manifest in ["Cargo.toml", "fuzz/Cargo.toml"] {
        if job.place.root.join(manifest).is_file() {
            job.capture(job.cargo_command(&[
                "metadata",
                "--locked",
                "--format-version=1",
                "--manifest-path",
                manifest,
            ]))?;
            locks += 1;
        }
    }
    let tests: Vec<String> =
        tests_list::all(job)?.into_iter().filter(|test| test.ends_with(COMPARES)).collect();
    for test in &tests {
        job.say(&format!("compared by {test}"))?;
    }
    Ok(Outcome::Passed(format!("{locks} lock files, {} tests that compare", tests.len())))
}
