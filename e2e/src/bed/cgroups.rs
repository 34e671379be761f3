//! The bed's cgroups: what the kubelets need to find, and the mark by which every process of a bed is known.
//!
//! Whatever a component starts inherits its cgroup in the unified hierarchy, and pods are put below their node's. So one
//! write to `cgroup.kill` ends a node or the whole bed, with nobody left out and nobody else hit. Where the controllers
//! are still those of version 1, the unified hierarchy is mounted beside them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::{interval, timeout};

use super::layout::{Host, Member, NAME};

/// Where cgroups are mounted here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cgroups {
    /// Version 2.
    unified: PathBuf,
    /// Controllers that are mounted as version 1.
    v1: Vec<PathBuf>,
    /// The one of them that accounts for memory.
    v1_memory: Option<PathBuf>,
}

/// How long the kernel may take to end what was killed.
const DYING: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

impl Cgroups {
    /// Asks the kernel.
    pub(super) fn find() -> Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").context("read what is mounted")?;
        parse(&mounts).context(
            "no cgroup2 is mounted, by which the bed knows its processes; mount it: \
             mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 none /sys/fs/cgroup/unified",
        )
    }

    /// The bed's own, in the unified hierarchy.
    fn root(&self) -> PathBuf {
        self.unified.join(NAME)
    }

    /// The one that knows how much memory the bed takes.
    pub(super) fn memory(&self) -> PathBuf {
        self.v1_memory.as_ref().map_or_else(|| self.root(), |memory| memory.join(NAME))
    }

    /// Where components on this host are put: by the first of these they are known, by the others accounted for.
    pub(super) fn of(&self, host: &Host) -> Vec<PathBuf> {
        let path = match host {
            Host::Control => Path::new("control").to_owned(),
            // Version 2 wants processes in leaves only: the kubelet's are beside this one.
            Host::Member(name) => Path::new(name).join("components"),
        };
        // No other controller: with a share of the processor of its own a bed would starve on a busy machine.
        let hierarchies = [&self.unified].into_iter().chain(&self.v1_memory);
        hierarchies.map(|hierarchy| hierarchy.join(NAME).join(&path)).collect()
    }

    /// Makes what the control plane needs.
    pub(super) fn prepare(&self) -> Result<()> {
        self.of(&Host::Control).iter().try_for_each(|cgroup| make(cgroup))
    }

    /// Makes what a member needs; for a node also where its kubelet will look.
    pub(super) fn prepare_member(&self, member: &Member) -> Result<()> {
        self.of(&Host::Member(member.name.clone())).iter().try_for_each(|cgroup| make(cgroup))?;
        if member.pods.is_none() {
            return Ok(());
        }
        let path = Path::new(NAME).join(&member.name);
        for hierarchy in &self.v1 {
            make(&hierarchy.join(&path))?;
            for level in [Path::new(NAME), &path] {
                inherit_cpus(&hierarchy.join(level))?;
            }
        }
        if self.v1.is_empty() {
            for level in [Path::new(""), Path::new(NAME), &path] {
                delegate(&self.unified.join(level))?;
            }
        }
        Ok(())
    }

    /// Ends every process of one member, at once, like a power cut.
    pub(super) async fn kill_member(&self, name: &str) -> Result<()> {
        kill(&self.root().join(name)).await
    }

    /// Ends every process of the bed.
    pub(super) async fn kill_all(&self) -> Result<()> {
        kill(&self.root()).await
    }

    /// Removes the bed's cgroups from every hierarchy. Their processes must be gone.
    pub(super) async fn remove(&self) -> Result<()> {
        let mut tick = interval(LOOK_AGAIN);
        for hierarchy in self.v1.iter().chain([&self.unified]) {
            let root = hierarchy.join(NAME);
            // A process that has ended keeps its cgroup busy until it is reaped, by its parent or by init.
            let wait = async {
                while let Err(error) = remove(&root) {
                    if error.kind() != io::ErrorKind::ResourceBusy {
                        return Err(error);
                    }
                    tick.tick().await;
                }
                Ok(())
            };
            let removed =
                timeout(DYING, wait).await.with_context(|| format!("{} stays busy", root.display()))?;
            removed.with_context(|| format!("remove {}", root.display()))?;
        }
        Ok(())
    }

    /// Those of a bed's that exist.
    pub(super) fn left(&self) -> Vec<PathBuf> {
        let roots = self.v1.iter().chain([&self.unified]).map(|hierarchy| hierarchy.join(NAME));
        roots.filter(|root| root.exists()).collect()
    }
}

/// Cgroup mounts in `/proc/self/mountinfo`; `None` without a unified one.
fn parse(mountinfo: &str) -> Option<Cgroups> {
    let (mut unified, mut v1, mut v1_memory) = (None, Vec::new(), None);
    for line in mountinfo.lines() {
        // 36 35 98:0 ROOT MOUNT-POINT options - type source options
        let Some((mount, filesystem)) = line.split_once(" - ") else { continue };
        let mut filesystem = filesystem.split(' ');
        let (Some(point), Some(kind)) = (mount.split(' ').nth(4), filesystem.next()) else { continue };
        match kind {
            "cgroup2" if unified.is_none() => unified = Some(PathBuf::from(point)),
            "cgroup" => {
                if filesystem
                    .nth(1)
                    .is_some_and(|options: &str| options.split(',').any(|option| option == "memory"))
                {
                    v1_memory = Some(PathBuf::from(point));
                }
                v1.push(PathBuf::from(point));
            }
            _ => {}
        }
    }
    Some(Cgroups { unified: unified?, v1, v1_memory })
}

fn make(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("make the cgroup {}", path.display()))
}

/// A new cpuset of version 1 has no processor and no memory, and takes no process.
fn inherit_cpus(cgroup: &Path) -> Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let (ours, parent) = (cgroup.join(file), cgroup.join("..").join(file));
        if ours.exists() {
            let value = fs::read(&parent).with_context(|| format!("read {}", parent.display()))?;
            fs::write(&ours, value).with_context(|| format!("write {}", ours.display()))?;
        }
    }
    Ok(())
}

/// Version 2 hands controllers down level by level.
fn delegate(cgroup: &Path) -> Result<()> {
    let controllers = cgroup.join("cgroup.controllers");
    let there =
        fs::read_to_string(&controllers).with_context(|| format!("read {}", controllers.display()))?;
    let wanted: Vec<String> = there.split_whitespace().map(|name| format!("+{name}")).collect();
    let file = cgroup.join("cgroup.subtree_control");
    fs::write(&file, wanted.join(" ")).with_context(|| format!("write {}", file.display()))
}

async fn kill(cgroup: &Path) -> Result<()> {
    let file = cgroup.join("cgroup.kill");
    match fs::write(&file, "1") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        written => written.with_context(|| format!("write {}", file.display()))?,
    }
    let events = cgroup.join("cgroup.events");
    let mut tick = interval(LOOK_AGAIN);
    let wait = async {
        while fs::read_to_string(&events).is_ok_and(|text| text.contains("populated 1")) {
            tick.tick().await;
        }
    };
    timeout(DYING, wait).await.with_context(|| format!("{} still has processes", cgroup.display()))
}

/// Removes a cgroup and those below it. One that is gone is fine.
fn remove(cgroup: &Path) -> io::Result<()> {
    let gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let entries = match fs::read_dir(cgroup) {
        Err(error) if gone(&error) => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(cgroup).or_else(|error| if gone(&error) { Ok(()) } else { Err(error) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_layouts_of_cgroups_are_understood() {
        let hybrid = "30 29 0:26 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n\
                      31 29 0:27 / /sys/fs/cgroup/memory rw shared:5 - cgroup none rw,memory\n\
                      32 29 0:28 / /sys/fs/cgroup/unified rw - cgroup2 none rw\n\
                      33 29 0:29 / /sys rw - sysfs sysfs rw\n";
        let found = parse(hybrid).unwrap();
        assert_eq!(found.unified, Path::new("/sys/fs/cgroup/unified"));
        assert_eq!(found.v1, [Path::new("/sys/fs/cgroup/cpu"), Path::new("/sys/fs/cgroup/memory")]);
        let node = found.of(&Host::Member("node-1".into()));
        let places = ["unified", "memory"]
            .map(|name| PathBuf::from(format!("/sys/fs/cgroup/{name}/reflector-bed/node-1/components")));
        assert_eq!(node, places);
        assert_eq!(found.memory(), Path::new("/sys/fs/cgroup/memory/reflector-bed"));
        let v2 = parse("32 29 0:28 / /sys/fs/cgroup rw - cgroup2 none rw\n").unwrap();
        assert_eq!(v2.of(&Host::Control), [Path::new("/sys/fs/cgroup/reflector-bed/control")]);
        assert_eq!(v2.memory(), Path::new("/sys/fs/cgroup/reflector-bed"));
        assert_eq!(
            v2.of(&Host::Member("node-1".into())),
            [Path::new("/sys/fs/cgroup/reflector-bed/node-1/components")]
        );
        assert_eq!(parse("30 29 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"), None);
    }

    #[test]
    fn a_tree_is_removed_from_its_leaves_and_twice_is_once() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join(NAME);
        fs::create_dir_all(root.join("node-1/kubepods/pod-a")).unwrap();
        remove(&root).unwrap();
        remove(&root).unwrap();
        assert!(!root.exists());
    }
}
