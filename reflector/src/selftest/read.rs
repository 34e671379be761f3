//! Reads the kernel's files and limits. Decides nothing: texts go to `parse`.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::thread;

use super::host::{Cpu, Error, Features, Interface, Limits, Measured, Memory};
use super::parse::{self, RawInterface};

/// No file of the kernel we read is longer, except cpuinfo on hosts whose first core is all we need.
const MAX_TEXT: u64 = 256 * 1024;
/// A node with more interfaces than this has pods; its own come early enough.
const MAX_INTERFACES: usize = 1024;

/// Model, clock and usable cores.
pub(super) fn cpu(root: &Path) -> Measured<Cpu> {
    let cores = thread::available_parallelism()
        .map_err(|source| Error::Io { action: "count usable cores", source })?
        .get();
    // Both are for people; a host that hides them is not worse for it.
    let cpuinfo = text(&root.join("proc/cpuinfo")).unwrap_or_default();
    let max = text(&root.join("sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq")).ok();
    let max_mhz = max.as_deref().and_then(parse::max_mhz).or_else(|| parse::current_mhz(&cpuinfo));
    Ok(Cpu { cores, max_mhz, model: parse::model(&cpuinfo) })
}

/// Instruction sets.
pub(super) fn features(root: &Path) -> Measured<Features> {
    parse::features(&text(&root.join("proc/cpuinfo"))?)
}

/// Memory of the host, or of our cgroup where that is less.
pub(super) fn memory(root: &Path) -> Measured<Memory> {
    let meminfo = text(&root.join("proc/meminfo"))?;
    let number =
        |key, what| parse::meminfo(&meminfo, key).ok_or(Error::Missing { file: "/proc/meminfo", what });
    let mut memory = Memory {
        total: number("MemTotal", "how much memory there is")?,
        available: number("MemAvailable", "how much memory is free")?,
        limited_by_cgroup: false,
    };
    // No cgroups: no limit.
    let groups = text(&root.join("proc/self/cgroup")).unwrap_or_default();
    for folder in parse::cgroup_folders(&groups) {
        let files = root.join("sys/fs/cgroup").join(&folder.path);
        let number = |name| text(&files.join(name)).ok().as_deref().and_then(parse::cgroup_bytes);
        let Some(limit) = number(folder.limit) else { continue };
        let cache = text(&files.join("memory.stat")).map_or(0, |stat| parse::inactive_file(&stat));
        let used = number(folder.usage).unwrap_or(0).saturating_sub(cache);
        memory.available = memory.available.min(limit.saturating_sub(used));
        if limit < memory.total {
            memory.total = limit;
            memory.limited_by_cgroup = true;
        }
    }
    Ok(memory)
}

/// Every network interface of our network namespace.
pub(super) fn interfaces(root: &Path) -> Measured<Vec<Interface>> {
    let folder = root.join("sys/class/net");
    let entries = fs::read_dir(&folder).map_err(|source| Error::Read { path: folder.clone(), source })?;
    let mut found = Vec::new();
    for entry in entries.take(MAX_INTERFACES) {
        let entry = entry.map_err(|source| Error::Read { path: folder.clone(), source })?;
        found.extend(interface(&entry.path()));
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// One of `/sys/class/net`. `None` for what is none: `bonding_masters` is a file among the interfaces.
pub(super) fn interface(path: &Path) -> Option<Interface> {
    let hardware = text(&path.join("type")).ok()?;
    let driver = fs::read_link(path.join("device/driver")).ok();
    Some(parse::interface(&RawInterface {
        name: path.file_name()?.to_string_lossy().into_owned(),
        hardware,
        operstate: text(&path.join("operstate")).unwrap_or_default(),
        device: path.join("device").exists(),
        driver: driver.and_then(|link| Some(link.file_name()?.to_string_lossy().into_owned())),
        speed: text(&path.join("speed")).ok(),
    }))
}

/// Limits on open files.
pub(super) fn limits() -> Limits {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    Limits { soft: limit.current.unwrap_or(u64::MAX), hard: limit.maximum.unwrap_or(u64::MAX) }
}

fn text(path: &Path) -> Measured<String> {
    let failed = |source| Error::Read { path: PathBuf::from(path), source };
    let mut bytes = Vec::new();
    fs::File::open(path).map_err(failed)?.take(MAX_TEXT).read_to_end(&mut bytes).map_err(failed)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        root
    }

    /// Red when a limit above our own cgroup is overlooked, or cache counts as used.
    #[test]
    fn the_narrowest_cgroup_above_us_is_the_memory_we_have() {
        let root = tree(&[
            ("proc/meminfo", "MemTotal: 8388608 kB\nMemAvailable: 6291456 kB\n"),
            ("proc/self/cgroup", "0::/kubepods/pod1\n"),
            ("sys/fs/cgroup/kubepods/pod1/memory.max", "max\n"),
            ("sys/fs/cgroup/kubepods/memory.max", "268435456\n"),
            ("sys/fs/cgroup/kubepods/memory.current", "200000000\n"),
            ("sys/fs/cgroup/kubepods/memory.stat", "anon 5\ninactive_file 150000000\n"),
        ]);
        let memory = memory(root.path()).unwrap();
        assert_eq!(memory, Memory { total: 268_435_456, available: 218_435_456, limited_by_cgroup: true });
    }

    #[test]
    fn version_1_limits_count_too() {
        let root = tree(&[
            ("proc/meminfo", "MemTotal: 1048576 kB\nMemAvailable: 524288 kB\n"),
            ("proc/self/cgroup", "4:memory:/box\n1:cpu:/\n"),
            ("sys/fs/cgroup/memory/box/memory.limit_in_bytes", "134217728\n"),
            ("sys/fs/cgroup/memory/box/memory.usage_in_bytes", "100000000\n"),
        ]);
        let memory = memory(root.path()).unwrap();
        assert_eq!(memory, Memory { total: 134_217_728, available: 34_217_728, limited_by_cgroup: true });
    }

    /// S4
    #[test]
    fn a_veth_and_a_file_among_the_interfaces_are_read_for_what_they_are() {
        let root = tree(&[
            ("sys/class/net/bonding_masters", "bond0\n"),
            ("sys/class/net/veth1/type", "1\n"),
            ("sys/class/net/veth1/operstate", "up\n"),
            ("sys/class/net/veth1/speed", "10000\n"),
        ]);
        let found = interfaces(root.path()).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].name.as_str(), &found[0].kind), ("veth1", &super::super::host::Kind::Virtual));
    }

    #[test]
    fn a_host_without_proc_gives_errors_that_name_the_file() {
        let root = tree(&[]);
        assert!(features(root.path()).unwrap_err().to_string().contains("proc/cpuinfo"));
        assert!(memory(root.path()).unwrap_err().to_string().contains("proc/meminfo"));
        assert!(interfaces(root.path()).unwrap_err().to_string().contains("sys/class/net"));
    }
}
