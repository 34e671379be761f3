//! The purses of a test that may be cut: the less of the day is left, the less a stream holds and the less its peer may send.
//!
//! Two things would miss the limit. Bytes on lease to a stream that waits are missing to the others, so near the end a lease
//! is a share of what is left. And a peer may send what the kernel has advertised, whatever we decide meanwhile; that is the
//! matter of [`Sink`], the purse of a TCP stream that receives.
#![expect(clippy::disallowed_methods, reason = "streams wait in real time")]

use std::io;
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::engine::path;
use crate::engine::purse::Purse;
use crate::session::Meter;

use super::ahead::SPARE;
use super::sink::Sink;

/// Leases are not divided further: a call has to be worth its while.
const SMALLEST_LEASE: u64 = 64 << 10;

/// What a socket may grow to on its own when the host does not say: the default of newer kernels.
const LARGEST_ROOM: u64 = 32 << 20;

/// What is left is set aside for peers that send nothing, and nobody else may have it: after this it is not waited for. As
/// long as a client may be silent (test `a_budget_that_is_set_aside_for_a_silent_stream_ends_the_others`).
const SET_ASIDE_PATIENCE: Duration = Duration::from_secs(3);

/// Leases for all streams of a test.
pub(super) struct Budget {
    common: Arc<Common>,
    sinks: Mutex<Vec<Arc<Sink>>>,
}

/// What the streams share.
pub(super) struct Common {
    pub(super) meter: Meter,
    streams: u64,
    /// Set aside by all sinks of this test.
    pub(super) held: AtomicU64,
    /// Since when nothing could be leased, and the bytes of the session then.
    dry: Mutex<Option<(u64, Instant)>>,
    /// There is something in `dry`.
    is_dry: AtomicBool,
}

impl Budget {
    pub(super) fn new(meter: Meter, streams: usize) -> Self {
        let streams = u64::try_from(streams).unwrap_or(u64::MAX).max(1);
        let common = Common {
            meter,
            streams,
            held: AtomicU64::new(0),
            dry: Mutex::new(None),
            is_dry: AtomicBool::new(false),
        };
        Self { common: Arc::new(common), sinks: Mutex::default() }
    }

    /// The purse of the stream that receives on this socket, with the buffer it was asked to have (0: none). From here on what
    /// its peer may send is set aside.
    pub(super) fn sink(&self, socket: OwnedFd, asked: u32) -> Arc<dyn Purse> {
        let sink = Arc::new(Sink::new(Arc::clone(&self.common), socket, asked));
        lock(&self.sinks).push(Arc::clone(&sink));
        sink
    }

    /// Nobody reads any more: without room the kernel advertises nothing on top of what it has. Rooms that are as narrow as can
    /// be are let fill instead, so that what was advertised arrives once and is charged, not dropped and sent again.
    pub(super) fn close(&self) {
        for sink in &*lock(&self.sinks) {
            sink.close();
        }
    }
}

/// What the socket of a TCP stream that receives may have before it is open: its peer may send at once. `None`: what it likes,
/// there is plenty.
pub(super) fn first_buffer(left: Option<u64>, receivers: usize) -> Option<u32> {
    let room = room(left?, u64::try_from(receivers).unwrap_or(u64::MAX));
    (room < largest_room()).then(|| u32::try_from(room / 2).unwrap_or(u32::MAX))
}

pub(super) fn largest_room() -> u64 {
    path::largest_receive_buffer().unwrap_or(LARGEST_ROOM)
}

impl Common {
    /// What one stream may hold, bytes on lease not included.
    pub(super) fn share(&self) -> usize {
        self.meter.left().map_or(usize::MAX, |left| portion(left, self.streams))
    }

    /// What the socket of one stream may have room for; `None`: there is no limit.
    pub(super) fn room(&self) -> Option<u64> {
        let left = self.meter.left()?;
        Some(room(left.saturating_add(self.held.load(Ordering::Acquire)), self.streams))
    }

    /// Nothing could be leased although the day is not over.
    pub(super) fn nothing_leased(&self) {
        let (bytes, now) = (self.meter.bytes(), Instant::now());
        let mut dry = lock(&self.dry);
        match *dry {
            Some((before, since)) if before == bytes => {
                if now.duration_since(since) >= SET_ASIDE_PATIENCE {
                    self.meter.give_up();
                }
            }
            _ => *dry = Some((bytes, now)),
        }
        self.is_dry.store(true, Ordering::Release);
    }

    /// Something is left.
    pub(super) fn leased(&self) {
        if self.is_dry.load(Ordering::Acquire) {
            *lock(&self.dry) = None;
            self.is_dry.store(false, Ordering::Release);
        }
    }
}

impl Purse for Budget {
    fn spend(
        &self,
        want: RangeInclusive<usize>,
        syscall: &mut dyn FnMut(usize) -> io::Result<usize>,
    ) -> Option<io::Result<usize>> {
        let (least, most) = want.into_inner();
        let Common { meter, .. } = &*self.common;
        let share = self.common.share();
        let mut called = false;
        let moved = meter.spend(least..=most.min(share.max(least)), &mut |granted| {
            called = true;
            syscall(granted)
        });
        match &moved {
            _ if called => self.common.leased(),
            Some(_) => self.common.nothing_leased(),
            None => self.close(),
        }
        moved
    }
}

pub(super) fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic in a system call of ours leaves every number as it was.
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What one stream of so many may hold of what is left, bytes on lease not included.
fn portion(left: u64, streams: u64) -> usize {
    let share = left / streams.saturating_mul(2).max(1);
    usize::try_from(share.max(SMALLEST_LEASE)).unwrap_or(usize::MAX)
}

/// Such that all rooms together are half of what is left, with what is set aside for them. A power of two, so that it changes
/// rarely.
fn room(left: u64, streams: u64) -> u64 {
    let share = left / streams.saturating_mul(2).max(1);
    1 << share.max(SPARE).ilog2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_are_a_share_of_half_of_what_is_left() {
        assert_eq!(room(64 << 20, 4), 8 << 20);
        assert_eq!(room((64 << 20) - 1, 4), 4 << 20);
        assert_eq!(room(0, 4), SPARE);
        assert_eq!(room(u64::MAX, 1), 1 << 62);
    }

    #[test]
    fn leases_are_a_share_of_half_of_what_is_left_until_they_are_too_small() {
        assert_eq!(portion(64 << 20, 4), 8 << 20);
        assert_eq!(portion(1 << 20, 4), 128 << 10);
        assert_eq!(portion(0, 4), 64 << 10);
    }
}
