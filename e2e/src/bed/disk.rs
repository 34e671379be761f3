//! The disk that a node's claims are on: small, its own, and one that a scenario can fill.
//!
//! It is a tmpfs, mounted beside the nodes and seen by one: it stays when that node loses its power, a sweep finds it by
//! its place, and no loop device can be left behind. What Kubernetes itself writes is elsewhere, so a full one is no
//! reason for a kubelet to throw pods out.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;
use tokio::time::timeout;

use super::layout::Member;

/// Enough for the claims of a dozen reflectors, and filled in a moment. It takes memory only as it is written to.
const SIZE: &str = "size=128m,mode=0755";
/// What fills it. A claim's folder is called otherwise.
const BALLAST: &str = ".ballast";
/// One write of ballast.
static PORTION: [u8; 1 << 16] = [0; 1 << 16];
/// `mount` waits for nobody.
const MOUNT: Duration = Duration::from_secs(20);

/// Puts it in, unless it is.
pub(super) async fn insert(node: &Member) -> Result<()> {
    let disk = node.disk();
    fs::create_dir_all(&disk).with_context(|| format!("make the folder {}", disk.display()))?;
    if is_in(node)? {
        return Ok(());
    }
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", SIZE, "reflector-bed"]).arg(&disk);
    let output = mount.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(MOUNT, output).await.context("mount hangs")?.context("start mount")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "give {} its disk: mount says: {}", node.name, said.trim());
    Ok(())
}

/// Fills it to the last byte.
pub(super) fn fill(node: &Member) -> Result<()> {
    // Or else what is filled is the machine's own.
    ensure!(is_in(node)?, "{} has no disk of its own", node.name);
    let path = node.disk().join(BALLAST);
    let file = File::options().create(true).append(true).open(&path);
    let mut file = file.with_context(|| format!("create {}", path.display()))?;
    loop {
        match file.write(&PORTION) {
            Err(error) if error.kind() == io::ErrorKind::StorageFull => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            written => drop(written.with_context(|| format!("write {}", path.display()))?),
        }
    }
}

/// Gives the space back. Fine when it was not filled.
pub(super) fn free(node: &Member) -> Result<()> {
    let path = node.disk().join(BALLAST);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

fn is_in(node: &Member) -> Result<bool> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("read what is mounted")?;
    Ok(is_mounted(&mounts, &node.disk()))
}

fn is_mounted(mountinfo: &str, point: &Path) -> bool {
    mountinfo.lines().filter_map(|line| line.split(' ').nth(4)).any(|mounted| point == Path::new(mounted))
}

#[cfg(test)]
mod tests {
    use super::super::layout::Layout;
    use super::*;

    #[test]
    fn a_node_without_a_disk_of_its_own_is_not_filled() {
        let folder = tempfile::tempdir().unwrap();
        let node = Layout::new(folder.path(), 1).nodes().next().unwrap();
        fs::create_dir_all(node.disk()).unwrap();
        let error = fill(&node).unwrap_err().to_string();
        assert_eq!(error, "node-1 has no disk of its own");
        assert_eq!(fs::read_dir(node.disk()).unwrap().count(), 0);
        free(&node).unwrap();
    }

    #[test]
    fn a_disk_is_known_by_its_place_and_not_by_what_is_above_or_below() {
        let mountinfo = "2 1 0:5 / /run/bed/members/node-1/storage rw - tmpfs t rw\n";
        assert!(is_mounted(mountinfo, Path::new("/run/bed/members/node-1/storage")));
        for other in [
            "/run/bed/members/node-1",
            "/run/bed/members/node-1/storage/pvc",
            "/run/bed/members/node-2/storage",
        ] {
            assert!(!is_mounted(mountinfo, Path::new(other)), "{other}");
        }
    }
}
