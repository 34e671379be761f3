//! The kernel's text files, read into values. Pure; the texts come from `read`.

use std::path::{Path, PathBuf};

use super::host::{Error, Features, Interface, Kind, Measured};

/// A model or interface name is shown to people: this much of it is enough.
const NAME_CHARS: usize = 64;
/// No link is faster (twice 800 gigabit); 65535 and 4294967295 are old spellings of "unknown".
const FASTEST_LINK_MBPS: u64 = 1_600_000;
/// Old kernels' u16 for "speed unknown".
const SPEED_UNKNOWN_U16: u64 = 65_535;
/// Drivers of devices a hypervisor makes up: their speed is a constant or the host's guess, not a wire.
const PARAVIRTUAL: [&str; 5] = ["virtio_net", "vmxnet3", "hv_netvsc", "vif", "ena"];

/// The model's name: x86 has one per core, a Raspberry Pi one at the end.
pub(super) fn model(cpuinfo: &str) -> Option<String> {
    field(cpuinfo, "model name").or_else(|| field(cpuinfo, "Model")).map(printable)
}

/// The clock of the first core right now, for hosts that name no maximum.
pub(super) fn current_mhz(cpuinfo: &str) -> Option<u64> {
    field(cpuinfo, "cpu MHz")?.split('.').next()?.parse().ok()
}

/// `cpuinfo_max_freq`, which is in kHz.
pub(super) fn max_mhz(khz: &str) -> Option<u64> {
    khz.trim().parse::<u64>().ok().map(|khz| khz / 1000)
}

/// Which instructions the first core has.
pub(super) fn features(cpuinfo: &str) -> Measured<Features> {
    let has = |list: &str, flag: &str| list.split_ascii_whitespace().any(|each| each == flag);
    if let Some(flags) = field(cpuinfo, "flags") {
        return Ok(Features::X86 { aes: has(flags, "aes"), avx2: has(flags, "avx2") });
    }
    if let Some(list) = field(cpuinfo, "Features") {
        return Ok(Features::Arm { aes: has(list, "aes"), neon: has(list, "asimd") || has(list, "neon") });
    }
    Err(Error::Missing { file: "/proc/cpuinfo", what: "which features the CPU has" })
}

/// A number of `/proc/meminfo`, in bytes.
pub(super) fn meminfo(text: &str, key: &str) -> Option<u64> {
    field(text, key)?.split_ascii_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// A number of a cgroup file. `max`, and the huge number version 1 writes instead, are no limit.
pub(super) fn cgroup_bytes(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|bytes| *bytes < i64::MAX.unsigned_abs() / 2)
}

/// File cache that goes when memory is needed. Version 1 sums the children under another name.
pub(super) fn inactive_file(memory_stat: &str) -> u64 {
    let number = |key: &str| {
        memory_stat.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
    };
    number("total_inactive_file").or_else(|| number("inactive_file")).unwrap_or(0)
}

/// Where a cgroup's memory files may be, and what they are called.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CgroupFolder {
    /// Below `/sys/fs/cgroup`.
    pub(super) path: PathBuf,
    pub(super) limit: &'static str,
    pub(super) usage: &'static str,
}

/// Every folder whose memory limit binds us, from `/proc/self/cgroup`: our own group and all above it. A path that
/// leads out of the container's view (`/../..`) is cut at the top, where the container's own limit is mounted.
pub(super) fn cgroup_folders(text: &str) -> Vec<CgroupFolder> {
    let mut folders = Vec::new();
    for line in text.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let (mount, limit, usage) = if controllers.is_empty() {
            ("", "memory.max", "memory.current")
        } else if controllers.split(',').any(|each| each == "memory") {
            ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes")
        } else {
            continue;
        };
        let inside: &str = if path.split('/').any(|part| part == "..") { "" } else { path.trim_matches('/') };
        for ancestor in Path::new(inside).ancestors() {
            folders.push(CgroupFolder { path: Path::new(mount).join(ancestor), limit, usage });
        }
    }
    folders
}

/// What `/sys/class/net/NAME` says, unread.
#[derive(Debug, Default)]
pub(super) struct RawInterface {
    pub(super) name: String,
    /// ARP hardware type; 772 is loopback.
    pub(super) hardware: String,
    pub(super) operstate: String,
    /// A device stands behind it.
    pub(super) device: bool,
    pub(super) driver: Option<String>,
    /// Reading it fails for interfaces that are down or have none.
    pub(super) speed: Option<String>,
}

/// One interface. Drivers without link detection (tun, some virtual ones) are `unknown` while they work.
pub(super) fn interface(raw: &RawInterface) -> Interface {
    let kind = match (&raw.driver, raw.device) {
        _ if raw.hardware.trim() == "772" => Kind::Loopback,
        (Some(driver), true) if PARAVIRTUAL.contains(&driver.as_str()) => {
            Kind::Paravirtual(printable(driver))
        }
        (_, true) => Kind::Physical,
        (_, false) => Kind::Virtual,
    };
    let speed_mbps = raw
        .speed
        .as_deref()
        .and_then(|text| text.trim().parse::<u64>().ok())
        .filter(|mbps| (1..=FASTEST_LINK_MBPS).contains(mbps) && *mbps != SPEED_UNKNOWN_U16);
    let up = matches!(raw.operstate.trim(), "up" | "unknown");
    Interface { name: printable(&raw.name), kind, up, speed_mbps }
}

/// `key : value` as cpuinfo and meminfo write it; the first one counts.
fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key && !value.trim().is_empty()).then_some(value.trim())
    })
}

/// A hypervisor may put anything into these names; a terminal gets no control characters from us.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(NAME_CHARS).collect()
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
