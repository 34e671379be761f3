//! Which stock iperf3 programs this machine has.
//!
//! In: `REFLECTOR_IPERF3` and `PATH`. Out: one program for each version, oldest first, and aloud what is missing.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One of each kind of behaviour: one thread and 4-byte magic numbers of old; Debian's; threads; strict parameters;
/// the newest.
pub(crate) const WANTED: [&str; 5] = ["3.9", "3.12", "3.16", "3.18", "3.21"];

/// `3.17.1`, compared by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version(Vec<u32>);

/// A program that can be run.
#[derive(Debug, Clone)]
pub(crate) struct Iperf {
    pub(crate) path: PathBuf,
    pub(crate) version: Version,
}

/// The program of this version. `None` was said aloud; in CI a machine without any fails.
pub(crate) fn of(version: &str) -> Option<Iperf> {
    let found = all();
    if found.is_empty() {
        e2e::skipping::skip_test("any iperf3 (Debian package iperf3)");
        return None;
    }
    let wanted = Version::parse(version).unwrap();
    let program = found.into_iter().find(|program| program.version == wanted);
    if program.is_none() {
        e2e::skipping::skip_test(&format!(
            "iperf3 of version {version}; name a program or a folder of them in REFLECTOR_IPERF3"
        ));
    }
    program
}

/// Each version once, oldest first.
pub(crate) fn all() -> Vec<Iperf> {
    let mut found = BTreeMap::new();
    for path in candidates() {
        if let Some(version) = ask(&path) {
            found.entry(version.clone()).or_insert(Iperf { path, version });
        }
    }
    found.into_values().collect()
}

fn candidates() -> Vec<PathBuf> {
    let list = |name: &str| {
        let value = std::env::var_os(name).unwrap_or_default();
        std::env::split_paths(&value).collect::<Vec<_>>()
    };
    let named = list("REFLECTOR_IPERF3").into_iter().chain(list("PATH"));
    named.flat_map(|place| if place.is_dir() { programs_in(&place) } else { vec![place] }).collect()
}

fn programs_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("iperf3"));
    named.map(|entry| entry.path()).collect()
}

fn ask(program: &Path) -> Option<Version> {
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).output().ok()?;
    Version::said(&String::from_utf8_lossy(&output.stdout))
}

impl Version {
    /// Of a text such as `3.12`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let numbers: Option<Vec<u32>> = text.split('.').map(|number| number.parse().ok()).collect();
        numbers.filter(|numbers| numbers.len() > 1).map(Self)
    }

    /// The first line of `iperf3 --version`: `iperf 3.12 (cJSON 1.7.15)`.
    fn said(output: &str) -> Option<Self> {
        Self::parse(output.strip_prefix("iperf ")?.split_whitespace().next()?)
    }

    /// Up to and with this version, patch releases included.
    pub(crate) fn is_at_most(&self, version: &str) -> bool {
        let limit = Self::parse(version).unwrap();
        self.0[..2] <= limit.0[..2]
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(u32::to_string).collect();
        f.write_str(&numbers.join("."))
    }
}

#[test]
fn a_version_is_compared_by_number_not_by_letter() {
    let version = |text| Version::said(text).unwrap();
    assert!(version("iperf 3.9 (cJSON 1.7.13)\nLinux x\n") < version("iperf 3.12 (cJSON 1.7.15)"));
    assert!(version("iperf 3.17.1 (x)").is_at_most("3.17") && !version("iperf 3.18 (x)").is_at_most("3.17"));
    assert_eq!(Version::said("iperf 2.1.8 (12 August 2022)").unwrap().to_string(), "2.1.8");
    assert_eq!(Version::said("usage: something else"), None);
}

/// Names what is there, so that a run in which little was compared says so. What is missing is said by its own tests.
#[test]
fn versions_that_are_here_are_named() {
    let found = all();
    let there: Vec<String> = found.iter().map(|p| format!("{} ({})", p.version, p.path.display())).collect();
    eprintln!("iperf3 found: {}", there.join(", "));
    assert!(!found.is_empty() || !e2e::skipping::in_ci(), "no iperf3 at all");
}
