//! What is measured on a host, as plain values. [`Host`] is all that judging and the verdict know.

use std::io;
use std::path::PathBuf;

/// Descriptors the reflector wants: 512 connections, the streams and listeners of their tests, files, and as much
/// again in reserve, rounded up. Test: `descriptors_are_raised_to_what_is_needed_and_no_further`.
pub const DESCRIPTORS_NEEDED: u64 = 4096;

/// The outcome of one measurement.
pub(super) type Measured<T> = Result<T, Error>;

/// Why something could not be measured.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// A file of the kernel could not be read.
    #[error("read {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It was read, and what we look for is not in it.
    #[error("{file} does not say {what}")]
    Missing {
        /// Which.
        file: &'static str,
        /// What was looked for.
        what: &'static str,
    },
    /// A benchmark could not do its work.
    #[error("{action}: {source}")]
    Io {
        /// What it was doing.
        action: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The state folder could not be written.
    #[error("{action} in {}: {source}", folder.display())]
    Disk {
        /// What it was doing.
        action: &'static str,
        /// Where.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The engine did not serve a test.
    #[error("run a test with the throughput engine: {0}")]
    Engine(String),
    /// Signing gave a wrong answer.
    #[error("{0}")]
    Crypto(&'static str),
    /// The check panicked.
    #[error("the check itself broke; this is a bug in the reflector")]
    Internal,
}

/// Everything the ten checks measured.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) cpu: Measured<Cpu>,
    pub(super) features: Measured<Features>,
    pub(super) memory: Measured<Memory>,
    pub(super) interfaces: Measured<Vec<Interface>>,
    /// `None`: not part of this build.
    pub(super) engine: Option<Measured<()>>,
    pub(super) loopback_mbps: Measured<f64>,
    /// The same in a tunnel. `None`: not looked at.
    pub(super) tunneled_mbps: Option<Measured<f64>>,
    pub(super) disk: Measured<Disk>,
    pub(super) signatures_per_sec: Measured<f64>,
    pub(super) clock_synced: Measured<Option<bool>>,
    pub(super) limits: Measured<Limits>,
}

/// The processor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cpu {
    /// Cores this process may use: affinity and the cgroup's CPU quota are taken off.
    pub(super) cores: usize,
    pub(super) max_mhz: Option<u64>,
    pub(super) model: Option<String>,
}

/// What the processor has instructions for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Features {
    X86 { aes: bool, avx2: bool },
    Arm { aes: bool, neon: bool },
}

/// Memory in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Memory {
    /// What this process may use at most: the host's memory or the cgroup's limit, whichever is less.
    pub(super) total: u64,
    /// How much of that is free or can be freed at once.
    pub(super) available: u64,
    /// The limit comes from a cgroup.
    pub(super) limited_by_cgroup: bool,
}

/// One network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Interface {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) up: bool,
    /// What the driver says. Only believed of [`Kind::Physical`].
    pub(super) speed_mbps: Option<u64>,
}

/// What stands behind an interface, and so whether its speed means a wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Loopback,
    /// A device with a link of its own.
    Physical,
    /// A device the hypervisor made up; vmxnet3 says 10000 whatever the host has.
    Paravirtual(String),
    /// No device: veth (says 10000), tun (says 10), bridges.
    Virtual,
}

/// Writing to the state folder.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Disk {
    /// Where it was measured.
    pub(super) folder: PathBuf,
    /// It is the state folder itself, not a parent of it.
    pub(super) exists: bool,
    /// Sequential, synced to the device.
    pub(super) mb_per_sec: f64,
    /// Free for us, in bytes.
    pub(super) free: u64,
}

/// Limits on open files. `u64::MAX` is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// What holds now.
    pub soft: u64,
    /// How far we may raise it ourselves.
    pub hard: u64,
}

/// What the soft limit is raised to when the reflector starts. Never lowers it.
pub fn raise_to(limits: Limits) -> u64 {
    limits.soft.max(limits.hard.min(DESCRIPTORS_NEEDED))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Red when the soft limit is lowered, or raised beyond the hard one.
    #[test]
    fn descriptors_are_raised_to_what_is_needed_and_no_further() {
        for (soft, hard, expected) in [
            (1024, 524_288, 4096),
            (1024, 2048, 2048),
            (8192, 524_288, 8192),
            (1024, u64::MAX, 4096),
            (u64::MAX, u64::MAX, u64::MAX),
        ] {
            assert_eq!(raise_to(Limits { soft, hard }), expected, "{soft} {hard}");
        }
    }
}
