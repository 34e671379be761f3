//! Where the bed's programs are, once they are built. Written into the state, so that `status` and `down` build nothing.

use std::path::{Path, PathBuf};

/// What pods are made of before they have containers. Never pulled: written by us, imported into every node.
pub const PAUSE: &str = "localhost/pause:bed";
/// A shell for helpers and scenarios.
pub const BUSYBOX: &str = "localhost/busybox:bed";

/// Folders and files of programs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Programs {
    /// Kubernetes, kine, containerd, its shim, the CNI plugins: one folder, by name.
    pub tools: PathBuf,
    /// runc, from the distribution.
    pub runc: PathBuf,
    /// A static busybox, for an image.
    pub busybox: PathBuf,
    /// The program of the image that holds a pod's namespaces.
    pub pause: PathBuf,
    /// The folder with the kinds and settings of Argo CD, on a bed that has it.
    pub argocd: Option<PathBuf>,
    /// The folder with the stages of kwok, on a bed that has it.
    pub kwok: Option<PathBuf>,
}

impl Programs {
    /// A program of ours.
    pub fn tool(&self, name: &str) -> PathBuf {
        self.tools.join(name)
    }

    /// The folder of all of them.
    pub fn tools(&self) -> &Path {
        &self.tools
    }

    /// The container runtime.
    pub fn runc(&self) -> &Path {
        &self.runc
    }
}
