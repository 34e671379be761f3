//! Who competes: our programs, stock iperf3, and small peers that live in this bench.
//!
//! In: a [`Place`] with what the machine has. Out: [`Sample`]s, one for each round. All of them are processes of their
//! own, so that the kernel's account of their CPU time is theirs alone.

pub(crate) mod echo;
pub(crate) mod host;
pub(crate) mod idle;
pub(crate) mod iperf;
pub(crate) mod ours;
pub(crate) mod peer;
mod process;
pub(crate) mod tunnel;

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use anyhow::{Result, ensure};

use host::{Cable, Host};

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
    /// Datagrams that did not arrive.
    pub(crate) lost: Option<f64>,
    /// Bytes that arrived.
    pub(crate) received: Option<u64>,
    /// Bytes by a second account, where nothing may get lost: what the sender sent, or what our server charged.
    pub(crate) sent: Option<u64>,
}

/// What this machine would need for a row.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Missing(pub(crate) String);

/// The kernel's queues hold this much at most when a test of up to four streams ends.
const QUEUES: u64 = 160 << 20;
/// Part of a frame on Ethernet with an MTU of 1500 that is no payload of TCP, and a little for what goes back: 66 of 1514
/// bytes.
const HEADERS: f64 = 0.06;

impl Sample {
    /// Of bytes that arrived.
    pub(crate) fn of_bytes(received: u64, seconds: f64, cpu_seconds: f64) -> Self {
        let bits = received as f64 * 8.0;
        Self {
            rate: Some(bits / seconds / 1e9),
            cpu: Some(cpu_seconds / (received as f64 / 1e9)),
            received: Some(received),
            ..Self::default()
        }
    }

    /// Both ends and the interfaces must be talking of the same transfer. `carried`: what the interfaces counted
    /// meanwhile, if nobody else used them.
    pub(crate) fn agree(&self, carried: Option<u64>) -> Result<()> {
        let Some(received) = self.received else { return Ok(()) };
        if let Some(sent) = self.sent {
            let slack = (sent / 100).max(QUEUES);
            ensure!(
                sent.abs_diff(received) <= slack,
                "{sent} bytes sent or charged and {received} received disagree"
            );
        }
        let Some(carried) = carried else { return Ok(()) };
        ensure!(received <= carried, "received {received} bytes, and the interfaces carried only {carried}");
        let unaccounted = (carried - received).saturating_sub(QUEUES) as f64 / carried as f64;
        // Datagrams may be lost on the way: only of a stream that tells both ends all must be there.
        ensure!(
            self.sent.is_none() || unaccounted <= HEADERS,
            "received {received} bytes, and the interfaces carried {carried}"
        );
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
    cable: OnceCell<Rc<Cable>>,
}

impl Place {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), iperfs: find_iperfs(), cable: OnceCell::new() }
    }

    /// Version and program.
    pub(crate) fn iperfs(&self) -> impl Iterator<Item = &(String, PathBuf)> {
        self.iperfs.iter()
    }

    pub(crate) fn iperf(&self, version: &str) -> Result<&Path> {
        match self.iperfs.iter().find(|(there, _)| there == version) {
            Some((_, path)) => Ok(path),
            None => Err(Missing(format!("no iperf3 {version} (REFLECTOR_IPERF3, PATH)")).into()),
        }
    }

    /// The host at the far end of a cable, which is there from its first use on.
    pub(crate) fn far(&self) -> Result<Host> {
        if let Some(cable) = self.cable.get() {
            return Ok(Host::Far(Rc::clone(cable)));
        }
        let cable = Rc::new(Cable::plug()?);
        Ok(Host::Far(Rc::clone(self.cable.get_or_init(|| cable))))
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
