//! Cargo tools that steps need, at one version each. Installed below target/, so that nothing on the machine changes.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use super::job::Job;

/// A tool, pinned: a newer one may judge differently, and that is a change of ours to make.
pub(super) struct Tool {
    name: &'static str,
    version: &'static str,
}

/// Licences, bans, sources, advisories.
pub(super) const CARGO_DENY: Tool = Tool { name: "cargo-deny", version: "0.20.2" };
/// Builds and runs fuzz targets.
pub(super) const CARGO_FUZZ: Tool = Tool { name: "cargo-fuzz", version: "0.13.2" };

/// The path of the tool; installs it first if this version is neither on the PATH nor below target/.
pub(super) fn ensure(job: &Job, tool: &Tool) -> Result<PathBuf> {
    let root = job.place.target.join("tools");
    let ours = root.join("bin").join(tool.name);
    for candidate in [PathBuf::from(tool.name), ours.clone()] {
        if is_version(candidate.as_os_str(), tool) {
            return Ok(candidate);
        }
    }
    job.stage(format!("installing {} {}", tool.name, tool.version));
    let mut command =
        job.cargo_command(&["install", "--debug", "--locked", tool.name, "--version", tool.version]);
    command.arg("--root").arg(&root);
    job.run(command).with_context(|| format!("install {} {}", tool.name, tool.version))?;
    Ok(ours)
}

fn is_version(program: &OsStr, tool: &Tool) -> bool {
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).output();
    output.is_ok_and(|output| says(&String::from_utf8_lossy(&output.stdout), tool))
}

/// `cargo-deny 0.20.2`
fn says(output: &str, tool: &Tool) -> bool {
    output.trim().strip_prefix(tool.name).is_some_and(|rest| rest.trim() == tool.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_another_tool() {
        let tool = Tool { name: "cargo-deny", version: "0.20.2" };
        assert!(says("cargo-deny 0.20.2\n", &tool));
        assert!(!says("cargo-deny 0.20.21\n", &tool));
        assert!(!says("cargo-denyx 0.20.2\n", &tool));
        assert!(!says("", &tool));
    }
}
