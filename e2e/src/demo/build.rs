//! Builds what the demo runs. Cargo's own progress is shown.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use crate::place::Place;

use super::screen::Screen;

/// Programs of this tree.
pub(super) struct Programs {
    pub(super) reflector: PathBuf,
    pub(super) operator: PathBuf,
    /// Where kubectl's plugin is.
    pub(super) folder: PathBuf,
}

/// The reflector as it is shipped: its rates are shown. It takes minutes the first time and a moment later on.
pub(crate) async fn reflector(place: &Place, screen: &Screen) -> Result<PathBuf> {
    build(place, screen, &["--profile", "dist", "--package", "reflector", "--bin", "reflector"]).await?;
    Ok(place.target.join("dist/reflector"))
}

/// The reflector as it is shipped; the operator and the plugin, which nobody measures here, as tests have them: what they
/// are made of is built for this program already.
pub(super) async fn all(place: &Place, screen: &Screen) -> Result<Programs> {
    build(
        place,
        screen,
        &["--package", "operator", "--bin", "reflector-operator", "--bin", "kubectl-reflector"],
    )
    .await?;
    let folder = place.target.join("debug");
    let reflector = reflector(place, screen).await?;
    Ok(Programs { reflector, operator: folder.join("reflector-operator"), folder })
}

/// The operator as it is shipped, for whoever measures it.
pub(crate) async fn operator(place: &Place, screen: &Screen) -> Result<PathBuf> {
    let what = ["--profile", "dist", "--package", "operator", "--bin", "reflector-operator"];
    build(place, screen, &what).await?;
    Ok(place.target.join("dist/reflector-operator"))
}

async fn build(place: &Place, screen: &Screen, what: &[&str]) -> Result<()> {
    screen.command(&format!("cargo build {}", what.join(" ")));
    let mut cargo = Command::new(&place.cargo);
    cargo.arg("build").args(what).current_dir(&place.root).stdin(Stdio::null()).kill_on_drop(true);
    for variable in &place.unset {
        cargo.env_remove(variable);
    }
    let status = cargo.status().await.context("start cargo")?;
    ensure!(status.success(), "the build failed: {status}; what cargo says above is why");
    // A grant is on disk before it is sent: the first one must not wait for gigabytes that the build left to be written.
    tokio::task::spawn_blocking(rustix::fs::sync).await.context("write the build to the disk")
}
