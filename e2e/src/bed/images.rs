//! Images get into a node by import: there is no registry.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;
use tokio::time::timeout;

use super::cgroups::Cgroups;
use super::layout::{Host, Layout, Member};
use super::programs::{BUSYBOX, PAUSE, Programs};
use crate::image::{self, Name};

/// An image of ours is a few megabytes.
const IMPORT: Duration = Duration::from_secs(60);

/// Writes the archives every node gets.
pub(super) fn make(layout: &Layout, programs: &Programs) -> Result<()> {
    for (archive, name, image) in [
        ("pause", PAUSE, image::pause(&programs.pause)?),
        ("busybox", BUSYBOX, image::busybox(&programs.busybox)?),
    ] {
        let path = layout.control(&format!("{archive}.tar"));
        let file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
        let written = image::write(&Name::new(name)?, &[image], BufWriter::new(file));
        written.with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

/// Where [`make`] put them.
pub(super) fn archives(layout: &Layout) -> [PathBuf; 2] {
    ["pause.tar", "busybox.tar"].map(|archive| layout.control(archive))
}

/// Gives a node's containerd every image in an OCI archive.
pub(super) async fn import(node: &Member, programs: &Programs, archive: &Path) -> Result<()> {
    let mut enter = Cgroups::find()?.enter(&Host::Member(node.name.clone())).into_iter();
    let mut ctr = Command::new(enter.next().unwrap_or_default());
    ctr.args(enter)
        .arg(programs.tool("ctr"))
        .arg("--address")
        .arg(node.containerd())
        .args(["--namespace", "k8s.io", "images", "import"])
        .arg(archive);
    let output = ctr.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(IMPORT, output).await.context("ctr hangs")?.context("start ctr")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{} does not take the image {}: {}",
        node.name,
        archive.display(),
        said.trim()
    );
    Ok(())
}
