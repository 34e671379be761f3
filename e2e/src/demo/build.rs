//! Builds what the demo runs: the product, as it is shipped. Cargo's own progress is shown.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use crate::place::Place;

use super::screen::Screen;

/// Builds the program as it is shipped; takes minutes the first time and a moment later on.
pub(super) async fn reflector(place: &Place, screen: &Screen) -> Result<PathBuf> {
    let arguments = ["build", "--profile", "dist", "--package", "reflector", "--bin", "reflector"];
    screen.command(&format!("cargo {}", arguments.join(" ")));
    let mut cargo = Command::new(&place.cargo);
    cargo.args(arguments).current_dir(&place.root).stdin(Stdio::null()).kill_on_drop(true);
    for variable in &place.unset {
        cargo.env_remove(variable);
    }
    let status = cargo.status().await.context("start cargo")?;
    ensure!(status.success(), "the build failed: {status}");
    Ok(place.target.join("dist/reflector"))
}
