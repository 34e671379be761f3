//! Builds what the demo runs: the product, and the product with the test engine. Cargo's own progress is shown.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use crate::place::Place;

use super::screen::Screen;

/// The programs of the demo.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    /// What a user installs; here it gives the commands.
    pub(super) reflector: PathBuf,
    /// The same program with the test engine; here it serves.
    pub(super) testbed: PathBuf,
}

/// Builds them in release mode; takes minutes the first time and a moment later on.
pub(super) async fn programs(place: &Place, screen: &Screen) -> Result<Programs> {
    let arguments =
        ["build", "--release", "--package", "reflector", "--bin", "reflector", "--example", "testbed"];
    screen.command(&format!("cargo {}", arguments.join(" ")));
    let mut cargo = Command::new(&place.cargo);
    cargo.args(arguments).current_dir(&place.root).stdin(Stdio::null()).kill_on_drop(true);
    for variable in &place.unset {
        cargo.env_remove(variable);
    }
    let status = cargo.status().await.context("start cargo")?;
    ensure!(status.success(), "the build failed: {status}");
    let release = place.target.join("release");
    Ok(Programs { reflector: release.join("reflector"), testbed: release.join("examples/testbed") })
}
