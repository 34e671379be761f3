//! The self-test: can this host serve tests, and how fast?
//!
//! In: where the state lives and what this build can do. Out: a [`Report`] of ten checks, a verdict and an estimate.
//! `read`, `served` and two benchmarks measure and decide nothing; `parse`, `judge` and `rule` decide and touch nothing.
//! May not leave a file, a thread or a port behind, nor let one broken check hide the other nine.

mod disk;
pub(crate) mod due;
mod host;
mod judge;
mod parse;
mod read;
mod report;
mod rule;
mod served;
mod sign;
mod table;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

pub use host::{DESCRIPTORS_NEEDED, Limits, raise_to};
pub use report::{Capability, Check, Component, EXIT_INTERNAL, Report, Status, Verdict};
pub use table::render;

use host::{Error, Host, Kind, Measured};
use served::{Load, Way};

/// What the self-test has to be told.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder of key, ledger and audit log: the disk check writes there. When it does not exist yet, its nearest
    /// existing parent is measured instead.
    pub state_dir: PathBuf,
    /// Short measurements, under a second in all. The numbers are rougher.
    pub quick: bool,
    /// This build can run throughput tests in process.
    pub throughput_engine: bool,
    /// Asks the kernel whether its clock is synchronised. `None`: it would not say.
    pub clock_synced: fn() -> Option<bool>,
}

/// Runs all ten checks, in order, and blocks meanwhile: about eight seconds, under one when `quick`. `progress` is
/// called with the name of each check before it starts. Called by `reflector self-test` and by the daemon's schedule.
pub fn run(options: &Options, progress: &mut dyn FnMut(&str)) -> Report {
    rule::conclude(&measure(Path::new("/"), options, progress))
}

/// Measures everything. `root` is where `/proc` and `/sys` are looked for.
fn measure(root: &Path, options: &Options, progress: &mut dyn FnMut(&str)) -> Host {
    let mut begin = |component: Component| progress(component.as_str());
    let quick = options.quick;
    begin(Component::Cpu);
    let cpu = guarded(|| read::cpu(root));
    begin(Component::CpuFeatures);
    let features = guarded(|| read::features(root));
    begin(Component::Memory);
    let memory = guarded(|| read::memory(root));
    begin(Component::Nic);
    let interfaces = guarded(|| read::interfaces(root));
    begin(Component::Engine);
    let engine =
        options.throughput_engine.then(|| guarded(|| served::measure(Load::Some, Way::Direct).map(|_| ())));
    begin(Component::Loopback);
    let load = if quick { Load::Some } else { served::FULL };
    let loopback_mbps = guarded(|| served::measure(load, Way::Direct));
    // Too little moves in a quick one for a ratio to mean something.
    let tunneled_mbps = (!quick).then(|| guarded(|| served::measure(load, Way::Tunneled)));
    begin(Component::Disk);
    let disk = guarded(|| disk::measure(&options.state_dir, if quick { disk::QUICK } else { disk::FULL }));
    begin(Component::Ed25519);
    let signatures_per_sec = guarded(|| sign::measure(if quick { sign::QUICK } else { sign::FULL }));
    begin(Component::Clock);
    let clock_synced = guarded(|| Ok((options.clock_synced)()));
    begin(Component::Descriptors);
    let limits = guarded(|| Ok(read::limits()));
    Host {
        cpu,
        features,
        memory,
        interfaces,
        engine,
        loopback_mbps,
        tunneled_mbps,
        disk,
        signatures_per_sec,
        clock_synced,
        limits,
    }
}

/// The processor's name, if the kernel tells one.
pub(crate) fn cpu_model() -> Option<String> {
    read::cpu(Path::new("/")).ok()?.model
}

/// The speed of an interface that has a wire or an antenna behind it, in Mbit/s. Virtual ones name a number that limits
/// nothing. `folder` is the interface's in `/sys/class/net`. Called for what a running test is held against.
pub(crate) fn wire_speed_mbps(folder: &Path) -> Option<u64> {
    read::interface(folder).filter(|found| found.kind == Kind::Physical)?.speed_mbps
}

/// A check that panics is our bug: it is reported as such and the others go on.
fn guarded<T>(check: impl FnOnce() -> Measured<T>) -> Measured<T> {
    catch_unwind(AssertUnwindSafe(check)).unwrap_or(Err(Error::Internal))
}

#[cfg(test)]
mod tests;
