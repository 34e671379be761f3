//! The purse of a test that may be cut: the less of the day is left, the less a stream holds and the less its peer may send.
//!
//! Two things would miss the limit. Bytes on lease to a stream that waits are missing to the others, so near the end a lease
//! is a share of what is left. And a peer may send what the kernel has advertised, whatever we decide meanwhile; so the
//! window of a stream that receives and the room for what it has not read stay within its share too, halving with what is
//! left. It happens where bytes are leased, because at full speed a budget is gone between two looks of any timer.

use std::io;
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use socket2::SockRef;

use crate::engine::purse::Purse;
use crate::engine::{path, sys};
use crate::session::Meter;

/// Windows above this are no window of any path; the clamp begins below.
const WIDEST: u32 = 1 << 30;

/// Windows are not clamped further: below this a stream only crawls. With [`ROOM`] and the one train of 64 KiB that the
/// kernel takes beyond its limit, no more than 256 KiB of a stream that is read wait after a cut, and are charged. What was
/// advertised and finds no room is dropped by the kernel uncounted (test
/// `an_upload_at_full_speed_crosses_the_limit_by_no_more_than_its_windows`). A stream whose thread gets no processor while
/// the others spend keeps the window it had.
const NARROWEST: u32 = 32 << 10;

/// Memory of a socket as a multiple of its window: what is on the way, what is not read yet, and the kernel's own part of
/// both, which is about as much again.
const ROOM: u32 = 4;

/// Leases are not divided further: a call has to be worth its while.
const SMALLEST_LEASE: u64 = 64 << 10;

/// What a socket may grow to on its own when the host does not say: the default of newer kernels.
const LARGEST_ROOM: u64 = 32 << 20;

/// Leases for all streams of a test.
pub(super) struct Budget {
    meter: Meter,
    streams: u64,
    sinks: OnceLock<Sinks>,
    /// As it is on every socket; changes under `narrowing` only.
    window: AtomicU32,
    /// Whoever finds windows too wide waits until they are not, or it would go on spending what they stand for.
    narrowing: Mutex<()>,
}

/// Sockets of the TCP streams that receive.
struct Sinks {
    sockets: Vec<OwnedFd>,
    /// A buffer somebody asked for, which is not to grow.
    asked: Option<u32>,
    /// What the kernel lets the others grow to.
    largest_room: u64,
}

impl Budget {
    pub(super) fn new(meter: Meter, streams: usize) -> Self {
        let streams = u64::try_from(streams).unwrap_or(u64::MAX).max(1);
        Self {
            meter,
            streams,
            sinks: OnceLock::new(),
            window: AtomicU32::new(WIDEST),
            narrowing: Mutex::new(()),
        }
    }

    /// Whose windows to narrow, and the buffer they were asked to have (0: none); once, before the streams start.
    pub(super) fn narrows(&self, sockets: Vec<OwnedFd>, asked: u32) {
        let asked = Some(asked).filter(|bytes| *bytes > 0);
        let largest_room = path::largest_receive_buffer().unwrap_or(LARGEST_ROOM);
        let _ = self.sinks.set(Sinks { sockets, asked, largest_room });
        self.narrow();
    }

    fn narrow(&self) {
        let Some(left) = self.meter.left() else { return };
        let Some(sinks) = self.sinks.get().filter(|sinks| !sinks.sockets.is_empty()) else { return };
        let window = window(left, sinks.sockets.len());
        if window >= self.window.load(Ordering::Acquire) {
            return;
        }
        let _turn = self.turn();
        // Another may have narrowed them further meanwhile.
        if window < self.window.load(Ordering::Acquire) {
            sinks.narrow(window);
            self.window.store(window, Ordering::Release);
        }
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.narrowing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody reads any more: without room the kernel advertises nothing on top of what it has. A clamp alone would let
    /// the queue grow on, window by window. Windows that are as narrow as can be are let fill instead, so that what was
    /// advertised arrives once and is charged, not dropped and sent again.
    pub(super) fn close(&self) {
        let _turn = self.turn();
        if self.window.swap(0, Ordering::AcqRel) > NARROWEST {
            for sink in self.sinks.get().into_iter().flat_map(|sinks| &sinks.sockets) {
                let _ = SockRef::from(sink).set_recv_buffer_size(1);
            }
        }
    }
}

impl Sinks {
    fn narrow(&self, window: u32) {
        for socket in &self.sockets {
            // A connection that is gone has no window.
            let _ = sys::clamp_window(socket, window);
            if let Some(bytes) = buffer(window, self.asked, self.largest_room) {
                let _ = SockRef::from(socket).set_recv_buffer_size(bytes);
            }
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
        let share = self.meter.left().map_or(usize::MAX, |left| portion(left, self.streams));
        let moved = self.meter.spend(least..=most.min(share.max(least)), syscall);
        self.narrow();
        if moved.is_none() {
            self.close();
        }
        moved
    }
}

/// What one stream of so many may hold of what is left, bytes on lease not included.
fn portion(left: u64, streams: u64) -> usize {
    let share = left / streams.saturating_mul(2).max(1);
    usize::try_from(share.max(SMALLEST_LEASE)).unwrap_or(usize::MAX)
}

/// The option that gives a socket room for this window, if that is less than it could take. The kernel doubles it.
fn buffer(window: u32, asked: Option<u32>, largest: u64) -> Option<usize> {
    let room = window.saturating_mul(ROOM);
    let bytes = asked.map_or(room / 2, |asked| asked.min(room / 2));
    (u64::from(room) < largest).then(|| usize::try_from(bytes).unwrap_or(usize::MAX))
}

/// Such that all rooms together hold half of what is left: the other half may be read before they are made smaller. A
/// power of two, so that it changes rarely.
fn window(left: u64, streams: usize) -> u32 {
    let rooms = u64::try_from(streams).unwrap_or(u64::MAX).saturating_mul(ROOM.into());
    let share = left / rooms.saturating_mul(2).max(1);
    let share = u32::try_from(share).unwrap_or(u32::MAX).clamp(NARROWEST, WIDEST);
    1 << share.ilog2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_and_their_rooms_are_a_share_of_half_of_what_is_left() {
        assert_eq!(window(u64::MAX, 1), WIDEST);
        assert_eq!(window(64 << 20, 4), 2 << 20);
        assert_eq!(window((64 << 20) - 1, 4), 1 << 20);
        assert_eq!(window(0, 4), NARROWEST);
        assert_eq!(buffer(4 << 20, None, 32 << 20), Some(8 << 20));
        assert_eq!(buffer(4 << 20, None, 6 << 20), None, "the kernel gives it less by itself");
        assert_eq!(
            buffer(4 << 20, Some(1 << 20), 32 << 20),
            Some(1 << 20),
            "what was asked for does not grow"
        );
    }

    #[test]
    fn leases_are_a_share_of_half_of_what_is_left_until_they_are_too_small() {
        assert_eq!(portion(64 << 20, 4), 8 << 20);
        assert_eq!(portion(1 << 20, 4), 128 << 10);
        assert_eq!(portion(0, 4), 64 << 10);
    }
}
