//! Every fuzz target for a minute: the parsers of foreign bytes meet bytes nobody thought of.
//!
//! Built without `AddressSanitizer`: the parsers are safe Rust, where it finds nothing and halves the speed; debug
//! assertions and overflow checks are on. The instrumentation needs compiler flags that a stable toolchain hides;
//! `RUSTC_BOOTSTRAP` shows them, so that no second toolchain is needed. What is found is kept below target/, the
//! committed corpus is only read.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;

use anyhow::{Context as _, Result, anyhow, bail};

use super::job::{InCi, Job, Outcome};
use super::tools::{self, CARGO_FUZZ};

/// Per target.
const SECONDS: u32 = 60;
/// An input that makes a parser take this much memory is a finding.
const MEMORY_MB: u32 = 2048;
/// One input that takes longer is a finding.
const INPUT_SECONDS: u32 = 10;

/// How many run at a time. A target keeps one processor busy.
const SIDE_BY_SIDE: usize = 2;

/// Builds all targets once, then runs each. A finding fails the step; no further target is begun then.
pub(super) fn run(job: &Job) -> Result<Outcome> {
    let names = targets(&job.place.root)?;
    if names.is_empty() {
        return Ok(missing("fuzz/fuzz_targets holds no target"));
    }
    if Command::new("c++").arg("--version").stdin(Stdio::null()).output().is_err() {
        return Ok(missing("libFuzzer is C++ and there is no compiler `c++`; install g++ or clang"));
    }
    let tool = tools::ensure(job, &CARGO_FUZZ)?;
    job.stage("building");
    job.run(cargo_fuzz(job, &tool, "build"))?;
    all(job, &tool, &names)?;
    let inputs = inputs(&job.logged()?);
    Ok(Outcome::Passed(format!("{} targets x {SECONDS} s, {inputs} inputs", names.len())))
}

fn all(job: &Job, tool: &Path, names: &[String]) -> Result<()> {
    let queue = Mutex::new(names.iter().enumerate());
    let next =
        || queue.lock().map_err(|_| anyhow!("a thread of this step panicked")).map(|mut queue| queue.next());
    let worker = || -> Result<()> {
        while let Some((index, name)) = next()? {
            job.stage(format!("{name} ({} of {})", index + 1, names.len()));
            one(job, tool, name).inspect_err(|_| {
                if let Ok(mut queue) = queue.lock() {
                    // Nothing is left for the others.
                    queue.by_ref().for_each(drop);
                }
            })?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..SIDE_BY_SIDE).map(|_| scope.spawn(worker)).collect();
        let ended = workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|_| bail!("a thread of this step panicked")));
        ended.collect::<Vec<_>>().into_iter().collect()
    })
}

fn one(job: &Job, tool: &Path, name: &str) -> Result<()> {
    let found = job.place.target.join("fuzz-found").join(name);
    let (scratch, artifacts) = (found.join("corpus"), found.join("artifacts"));
    for folder in [&scratch, &artifacts] {
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    }
    let corpus = job.place.root.join("fuzz/corpus").join(name);
    let mut command = cargo_fuzz(job, tool, "run");
    // libFuzzer writes to the first folder and reads them all.
    command.arg(name).arg(&scratch);
    if corpus.is_dir() {
        command.arg(corpus);
    }
    command.arg("--").args([
        format!("-max_total_time={SECONDS}"),
        format!("-rss_limit_mb={MEMORY_MB}"),
        format!("-timeout={INPUT_SECONDS}"),
        "-print_final_stats=1".to_owned(),
        format!("-artifact_prefix={}/", artifacts.display()),
    ]);
    job.run(command).with_context(|| {
        format!("{name} failed; an input it found is in {}: make it a test, then fix it", artifacts.display())
    })
}

fn cargo_fuzz(job: &Job, tool: &Path, task: &str) -> Command {
    let mut command = Command::new(tool);
    command.args([task, "--sanitizer", "none", "--target-dir"]).arg(job.place.target.join("fuzz"));
    // cargo-fuzz's own backtrace would push the finding out of the report.
    command.env("RUSTC_BOOTSTRAP", "1").env("RUST_LIB_BACKTRACE", "0");
    command
}

fn missing(why: &str) -> Outcome {
    Outcome::Skipped { why: why.to_owned(), in_ci: InCi::Fails }
}

/// The names of the targets: the files of `fuzz/fuzz_targets`.
fn targets(root: &Path) -> Result<Vec<String>> {
    let folder = root.join("fuzz/fuzz_targets");
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).context("read fuzz/fuzz_targets")? {
        let path = entry.context("read fuzz/fuzz_targets")?.path();
        if path.extension().is_some_and(|extension| extension == "rs")
            && let Some(name) = path.file_stem()
        {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Inputs tried, summed over libFuzzer's final statistics.
fn inputs(log: &str) -> u64 {
    let counts = log.lines().filter_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    counts.filter_map(|count| count.trim().parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_a_target() {
        let dir = tempfile::tempdir().unwrap();
        assert!(targets(dir.path()).unwrap().is_empty());
        let folder = dir.path().join("fuzz/fuzz_targets");
        fs::create_dir_all(&folder).unwrap();
        for file in ["message.rs", "frame.rs", "notes.md"] {
            fs::write(folder.join(file), "").unwrap();
        }
        assert_eq!(targets(dir.path()).unwrap(), ["frame", "message"]);
    }

    #[test]
    fn inputs_are_summed_over_targets() {
        let log = "stat::number_of_executed_units: 120\nstat::slowest_unit_time_sec: 0\nstat::number_of_executed_units: 3\n";
        assert_eq!(inputs(log), 123);
    }
}
