//! A member of the bed: a process that holds a network, a mount and a time namespace open, and the way into them.
//!
//! It has a clock since boot of its own, too, as every machine has: a reading of one member means nothing on another. The
//! time of day is the machine's; the kernel has no namespace for that.
//!
//! The namespaces have no name and no pin: they live as long as somebody lives in them. Whatever a node mounts, whatever
//! interface it makes, is gone when its last process is; that is why a sweep is short. Inside, /run, /var/log and
//! /var/lib are the member's own folders: programs that hard-code a path there cannot meet those of another node.

use std::ffi::OsString;
use std::path::Path;

use super::component::{Component, Ready};
use super::layout::{Layout, Member};

/// `$1` is the member's folder, `$2` the bed's. The bed's folder stays where it is, with the disks in it, also when it lies
/// below /run.
const ENTER: &str = r#"
set -eu
mkdir -p "$1/run" "$1/log" "$1/lib"
case "$2" in
  /run/*) mkdir -p "$1$2"; mount --rbind "$2" "$1$2" ;;
esac
mount --rbind "$1/run" /run
mount --bind "$1/log" /var/log
mount --bind "$1/lib" /var/lib
# Volumes that are to be seen on both sides need a parent that passes mounts on; it ends at this namespace.
mount --make-rshared /
ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward
exec sleep infinity
"#;

/// The process that makes a member's namespaces and keeps them.
pub(super) fn anchor(layout: &Layout, member: &Member) -> Component {
    let booted = member.booted_before().as_secs().to_string();
    Component::new(member.anchor(), "unshare", Ready::Became("sleep"))
        .args(["--time", "--monotonic", &booted, "--boottime", &booted])
        .args(["--net", "--mount", "--propagation", "private", "sh", "-c", ENTER, "sh"])
        .args([&member.folder, layout.folder()].map(|path: &Path| path.as_os_str()))
}

/// What precedes a command that runs inside. It keeps the process id. (`ip netns exec` would mount /sys anew and hide the
/// cgroups.)
pub(super) fn inside(anchor: u32) -> Vec<OsString> {
    // Before Linux 6.3 it is not in its own time namespace itself, only its children are.
    let time = format!("--time=/proc/{anchor}/ns/time_for_children");
    ["nsenter", "--target", &anchor.to_string(), "--net", "--mount", &time, "--"].map(OsString::from).to_vec()
}
