//! The one place that reads clocks. Everything that decides is handed a [`Now`].

use jiff::Timestamp;

/// A moment on both clocks: the one that only runs forward and the one people read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Now {
    /// Milliseconds since boot, suspend included. Never jumps, and runs on while the process is stopped.
    pub(crate) mono_ms: u64,
    /// Wall clock, for people to read, and for what ends at a time that stands in an object.
    pub(crate) wall: Timestamp,
}

/// Reads both clocks.
#[expect(clippy::disallowed_methods, reason = "this is the IO file for clocks")]
pub(crate) fn now() -> Now {
    let boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let millis = boot.tv_sec.saturating_mul(1000).saturating_add(boot.tv_nsec / 1_000_000);
    Now { mono_ms: u64::try_from(millis).unwrap_or(0), wall: Timestamp::now() }
}
