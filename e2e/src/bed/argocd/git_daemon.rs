//! git's own daemon: serves every repository in one folder, to be read by anybody on the bed.

use std::path::PathBuf;

use super::super::component::{Component, Ready};
use super::super::layout::Layout;

/// git's own port.
const PORT: u16 = 9418;
/// `git daemon` would be a parent that waits for the daemon: a signal to the one would not end the other.
const BECOME: &str = r#"mkdir -p "$0" && exec "$(git --exec-path)/git-daemon" "$@""#;

/// Where repositories are put and found again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitHost {
    /// Each folder in it that is a repository is served.
    pub folder: PathBuf,
    /// `git://…/`, to which a folder's name is added.
    pub url: String,
}

/// Of this bed.
pub(in super::super) fn git_host(layout: &Layout) -> GitHost {
    let member = layout.argocd();
    GitHost { folder: member.file("repositories"), url: format!("git://{}/", member.address) }
}

/// Its command line.
pub(in super::super) fn component(layout: &Layout) -> Component {
    let member = layout.argocd();
    let folder = git_host(layout).folder;
    Component::new("argocd-git", "sh", Ready::Port(member.at(PORT)))
        .args(["-c".as_ref(), BECOME.as_ref(), folder.as_os_str()])
        .flag("base-path", &folder)
        .flag("listen", member.address.to_string())
        .flag("port", PORT.to_string())
        .args(["--reuseaddr", "--export-all", "--informative-errors", "--verbose"])
        .env("HOME", "/var/lib")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .on(&member.name)
}
