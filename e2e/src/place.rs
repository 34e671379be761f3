//! Where we are: the tree, its target folder, the cargo that started us, and whether this is CI.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The surroundings of a run. Read once, then passed along.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The workspace.
    pub(crate) root: PathBuf,
    /// Cargo's target folder: the only place that steps write to.
    pub(crate) target: PathBuf,
    /// The cargo that started us, so that a step never mixes toolchains.
    pub(crate) cargo: OsString,
    /// `CI=true` or `CI=1`: what cannot run here is a failure, and long steps run.
    pub(crate) ci: bool,
    /// Long steps run, and tests that count rounds count them all.
    pub(crate) long: bool,
    /// Variables that commands of ours must not inherit.
    pub(crate) unset: Vec<OsString>,
}

impl Place {
    /// Reads the environment that cargo and CI set.
    #[expect(clippy::disallowed_methods, reason = "the one place of the runner that reads the environment")]
    pub(crate) fn from_env() -> Self {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = manifest.parent().unwrap_or(manifest).to_path_buf();
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir));
        let ci = e2e::skipping::in_ci();
        Self {
            target,
            cargo: std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()),
            ci,
            long: ci,
            unset: std::env::vars_os()
                .map(|(name, _)| name)
                .filter(|name| name.to_str().is_some_and(is_of_our_own_build))
                .collect(),
            root,
        }
    }

    /// Where the logs are.
    pub(crate) fn logs(&self) -> PathBuf {
        self.target.join("verify")
    }
}

/// Variables that `cargo run` sets for us and that a cargo started by us must not see: build scripts that watch
/// one of them would run again, and half the tree would be built twice.
fn is_of_our_own_build(variable: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"].iter().any(|p| variable.starts_with(p))
        || variable == "OUT_DIR"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_keep_what_the_user_set_and_lose_what_cargo_set_for_us() {
        assert!(is_of_our_own_build("CARGO_PKG_NAME") && is_of_our_own_build("CARGO_MANIFEST_DIR"));
        for kept in ["CARGO_HOME", "CARGO_TARGET_DIR", "CARGO", "CARGO_NET_OFFLINE", "PATH"] {
            assert!(!is_of_our_own_build(kept), "{kept}");
        }
    }
}
