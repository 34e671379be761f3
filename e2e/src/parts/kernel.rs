//! What the kernel and the rights of this process must allow before a bed is tried. Each missing piece is named with
//! its remedy, all of them at once.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

/// Something a bed cannot do here.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Missing {
    what: String,
    remedy: &'static str,
}

/// What kubelets account with.
const CONTROLLERS: [&str; 4] = ["cpu", "cpuset", "memory", "pids"];
/// What containers and nodes are made of.
const NAMESPACES: [&str; 7] = ["cgroup", "ipc", "mnt", "net", "pid", "time", "uts"];
/// What is tried, in a network namespace that is gone with its shell: a name, the commands, the remedy.
const NETWORK: [(&str, &str, &str); 3] = [
    ("a veth pair", "ip link add name bed0 type veth peer name bed1", "load the kernel module veth"),
    ("a bridge", "ip link add name bed2 type bridge", "load the kernel module bridge"),
    (
        "nftables with address translation",
        "nft 'add table ip bed; add chain ip bed nat { type nat hook postrouting priority 100; }; add rule ip bed nat masquerade'",
        "load the kernel modules nf_tables, nft_chain_nat and nft_masq",
    ),
];

/// Looks at all of it.
pub fn ready() -> Result<()> {
    let mut missing = Vec::new();
    if !rustix::process::geteuid().is_root() {
        // Nothing else can be tried.
        bail!(
            "{}",
            list(&[Missing {
                what: "root".into(),
                remedy: "namespaces, mounts and cgroups need it: sudo -E"
            }])
        );
    }
    missing.extend(cgroups(&read("/proc/self/mounts"), &read("/sys/fs/cgroup/cgroup.controllers")));
    missing.extend(namespaces(|name| Path::new("/proc/self/ns").join(name).exists()));
    if !has_overlay(&read("/proc/filesystems")) {
        // Most distributions have it as a module that nobody has asked for yet.
        run("modprobe", &["overlay"]);
        if !has_overlay(&read("/proc/filesystems")) {
            missing.push(Missing {
                what: "the file system overlay".into(),
                remedy: "containerd stacks images with it: load the kernel module overlay",
            });
        }
    }
    if run("unshare", &["--net", "--mount", "--time", "true"]) {
        missing.extend(
            NETWORK
                .iter()
                .filter(|(_, script, _)| !run("unshare", &["--net", "sh", "-c", script]))
                .map(|(what, _, remedy)| Missing { what: (*what).into(), remedy }),
        );
    } else {
        missing.push(Missing {
            what: "the right to make namespaces".into(),
            remedy: "this root is confined: run on a machine, or in a container that is privileged",
        });
    }
    if missing.is_empty() { Ok(()) } else { bail!("{}", list(&missing)) }
}

fn read(path: &str) -> String {
    // What is not there says nothing, and is missed below.
    fs::read_to_string(path).unwrap_or_default()
}

fn run(program: &str, words: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The controllers that no hierarchy has, of either version.
fn cgroups(mounts: &str, unified: &str) -> Vec<Missing> {
    let mounted = |controller: &str| {
        mounts.lines().any(|line| {
            let mut words = line.split(' ').skip(2);
            words.next() == Some("cgroup")
                && words.next().is_some_and(|options| options.split(',').any(|option| option == controller))
        })
    };
    let lacking = CONTROLLERS.iter().filter(|controller| {
        !mounted(controller) && !unified.split_whitespace().any(|word| word == **controller)
    });
    lacking
        .map(|controller| Missing {
            what: format!("the cgroup controller {controller}"),
            remedy: if *controller == "memory" {
                "on a Raspberry Pi put `cgroup_memory=1 cgroup_enable=memory` on the kernel's command line; else mount it"
            } else {
                "mount its hierarchy, or cgroup2 on /sys/fs/cgroup"
            },
        })
        .collect()
}

fn namespaces(present: impl Fn(&str) -> bool) -> Vec<Missing> {
    let lacking = NAMESPACES.iter().filter(|name| !present(name));
    lacking
        .map(|name| Missing {
            what: format!("{name} namespaces"),
            remedy: "use a kernel that is built with them; every distribution's is",
        })
        .collect()
}

fn has_overlay(filesystems: &str) -> bool {
    filesystems.lines().any(|line| line.split_whitespace().last() == Some("overlay"))
}

fn list(missing: &[Missing]) -> String {
    let lines: Vec<String> =
        missing.iter().map(|Missing { what, remedy }| format!("\n  {what}: {remedy}")).collect();
    format!("this machine cannot run a bed; it lacks:{}", lines.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEPARATE: &str = "cgroup /sys/fs/cgroup/cpu cgroup rw,relatime,cpu 0 0\n\
        cgroup /sys/fs/cgroup/cpuset cgroup rw,relatime,cpuset 0 0\n\
        cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0\n\
        cgroup /sys/fs/cgroup/pids cgroup rw,relatime,pids 0 0\n\
        cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0\n";

    fn whats(missing: &[Missing]) -> Vec<&str> {
        missing.iter().map(|missing| missing.what.as_str()).collect()
    }

    #[test]
    fn either_version_of_cgroups_will_do() {
        assert!(cgroups(SEPARATE, "").is_empty());
        assert!(cgroups("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n", "cpuset cpu io memory pids\n").is_empty());
    }

    #[test]
    fn a_board_without_the_memory_controller_is_told_what_to_write_where() {
        let missing = cgroups("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n", "cpuset cpu io pids\n");
        assert_eq!(whats(&missing), ["the cgroup controller memory"]);
        assert!(list(&missing).contains("cgroup_memory=1 cgroup_enable=memory"));
    }

    #[test]
    fn a_controller_is_not_found_in_another_ones_name() {
        let without_cpu =
            SEPARATE.replace("/cpu cgroup rw,relatime,cpu 0", "/acct cgroup rw,relatime,cpuacct 0");
        assert_eq!(whats(&cgroups(&without_cpu, "")), ["the cgroup controller cpu"]);
        assert_eq!(cgroups("", "").len(), CONTROLLERS.len());
    }

    #[test]
    fn a_missing_namespace_and_file_system_are_named() {
        assert!(namespaces(|_| true).is_empty());
        assert_eq!(whats(&namespaces(|name| name != "pid")), ["pid namespaces"]);
        assert!(has_overlay("nodev\ttmpfs\nnodev\toverlay\n\text4\n"));
        assert!(!has_overlay("nodev\ttmpfs\n\toverlayfs2\n"));
    }

    #[test]
    fn everything_missing_is_said_at_once() {
        let text = list(&[
            Missing { what: "a".into(), remedy: "do b" },
            Missing { what: "c".into(), remedy: "do d" },
        ]);
        assert_eq!(text, "this machine cannot run a bed; it lacks:\n  a: do b\n  c: do d");
    }
}
