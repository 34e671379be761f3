//! Which hierarchies of cgroups a machine has, and what a bed makes in them.
//!
//! Pure: in, what is mounted; out, paths and steps, which `cgroups.rs` takes. The kubelet and runc decide by one thing,
//! whether `/sys/fs/cgroup` itself is version 2, and so do we: some software mounts a controller of version 1 beside it.

use std::path::{Path, PathBuf};

use super::layout::{Host, Member, NAME};

/// Where the kubelet and runc look, and nowhere else.
const PLACE: &str = "/sys/fs/cgroup";
/// What kubelets and runc account with in version 2. Others are left to whoever uses them.
const WANTED: [&str; 6] = ["cpu", "cpuset", "hugetlb", "io", "memory", "pids"];

/// The hierarchies that count here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hierarchies {
    /// Version 2.
    unified: PathBuf,
    /// Controllers that are mounted as version 1. None where version 2 is all there is.
    v1: Vec<PathBuf>,
    /// The one of them that accounts for memory.
    v1_memory: Option<PathBuf>,
}

/// One step of making a member's cgroups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Make it and those above it.
    Make(PathBuf),
    /// A new cpuset of version 1 has no processor and no memory, and takes no process: it gets its parent's.
    InheritCpus(PathBuf),
    /// Version 2 hands controllers down level by level: this one hands them to those below it.
    Delegate(PathBuf),
}

impl Hierarchies {
    /// Reads `/proc/self/mountinfo`; `None` where version 2 is not mounted at all.
    pub(super) fn read(mountinfo: &str) -> Option<Self> {
        let (mut unified, mut v1, mut v1_memory) = (Vec::new(), Vec::new(), None);
        for line in mountinfo.lines() {
            // 36 35 98:0 ROOT MOUNT-POINT options - type source options
            let Some((mount, filesystem)) = line.split_once(" - ") else { continue };
            let mut filesystem = filesystem.split(' ');
            let (Some(point), Some(kind)) = (mount.split(' ').nth(4), filesystem.next()) else { continue };
            let point = PathBuf::from(point);
            match kind {
                "cgroup2" => unified.push(point),
                "cgroup" => {
                    let options: &str = filesystem.nth(1).unwrap_or_default();
                    if options.split(',').any(|option| option == "memory") {
                        v1_memory = Some(point.clone());
                    }
                    v1.push(point);
                }
                _ => {}
            }
        }
        if unified.iter().any(|point| point == Path::new(PLACE)) {
            return Some(Self { unified: PLACE.into(), v1: Vec::new(), v1_memory: None });
        }
        Some(Self { unified: unified.into_iter().next()?, v1, v1_memory })
    }

    /// Folders that stand for hierarchies.
    #[cfg(test)]
    pub(super) fn of_folders(unified: PathBuf, v1: Vec<PathBuf>) -> Self {
        Self { unified, v1, v1_memory: None }
    }

    /// Where version 2 is mounted.
    pub(super) fn unified(&self) -> PathBuf {
        self.unified.clone()
    }

    /// Where they are mounted.
    pub(super) fn points(&self) -> impl Iterator<Item = &PathBuf> {
        self.v1.iter().chain([&self.unified])
    }

    /// A cgroup of this name in every hierarchy.
    pub(super) fn each(&self, name: &str) -> impl Iterator<Item = PathBuf> {
        self.points().map(move |hierarchy| hierarchy.join(name))
    }

    /// The same in those of version 1.
    pub(super) fn version_1(&self, name: &str) -> impl Iterator<Item = PathBuf> {
        self.v1.iter().map(move |hierarchy| hierarchy.join(name))
    }

    /// Whether controllers are handed down level by level.
    pub(super) fn has_version_2_alone(&self) -> bool {
        self.v1.is_empty()
    }

    /// The bed's own, in the unified hierarchy.
    pub(super) fn root(&self) -> PathBuf {
        self.unified.join(NAME)
    }

    /// The bed's own, in every hierarchy.
    pub(super) fn roots(&self) -> impl Iterator<Item = PathBuf> {
        self.each(NAME)
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

    /// What a member needs; for a node also where its kubelet will look.
    pub(super) fn steps(&self, member: &Member) -> Vec<Step> {
        let own = self.of(&Host::Member(member.name.clone()));
        let mut steps: Vec<Step> = own.into_iter().map(Step::Make).collect();
        if member.pods.is_none() {
            return steps;
        }
        let path = Path::new(NAME).join(&member.name);
        for hierarchy in &self.v1 {
            steps.push(Step::Make(hierarchy.join(&path)));
            steps.extend([Path::new(NAME), &path].map(|level| Step::InheritCpus(hierarchy.join(level))));
        }
        if self.v1.is_empty() {
            let levels = [self.unified.clone(), self.root(), self.unified.join(&path)];
            steps.extend(levels.map(Step::Delegate));
        }
        steps
    }
}

/// What is written to `cgroup.subtree_control` where `cgroup.controllers` says this.
pub(super) fn handed_down(controllers: &str) -> String {
    let there = controllers.split_whitespace().filter(|name| WANTED.contains(name));
    there.map(|name| format!("+{name}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::layout::Layout;
    use super::*;

    const V1: &str = "30 29 0:26 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n\
                      31 29 0:27 / /sys/fs/cgroup/memory rw shared:5 - cgroup none rw,memory\n\
                      33 29 0:29 / /sys rw - sysfs sysfs rw\n";
    const BESIDE: &str = "32 29 0:28 / /sys/fs/cgroup/unified rw - cgroup2 none rw\n";
    const V2: &str = "32 29 0:28 / /sys/fs/cgroup rw - cgroup2 none rw\n";

    fn read(mounts: &[&str]) -> Option<Hierarchies> {
        Hierarchies::read(&mounts.concat())
    }

    /// As text: `what path`.
    fn steps(mounts: &[&str], member: &Member) -> Vec<String> {
        let steps = read(mounts).unwrap().steps(member);
        let text = steps.iter().map(|step| match step {
            Step::Make(path) => format!("make {}", path.display()),
            Step::InheritCpus(path) => format!("cpus {}", path.display()),
            Step::Delegate(path) => format!("delegate {}", path.display()),
        });
        text.collect()
    }

    #[test]
    fn each_layout_of_cgroups_is_told_from_the_others() {
        let v1 = ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/memory"].map(PathBuf::from).to_vec();
        let stray = "40 29 0:40 / /opt/vpn/net_cls rw - cgroup none rw,net_cls\n";
        let second = "41 29 0:41 / /mnt/guest/cgroup rw - cgroup2 none rw\n";
        let only = Hierarchies { unified: PLACE.into(), v1: vec![], v1_memory: None };
        let v1_memory = Some("/sys/fs/cgroup/memory".into());
        let both = Hierarchies { unified: "/sys/fs/cgroup/unified".into(), v1, v1_memory };
        assert_eq!(both.memory(), Path::new("/sys/fs/cgroup/memory/reflector-bed"));
        assert_eq!(only.memory(), Path::new("/sys/fs/cgroup/reflector-bed"));
        for (mounts, expected) in [
            (&[V1, BESIDE][..], Some(&both)),
            (&[BESIDE, V1], Some(&both)),
            (&[V2], Some(&only)),
            (&[stray, V2], Some(&only)),
            (&[second, V2], Some(&only)),
            (&[V1], None),
            (&["nonsense\n"], None),
        ] {
            assert_eq!(read(mounts).as_ref(), expected, "{mounts:?}");
        }
    }

    #[test]
    fn a_node_gets_what_its_kubelet_looks_for_in_either_layout() {
        let layout = Layout::new(Path::new("/bed"), 1);
        let node = layout.nodes().next().unwrap();
        assert_eq!(
            steps(&[V1, BESIDE], &node),
            [
                "make /sys/fs/cgroup/unified/reflector-bed/node-1/components",
                "make /sys/fs/cgroup/memory/reflector-bed/node-1/components",
                "make /sys/fs/cgroup/cpu/reflector-bed/node-1",
                "cpus /sys/fs/cgroup/cpu/reflector-bed",
                "cpus /sys/fs/cgroup/cpu/reflector-bed/node-1",
                "make /sys/fs/cgroup/memory/reflector-bed/node-1",
                "cpus /sys/fs/cgroup/memory/reflector-bed",
                "cpus /sys/fs/cgroup/memory/reflector-bed/node-1",
            ]
        );
        assert_eq!(
            steps(&[V2], &node),
            [
                "make /sys/fs/cgroup/reflector-bed/node-1/components",
                "delegate /sys/fs/cgroup",
                "delegate /sys/fs/cgroup/reflector-bed",
                "delegate /sys/fs/cgroup/reflector-bed/node-1",
            ]
        );
    }

    #[test]
    fn an_appliance_has_no_kubelet_and_needs_no_more_than_its_components() {
        let layout = Layout::new(Path::new("/bed"), 1);
        let attic = layout.appliance("attic", 1);
        assert_eq!(
            steps(&[V1, BESIDE], &attic),
            ["unified", "memory"]
                .map(|name| format!("make /sys/fs/cgroup/{name}/reflector-bed/attic/components"))
        );
        assert_eq!(steps(&[V2], &attic), ["make /sys/fs/cgroup/reflector-bed/attic/components"]);
    }

    #[test]
    fn no_process_is_put_where_version_2_hands_controllers_down() {
        let layout = Layout::new(Path::new("/bed"), 2);
        let hierarchies = read(&[V2]).unwrap();
        let delegating: Vec<Step> = layout.nodes().flat_map(|node| hierarchies.steps(&node)).collect();
        let hosts = layout.nodes().map(|node| Host::Member(node.name)).chain([Host::Control]);
        for place in hosts.flat_map(|host| hierarchies.of(&host)) {
            assert!(!delegating.contains(&Step::Delegate(place.clone())), "{}", place.display());
        }
    }

    #[test]
    fn only_controllers_that_are_there_and_wanted_are_handed_down() {
        for (there, written) in [
            ("cpuset cpu io memory hugetlb pids rdma misc\n", "+cpuset +cpu +io +memory +hugetlb +pids"),
            ("cpuset cpu io pids\n", "+cpuset +cpu +io +pids"),
            ("rdma misc dmem\n", ""),
            ("\n", ""),
        ] {
            assert_eq!(handed_down(there), written);
        }
    }
}
