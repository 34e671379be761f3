//! Manifests and a chart that scenarios install. They lie beside this file.

use std::path::{Path, PathBuf};

/// One of the folders in `sources/`.
pub(crate) fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/sources").join(name)
}
