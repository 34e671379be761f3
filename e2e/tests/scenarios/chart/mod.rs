//! The chart of the operator: what helm makes of it, and what a real API server makes of that.

mod alerts;
pub(crate) mod install;
mod render;
pub(crate) mod rights;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use e2e::scenario::Scenario;

/// The admission policies.
pub(crate) const POLICIES: [&str; 2] =
    ["templates/admission/reflectors.yaml", "templates/admission/peers.yaml"];

/// The chart of this tree.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/reflector-operator")
}

/// What helm makes of it with these options.
pub(crate) async fn rendered(story: &Scenario, options: &[&str]) -> Result<String> {
    let chart = folder();
    let chart = chart.to_str().context("the chart's path is no text")?;
    story.helm(["template", "reflector-operator", chart].iter().chain(options)).await
}

/// Applies some of its templates as they are by default, for scenarios that need no more.
pub(crate) async fn apply(story: &Scenario, templates: &[&str]) -> Result<()> {
    let options: Vec<&str> = templates.iter().flat_map(|path| ["--show-only", path]).collect();
    let text = rendered(story, &options).await?;
    kubectl(story, &["apply", "--server-side", "--force-conflicts", "--warnings-as-errors"], &text).await?;
    Ok(())
}

/// What kubectl says of manifests.
pub(crate) async fn kubectl(story: &Scenario, words: &[&str], manifests: &str) -> Result<String> {
    let folder = tempfile::tempdir().context("make a folder for manifests")?;
    let file = folder.path().join("manifests.yaml");
    std::fs::write(&file, manifests).context("write manifests")?;
    let file = file.display().to_string();
    story.kubectl(words.iter().copied().chain(["--filename", &file])).await
}
