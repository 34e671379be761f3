//! What a bed takes of the machine's memory, from the kernel's own account of its cgroup.
//!
//! Everything is in it: components, pods, their files in memory, and the page cache they filled. The kernel takes that
//! back when somebody needs it; the peak is therefore what a bed took, not what it cannot do without.

use std::fmt;
use std::fs;
use std::path::Path;

const MIB: u64 = 1 << 20;

/// Memory of a bed, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Memory {
    /// Now, page cache included.
    now: u64,
    /// Now, without page cache: what cannot be taken back.
    held: u64,
    /// The most since it started, page cache included; kernels before 5.19 do not tell it of version 2.
    peak: Option<u64>,
}

/// The names of the files and fields of one version.
struct Names {
    now: &'static str,
    peak: &'static str,
    held: &'static [&'static str],
}

const VERSION_1: Names = Names {
    now: "memory.usage_in_bytes",
    peak: "memory.max_usage_in_bytes",
    held: &["total_rss", "total_shmem"],
};
const VERSION_2: Names =
    Names { now: "memory.current", peak: "memory.peak", held: &["anon", "shmem", "kernel"] };

impl Memory {
    /// Of this cgroup, of either version. None where the kernel keeps no account.
    pub(super) fn of(cgroup: &Path) -> Option<Self> {
        [VERSION_1, VERSION_2].iter().find_map(|names| {
            let read = |file: &str| fs::read_to_string(cgroup.join(file)).ok();
            let number = |file: &str| read(file)?.trim().parse().ok();
            let held = held(&read("memory.stat")?, names.held);
            Some(Self { now: number(names.now)?, held, peak: number(names.peak) })
        })
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB held, {} with page cache", self.held / MIB, self.now / MIB)?;
        match self.peak {
            Some(peak) => write!(f, ", at most {} so far", peak / MIB),
            None => Ok(()),
        }
    }
}

/// The sum of these fields of a `memory.stat`.
fn held(stat: &str, fields: &[&str]) -> u64 {
    let lines = stat.lines().filter_map(|line| line.split_once(' '));
    let ours = lines.filter(|(name, _)| fields.contains(name));
    ours.filter_map(|(_, value)| value.trim().parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cgroup(files: &[(&str, &str)]) -> Option<Memory> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        Memory::of(folder.path())
    }

    #[test]
    fn both_versions_are_read_and_page_cache_is_not_called_held() {
        let one = cgroup(&[
            ("memory.usage_in_bytes", "900\n"),
            ("memory.max_usage_in_bytes", "1000\n"),
            ("memory.stat", "cache 500\nrss 7\ntotal_cache 550\ntotal_rss 300\ntotal_shmem 40\n"),
        ]);
        assert_eq!(one, Some(Memory { now: 900, held: 340, peak: Some(1000) }));
        let two =
            cgroup(&[("memory.current", "90\n"), ("memory.stat", "anon 30\nfile 50\nkernel 5\nshmem 2\n")]);
        assert_eq!(two, Some(Memory { now: 90, held: 37, peak: None }));
        assert_eq!(cgroup(&[]), None);
    }

    #[test]
    fn people_read_mebibytes() {
        let memory = Memory { now: 700 * MIB, held: 500 * MIB, peak: Some(900 * MIB) };
        assert_eq!(memory.to_string(), "500 MiB held, 700 with page cache, at most 900 so far");
    }
}
