//! The bed's cgroups: what the kubelets need to find, and the mark by which every process of a bed is known.
//!
//! Whatever a component starts inherits its cgroup in the unified hierarchy, and pods are put below their node's. So one
//! write to `cgroup.kill` ends a node or the whole bed, with nobody left out and nobody else hit. Where the controllers
//! are still those of version 1, the unified hierarchy is mounted beside them.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::time::{interval, timeout};

use super::hierarchies::{Hierarchies, Step, handed_down};
use super::layout::{Host, Member};

/// The bed's cgroups on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cgroups {
    hierarchies: Hierarchies,
}

/// How long the kernel may take to end what was killed.
const DYING: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Enters the cgroups before `--` and becomes the rest. When the bed is gone there is no such cgroup, and nothing starts.
pub(super) const ENTER: &str = r#"
while [ "$1" != -- ]; do
  echo 0 >"$1/cgroup.procs" || exit 1
  shift
done
shift
exec "$@"
"#;

impl Cgroups {
    /// Asks the kernel.
    pub(super) fn find() -> Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").context("read what is mounted")?;
        let hierarchies = Hierarchies::read(&mounts).context(
            "no cgroup2 is mounted, by which the bed knows its processes; mount it: \
             mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 none /sys/fs/cgroup/unified",
        )?;
        Ok(Self { hierarchies })
    }

    /// What precedes a command that belongs to this host and ends with it. It keeps the process id.
    pub(super) fn enter(&self, host: &Host) -> Vec<OsString> {
        let mut words = ["sh", "-c", ENTER, "sh"].map(OsString::from).to_vec();
        words.extend(self.hierarchies.of(host).into_iter().map(OsString::from));
        words.push("--".into());
        words
    }

    /// The one that knows how much memory the bed takes.
    pub(super) fn memory(&self) -> PathBuf {
        self.hierarchies.memory()
    }

    /// Makes what the control plane needs.
    pub(super) fn prepare(&self) -> Result<()> {
        self.hierarchies.of(&Host::Control).iter().try_for_each(|cgroup| make(cgroup))?;
        let kill = self.hierarchies.root().join("cgroup.kill");
        ensure!(kill.exists(), "there is no {}: the bed needs Linux 5.14 or newer", kill.display());
        Ok(())
    }

    /// Makes what a member needs; for a node also where its kubelet will look.
    pub(super) fn prepare_member(&self, member: &Member) -> Result<()> {
        for step in self.hierarchies.steps(member) {
            match step {
                Step::Make(cgroup) => make(&cgroup)?,
                Step::InheritCpus(cgroup) => inherit_cpus(&cgroup)?,
                Step::Delegate(cgroup) => delegate(&cgroup)?,
            }
        }
        Ok(())
    }

    /// Makes everything of a member stand still, or go on. What stands still can be killed.
    pub(super) async fn freeze_member(&self, name: &str, still: bool) -> Result<()> {
        freeze(&self.hierarchies.root().join(name), still).await
    }

    /// The same for one container of a node.
    pub(super) async fn freeze_container(&self, node: &str, id: &str, still: bool) -> Result<()> {
        freeze(&self.container(node, id)?, still).await
    }

    /// Lets everything of the bed go on.
    pub(super) async fn thaw_all(&self) -> Result<()> {
        for cgroup in all_below(self.hierarchies.root()) {
            freeze(&cgroup, false).await?;
        }
        Ok(())
    }

    /// Ends every process of one container of a node.
    pub(super) async fn kill_container(&self, node: &str, id: &str) -> Result<()> {
        kill(&self.container(node, id)?).await
    }

    /// Where runc put a container. Its cgroup has the container's name, wherever the kubelet has the pod's.
    fn container(&self, node: &str, id: &str) -> Result<PathBuf> {
        let node = self.hierarchies.root().join(node);
        let found = all_below(node.clone()).into_iter().find(|cgroup| cgroup.ends_with(id));
        found.with_context(|| format!("no container {id} runs below {}", node.display()))
    }

    /// Ends every process of one member, at once, like a power cut.
    pub(super) async fn kill_member(&self, name: &str) -> Result<()> {
        kill(&self.hierarchies.root().join(name)).await
    }

    /// Ends every process of the bed.
    pub(super) async fn kill_all(&self) -> Result<()> {
        kill(&self.hierarchies.root()).await
    }

    /// Removes the bed's cgroups from every hierarchy. Their processes must be gone.
    pub(super) async fn remove(&self) -> Result<()> {
        let mut tick = interval(LOOK_AGAIN);
        for root in self.hierarchies.roots() {
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
        self.hierarchies.roots().filter(|root| root.exists()).collect()
    }
}

pub(super) fn make(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("make the cgroup {}", path.display()))
}

pub(super) fn inherit_cpus(cgroup: &Path) -> Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let (ours, parent) = (cgroup.join(file), cgroup.join("..").join(file));
        if ours.exists() {
            let value = fs::read(&parent).with_context(|| format!("read {}", parent.display()))?;
            fs::write(&ours, value).with_context(|| format!("write {}", ours.display()))?;
        }
    }
    Ok(())
}

pub(super) fn delegate(cgroup: &Path) -> Result<()> {
    let controllers = cgroup.join("cgroup.controllers");
    let there =
        fs::read_to_string(&controllers).with_context(|| format!("read {}", controllers.display()))?;
    let file = cgroup.join("cgroup.subtree_control");
    let written = fs::write(&file, handed_down(&there));
    // The root of a machine may have processes and hand down; the root that a container is shown may not.
    written.with_context(|| {
        format!("write {}; in a container, start that with the host's cgroup namespace", file.display())
    })
}

/// Every cgroup below one, and itself. Those that go meanwhile are left out.
fn all_below(cgroup: PathBuf) -> Vec<PathBuf> {
    let mut all = vec![cgroup];
    let mut next = 0;
    while let Some(one) = all.get(next) {
        let entries = fs::read_dir(one).into_iter().flatten().flatten();
        let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let folders: Vec<PathBuf> = folders.map(|entry| entry.path()).collect();
        all.extend(folders);
        next += 1;
    }
    all
}

async fn freeze(cgroup: &Path, still: bool) -> Result<()> {
    let file = cgroup.join("cgroup.freeze");
    match fs::write(&file, if still { "1" } else { "0" }) {
        // What is gone need not go on.
        Err(error) if error.kind() == io::ErrorKind::NotFound && !still => return Ok(()),
        written => written.with_context(|| format!("write {}", file.display()))?,
    }
    if still {
        events(cgroup, "frozen 0")
            .await
            .with_context(|| format!("{} does not stand still", cgroup.display()))?;
    }
    Ok(())
}

async fn kill(cgroup: &Path) -> Result<()> {
    let file = cgroup.join("cgroup.kill");
    match fs::write(&file, "1") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        written => written.with_context(|| format!("write {}", file.display()))?,
    }
    events(cgroup, "populated 1").await.with_context(|| format!("{} still has processes", cgroup.display()))
}

/// Waits until the kernel no longer says this of a cgroup.
async fn events(cgroup: &Path, no_longer: &str) -> Result<()> {
    let file = cgroup.join("cgroup.events");
    let mut tick = interval(LOOK_AGAIN);
    let wait = async {
        while fs::read_to_string(&file).is_ok_and(|text| text.contains(no_longer)) {
            tick.tick().await;
        }
    };
    Ok(timeout(DYING, wait).await?)
}

/// Removes a cgroup and those below it. One that is gone is fine.
pub(super) fn remove(cgroup: &Path) -> io::Result<()> {
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
    use super::super::layout::{Layout, NAME};
    use super::*;

    /// Folders with the files that the kernel would put there.
    fn pretend(root: &Path, levels: &[&str], files: &[(&str, &str)]) {
        for level in levels {
            let folder = root.join(level);
            fs::create_dir_all(&folder).unwrap();
            for (file, text) in files {
                fs::write(folder.join(file), text).unwrap();
            }
        }
    }

    #[test]
    fn with_version_2_alone_every_level_above_the_pods_hands_its_controllers_down() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let node = Layout::new(Path::new("/bed"), 1).nodes().next().unwrap();
        let levels = ["", "reflector-bed", "reflector-bed/node-1"];
        let files =
            [("cgroup.controllers", "cpuset cpu io memory pids misc\n"), ("cgroup.subtree_control", "")];
        pretend(root, &levels, &files);
        let cgroups = Cgroups { hierarchies: Hierarchies::of_folders(root.into(), vec![]) };
        cgroups.prepare_member(&node).unwrap();
        for level in levels {
            let written = fs::read_to_string(root.join(level).join("cgroup.subtree_control")).unwrap();
            assert_eq!(written, "+cpuset +cpu +io +memory +pids", "{level}");
        }
        assert!(!root.join("reflector-bed/node-1/components/cgroup.subtree_control").exists());
    }

    #[test]
    fn with_version_1_a_nodes_cpuset_has_what_its_parent_has() {
        let root = tempfile::tempdir().unwrap();
        let (unified, cpuset, pids) =
            (root.path().join("unified"), root.path().join("cpuset"), root.path().join("pids"));
        let node = Layout::new(Path::new("/bed"), 1).nodes().next().unwrap();
        pretend(&cpuset, &[""], &[("cpuset.cpus", "0-1\n"), ("cpuset.mems", "0\n")]);
        let new = [("cpuset.cpus", ""), ("cpuset.mems", "")];
        pretend(&cpuset, &["reflector-bed", "reflector-bed/node-1"], &new);
        let hierarchies = Hierarchies::of_folders(unified.clone(), vec![cpuset.clone(), pids.clone()]);
        Cgroups { hierarchies }.prepare_member(&node).unwrap();
        for (file, value) in [("cpuset.cpus", "0-1\n"), ("cpuset.mems", "0\n")] {
            assert_eq!(fs::read_to_string(cpuset.join("reflector-bed/node-1").join(file)).unwrap(), value);
        }
        assert_eq!(fs::read_dir(pids.join("reflector-bed/node-1")).unwrap().count(), 0);
        assert!(!unified.join("cgroup.subtree_control").exists());
    }

    #[test]
    fn a_container_is_found_wherever_its_pod_is() {
        let root = tempfile::tempdir().unwrap();
        let id = "0a1b";
        let path = root.path().join("reflector-bed/node-1/kubepods/besteffort/pod-7").join(id);
        fs::create_dir_all(&path).unwrap();
        fs::create_dir_all(root.path().join("reflector-bed/node-2/kubepods/pod-8/2c3d")).unwrap();
        let cgroups = Cgroups { hierarchies: Hierarchies::of_folders(root.path().into(), vec![]) };
        assert_eq!(cgroups.container("node-1", id).unwrap(), path);
        for other in ["2c3d", "0a1", "a1b"] {
            assert!(cgroups.container("node-1", other).is_err(), "{other}");
        }
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
