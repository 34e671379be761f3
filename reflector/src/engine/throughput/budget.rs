//! The purse of a test that may be cut: what is left of the day shrinks the windows of the streams that receive.
//!
//! A peer may send what we have advertised, whatever we decide meanwhile. So the nearer the end of the budget is, the less
//! is advertised: a stream's window stays within its share of half of what is left. It happens where bytes are leased,
//! because at full speed a budget is gone between two looks of any timer.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use socket2::SockRef;

use crate::engine::purse::Purse;
use crate::engine::sys;
use crate::session::Meter;

/// Windows above this are no window of any path; the clamp begins below.
const WIDEST: u32 = 1 << 30;

/// Windows are not clamped further: a cut may overshoot by 256 KiB per stream, and below this a stream only crawls.
const NARROWEST: u32 = 64 << 10;

/// Leases for all streams of a test.
pub(super) struct Budget {
    meter: Meter,
    /// Sockets of the TCP streams that receive.
    sinks: OnceLock<Vec<OwnedFd>>,
    window: AtomicU32,
}

impl Budget {
    pub(super) fn new(meter: Meter) -> Self {
        Self { meter, sinks: OnceLock::new(), window: AtomicU32::new(WIDEST) }
    }

    /// Whose windows to narrow; once, before the streams start.
    pub(super) fn narrows(&self, sinks: Vec<OwnedFd>) {
        let _ = self.sinks.set(sinks);
        self.narrow();
    }

    fn narrow(&self) {
        let Some(left) = self.meter.left() else { return };
        let Some(sinks) = self.sinks.get().filter(|sinks| !sinks.is_empty()) else { return };
        let window = window(left, sinks.len());
        if window < self.window.load(Ordering::Relaxed)
            && self.window.fetch_min(window, Ordering::AcqRel) > window
        {
            for sink in sinks {
                // A connection that is gone has no window.
                let _ = sys::clamp_window(sink, window);
            }
        }
    }

    /// Nobody reads any more: without room the kernel advertises nothing on top of what it has. A clamp alone would let
    /// the queue grow on, window by window.
    pub(super) fn close(&self) {
        if self.window.swap(0, Ordering::AcqRel) > 0 {
            for sink in self.sinks.get().into_iter().flatten() {
                let _ = SockRef::from(sink).set_recv_buffer_size(1);
            }
        }
    }
}

impl Purse for Budget {
    fn spend(
        &self,
        want: usize,
        syscall: &mut dyn FnMut(usize) -> io::Result<usize>,
    ) -> Option<io::Result<usize>> {
        let moved = self.meter.spend(want, syscall);
        if moved.is_some() {
            self.narrow();
        } else {
            self.close();
        }
        moved
    }
}

/// A power of two, so that it changes rarely.
fn window(left: u64, streams: usize) -> u32 {
    let share = left / u64::try_from(streams).unwrap_or(u64::MAX).saturating_mul(2).max(1);
    let share = u32::try_from(share).unwrap_or(u32::MAX).clamp(NARROWEST, WIDEST);
    1 << share.ilog2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_a_share_of_half_of_what_is_left() {
        assert_eq!(window(u64::MAX, 1), WIDEST);
        assert_eq!(window(64 << 20, 4), 8 << 20);
        assert_eq!(window((64 << 20) - 1, 4), 4 << 20);
        assert_eq!(window(0, 4), NARROWEST);
    }
}
