//! The unit tests of the engines and of the link under `AddressSanitizer`: what the wrappers of system calls hand to the
//! kernel, and what is read of what comes back.
//!
//! Only the crates of this workspace are instrumented, by a compiler of their own (`.ci/asan-rustc`), so that no
//! dependency is built again. The runtime also watches the heap and the C library's calls of everybody else.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::job::{InCi, Job, Outcome};
use super::tested;

const COMPILER: &str = ".ci/asan-rustc";
/// Rooms with `unsafe` code, those that use it, and those that read foreign bytes.
const ROOMS: [&str; 2] = ["engine::", "link::"];
/// Hosts whose official toolchains come with the runtime.
const SHIPPED_FOR: [&str; 2] = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];
/// A leak is not unsound, and looking for one needs ptrace(2), which containers refuse.
const OPTIONS: &str = "detect_leaks=0";

/// Builds the tests with the instrumentation and runs them.
pub(super) fn run(job: &Job) -> Result<Outcome> {
    let toolchain = Toolchain::ask()?;
    if let Some(outcome) = toolchain.missing() {
        return Ok(outcome);
    }
    let mut command = job.cargo_command(&["test", "--package", "reflector", "--lib", "--"]);
    command.args(ROOMS);
    command.env("RUSTC_WORKSPACE_WRAPPER", job.place.root.join(COMPILER)).env("ASAN_OPTIONS", OPTIONS);
    job.run(command)?;
    tested::outcome(job, "tests")
}

/// The compiler at hand.
struct Toolchain {
    host: String,
    /// Its `lib/rustlib`.
    folder: PathBuf,
}

impl Toolchain {
    fn ask() -> Result<Self> {
        let host = ask(["-vV"])?;
        let host =
            host.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
        let folder = Path::new(ask(["--print", "sysroot"])?.trim()).join("lib/rustlib");
        Ok(Self { host: host.to_owned(), folder })
    }

    /// What it means that it lacks the runtime; none: it does not.
    fn missing(&self) -> Option<Outcome> {
        let libraries = self.folder.join(&self.host).join("lib");
        let runtime = std::fs::read_dir(&libraries)
            .is_ok_and(|files| files.flatten().any(|file| is_runtime(&file.file_name())));
        if runtime {
            return None;
        }
        // Its installer leaves this list; one that was built by somebody else may do without sanitizers.
        let official = self.folder.join("components").is_file();
        let in_ci =
            if official && SHIPPED_FOR.contains(&self.host.as_str()) { InCi::Fails } else { InCi::Skips };
        let why = format!(
            "this toolchain has no AddressSanitizer for {} (librustc*_rt.asan.a); install Rust with rustup",
            self.host
        );
        Some(Outcome::Skipped { why, in_ci })
    }
}

/// `librustc-stable_rt.asan.a`
fn is_runtime(file: &OsStr) -> bool {
    file.to_str().is_some_and(|name| name.starts_with("librustc") && name.ends_with("_rt.asan.a"))
}

fn ask<const N: usize>(question: [&str; N]) -> Result<String> {
    let output = Command::new("rustc").args(question).stdin(Stdio::null()).output().context("start rustc")?;
    ensure!(output.status.success(), "rustc {} failed: {}", question.join(" "), output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A toolchain with these files below `lib/rustlib`.
    fn with(host: &str, files: &[&str]) -> (tempfile::TempDir, Toolchain) {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let folder = dir.path().to_path_buf();
        (dir, Toolchain { host: host.to_owned(), folder })
    }

    fn in_ci(host: &str, files: &[&str]) -> Option<InCi> {
        match with(host, files).1.missing()? {
            Outcome::Skipped { in_ci, .. } => Some(in_ci),
            _ => panic!("passed by absence"),
        }
    }

    #[test]
    fn a_toolchain_that_ought_to_have_the_runtime_fails_in_ci_without_it() {
        let host = SHIPPED_FOR[0];
        let runtime = format!("{host}/lib/librustc-stable_rt.asan.a");
        assert!(in_ci(host, &["components", &runtime]).is_none());
        assert!(in_ci(host, &["components"]) == Some(InCi::Fails));
    }

    #[test]
    fn a_toolchain_that_cannot_have_it_is_skipped_everywhere() {
        assert!(in_ci(SHIPPED_FOR[0], &[]) == Some(InCi::Skips), "built by a distribution");
        assert!(in_ci("x86_64-unknown-linux-musl", &["components"]) == Some(InCi::Skips));
        let other = format!("{}/lib/librustc-stable_rt.tsan.a", SHIPPED_FOR[0]);
        assert!(in_ci(SHIPPED_FOR[0], &[&other]) == Some(InCi::Skips), "another sanitizer");
    }
}
