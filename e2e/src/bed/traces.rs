//! What a bed could leave on a machine, listed before and after.
//!
//! Wider than what a sweep looks for: a component that writes to a place nobody thought of shows here.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::cgroups::Cgroups;
use super::layout::NAME;

/// Folders that programs of a bed are known to write to, on a machine where nobody tells them otherwise.
const FOLDERS: [&str; 12] = [
    "/etc",
    "/etc/cni",
    "/opt",
    "/opt/cni",
    "/opt/containerd",
    "/run",
    "/run/containerd",
    "/run/netns",
    "/usr/libexec",
    "/var/lib",
    "/var/lib/kubelet",
    "/var/log",
];

/// One line per thing there is.
pub(super) fn list() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folder = |path: &str, what: &str| {
        // A folder that is missing has nothing in it.
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            found.insert(format!("{what} {}", entry.path().display()));
        }
    };
    folder("/sys/class/net", "interface");
    for path in FOLDERS {
        folder(path, "file");
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    found.extend(mounts.lines().filter_map(|line| Some(format!("mount {}", line.split(' ').nth(4)?))));
    found.extend(loops());
    found.extend(processes().into_iter().map(|process| format!("process {process}")));
    let cgroups = Cgroups::find().map(|cgroups| cgroups.left()).unwrap_or_default();
    found.extend(cgroups.iter().map(|cgroup| format!("cgroup {}", cgroup.display())));
    found.retain(|line| !is_of_others(line));
    found
}

/// A network namespace with a name. A bed gives none to its own; those of pods are called after the software that makes them.
fn is_of_others(line: &str) -> bool {
    line.split_once(" /run/netns/").is_some_and(|(_, name)| !name.starts_with("cni-"))
}

/// Loop devices that something is attached to.
fn loops() -> Vec<String> {
    let all = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let files = all.filter_map(|entry| fs::read_to_string(entry.path().join("loop/backing_file")).ok());
    files.map(|file| format!("loop {}", file.trim_end())).collect()
}

/// Processes in a cgroup of a bed. Whoever started them, and whatever they are called.
fn processes() -> Vec<String> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter_map(|entry| {
        let pid =
            entry.file_name().into_string().ok().filter(|name| name.bytes().all(|c| c.is_ascii_digit()))?;
        let file = |name: &str| fs::read_to_string(entry.path().join(name)).unwrap_or_default();
        is_ours(&file("cgroup")).then(|| format!("{pid} {}", file("comm").trim_end()))
    })
    .collect()
}

/// Reads `/proc/PID/cgroup`.
fn is_ours(cgroups: &str) -> bool {
    cgroups
        .lines()
        .filter_map(|line| line.splitn(3, ':').nth(2))
        .any(|path| Path::new(path).starts_with(Path::new("/").join(NAME)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_a_beds_by_its_cgroup_and_not_by_a_name_like_it() {
        assert!(is_ours("9:name=systemd:/\n0::/reflector-bed/node-1/components\n"));
        assert!(is_ours("4:memory:/reflector-bed/node-1/kubepods/pod1\n0::/\n"));
        assert!(!is_ours("0::/reflector-bed-of-somebody\n4:memory:/\n"));
        assert!(!is_ours("0::/user/reflector-bed\n"));
    }

    #[test]
    fn named_namespaces_count_only_when_a_pods() {
        assert!(is_of_others("file /run/netns/somebodys") && is_of_others("mount /run/netns/somebodys"));
        assert!(!is_of_others("mount /run/netns/cni-1234") && !is_of_others("file /run/netns"));
    }
}
