//! Who competes: our programs, stock iperf3, and small peers that live in this bench.
//!
//! In: a [`Place`] with what the machine has. Out: [`Sample`]s, one for each round. All of them are processes of their
//! own, so that the kernel's account of their CPU time is theirs alone.

pub(crate) mod echo;
pub(crate) mod idle;
pub(crate) mod iperf;
pub(crate) mod ours;
pub(crate) mod peer;
mod process;
pub(crate) mod tunnel;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// What one round of one contender measured.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sample {
    /// In the unit of the row.
    pub(crate) rate: Option<f64>,
    /// Seconds per 10⁹ bytes, or per 10⁶ datagrams.
    pub(crate) cpu: Option<f64>,
    /// Microseconds.
    pub(crate) delay: Option<f64>,
    /// MiB.
    pub(crate) memory: Option<f64>,
    /// Bytes sent and received, where both ends tell and nothing may get lost.
    pub(crate) bytes: Option<(u64, u64)>,
}

/// The kernel's queues hold this much at most when a test of up to four streams ends.
const QUEUES: u64 = 160 << 20;

impl Sample {
    /// Of bytes that arrived.
    pub(crate) fn of_bytes(received: u64, seconds: f64, cpu_seconds: f64) -> Self {
        let bits = received as f64 * 8.0;
        Self {
            rate: Some(bits / seconds / 1e9),
            cpu: Some(cpu_seconds / (received as f64 / 1e9)),
            ..Self::default()
        }
    }

    /// Both ends must be talking of the same transfer.
    pub(crate) fn agree(&self) -> Result<()> {
        let Some((sent, received)) = self.bytes else { return Ok(()) };
        let slack = (sent / 100).max(QUEUES);
        ensure!(sent.abs_diff(received) <= slack, "sent {sent} and received {received} bytes disagree");
        Ok(())
    }
}

/// One side of a contest, ready to run.
pub(crate) trait Contender {
    /// One round.
    fn run(&mut self, seconds: u32) -> Result<Sample>;
}

/// What the machine has.
pub(crate) struct Place {
    pub(crate) folder: PathBuf,
    iperfs: Vec<(String, PathBuf)>,
}

impl Place {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), iperfs: find_iperfs() }
    }

    /// Version and program.
    pub(crate) fn iperfs(&self) -> impl Iterator<Item = &(String, PathBuf)> {
        self.iperfs.iter()
    }

    pub(crate) fn iperf(&self, version: &str) -> Result<&Path> {
        let found = self.iperfs.iter().find(|(there, _)| there == version);
        let (_, path) = found.with_context(|| format!("no iperf3 {version} (REFLECTOR_IPERF3, PATH)"))?;
        Ok(path)
    }

    /// A new folder for one contender.
    pub(crate) fn corner(&self) -> Result<PathBuf> {
        Ok(tempfile::tempdir_in(&self.folder)?.keep())
    }
}

fn find_iperfs() -> Vec<(String, PathBuf)> {
    let list = |name: &str| {
        let value = std::env::var_os(name).unwrap_or_default();
        std::env::split_paths(&value).collect::<Vec<_>>()
    };
    let mut found: Vec<(String, PathBuf)> = Vec::new();
    for place in list("REFLECTOR_IPERF3").into_iter().chain(list("PATH")) {
        let entries = std::fs::read_dir(&place).into_iter().flatten().flatten();
        let inside = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("iperf3"));
        let programs: Vec<PathBuf> =
            if place.is_dir() { inside.map(|entry| entry.path()).collect() } else { vec![place] };
        for program in programs {
            let Some(version) = version(&program) else { continue };
            if found.iter().all(|(there, _)| *there != version) {
                found.push((version, program));
            }
        }
    }
    found
}

fn version(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Some(text.strip_prefix("iperf ")?.split_whitespace().next()?.to_owned())
}
