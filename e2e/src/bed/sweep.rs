//! Clearing away what a bed left, whether it was stopped or killed, and whether or not a file says what there was.
//!
//! Everything of a bed is below its folder, in its cgroup, or carries its name. Processes go first: with the last of a
//! node's go its namespaces, and with those its mounts, interfaces and rules. May be run twice, and by anybody at any time.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;
use tokio::time::{interval, timeout};

use super::cgroups::Cgroups;
use super::layout::LINK_PREFIX;

/// Mounts in a namespace that has just ended go in the kernel's own time.
const LETTING_GO: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Clears away the bed of this folder. The folder itself stays, empty: whoever clears it away holds the lock on it.
pub(super) async fn sweep(folder: &Path) -> Result<()> {
    let cgroups = Cgroups::find()?;
    cgroups.kill_all().await.context("end the bed's processes")?;
    for link in links()? {
        run("ip", ["link", "delete", &link].map(OsString::from), || {
            !links().is_ok_and(|now| now.contains(&link))
        })
        .await
        .with_context(|| format!("remove the interface {link}"))?;
    }
    for mount in mounts(folder)? {
        let words = ["--lazy".into(), mount.clone().into_os_string()];
        run("umount", words, || !mounts(folder).is_ok_and(|now| now.contains(&mount)))
            .await
            .with_context(|| format!("unmount {}", mount.display()))?;
    }
    cgroups.remove().await.context("remove the bed's cgroups")?;
    let entries = fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    for entry in entries {
        remove(&entry.with_context(|| format!("list {}", folder.display()))?.path()).await?;
    }
    Ok(())
}

fn links() -> Result<Vec<String>> {
    // Of this network namespace; /sys shows those of whoever mounted it.
    let text = fs::read_to_string("/proc/self/net/dev").context("list the interfaces")?;
    Ok(our_links(&text))
}

/// Two lines of headings, then one for each interface, its name before a colon.
fn our_links(dev: &str) -> Vec<String> {
    let names = dev.lines().skip(2).filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim());
    names.filter(|name| is_our_link(name)).map(ToOwned::to_owned).collect()
}

fn is_our_link(name: &str) -> bool {
    name.starts_with(LINK_PREFIX)
}

fn mounts(folder: &Path) -> Result<Vec<PathBuf>> {
    let text = fs::read_to_string("/proc/self/mountinfo").context("read what is mounted")?;
    Ok(our_mounts(&text, folder))
}

/// Mounts below the folder, the last one first: it may lie on another.
fn our_mounts(mountinfo: &str, folder: &Path) -> Vec<PathBuf> {
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from);
    let mut ours: Vec<PathBuf> = points.filter(|point| point.starts_with(folder)).collect();
    ours.reverse();
    ours
}

/// Runs a command; its failure counts only when what it was for has not come true some other way.
async fn run<const N: usize>(program: &str, words: [OsString; N], done: impl Fn() -> bool) -> Result<()> {
    let output = Command::new(program).args(words).stdin(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(LETTING_GO, output).await.with_context(|| format!("{program} hangs"))?;
    let output = output.with_context(|| format!("start {program}"))?;
    if !output.status.success() && !done() {
        bail!("{program} says: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// Removes a file or a folder and all that is in it.
pub(super) async fn remove(path: &Path) -> Result<()> {
    let mut tick = interval(LOOK_AGAIN);
    let wait = async {
        loop {
            tick.tick().await;
            match if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) } {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
                other => return other,
            }
        }
    };
    let removed =
        timeout(LETTING_GO, wait).await.with_context(|| format!("{} stays busy", path.display()))?;
    removed.with_context(|| format!("remove {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mounts_of_this_folder_are_ours_and_the_topmost_goes_first() {
        let mountinfo = "1 0 8:1 / / rw - ext4 /dev/a rw\n\
                         2 1 0:5 / /run/reflector-bed rw - tmpfs t rw\n\
                         3 2 0:6 / /run/reflector-bed/members/node-1/x rw - tmpfs t rw\n\
                         4 1 0:7 / /run/reflector-bed-of-somebody rw - tmpfs t rw\n\
                         5 1 0:8 / /run/netns rw - tmpfs t rw\n";
        let ours = our_mounts(mountinfo, Path::new("/run/reflector-bed"));
        let names = ["/run/reflector-bed/members/node-1/x", "/run/reflector-bed"];
        assert_eq!(ours, names.map(PathBuf::from));
    }

    #[test]
    fn only_interfaces_with_our_prefix_are_ours() {
        let dev = "Inter-|   Receive\n face |bytes packets\n    lo: 1 2\nrbed-bridge:9 8\n  eth0: 3 4\n";
        assert_eq!(our_links(dev), ["rbed-bridge"]);
        assert!(is_our_link("rbed-node-1-11") && is_our_link("rbed-bridge"));
        for other in ["eth0", "lo", "rbedroom", "cni0", "docker0", "xrbed-1"] {
            assert!(!is_our_link(other), "{other}");
        }
    }
}
