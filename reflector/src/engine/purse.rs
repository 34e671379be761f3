//! The only way bytes of a stream may move: leased before a system call, counted after it.
//!
//! The server's purse is a session's [`Meter`]; a measuring client spends its own [`Limited`] number or is
//! [`Unlimited`].

use std::io;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::session::Meter;

/// Where streams lease bytes. Shared by all streams of a test; asked once per system call.
pub trait Purse: Send + Sync + 'static {
    /// Leases as many bytes of `want` as there are, lets `syscall` move at most that many, and counts what it says it
    /// moved. `None`: no budget for the least of it or told to stop, and `syscall` was not called. Nor was it when others
    /// hold what is left: that is [`WouldBlock`](io::ErrorKind::WouldBlock), as some of it may come back.
    fn spend(
        &self,
        want: RangeInclusive<usize>,
        syscall: &mut dyn FnMut(usize) -> io::Result<usize>,
    ) -> Option<io::Result<usize>>;
}

impl Purse for Meter {
    fn spend(
        &self,
        want: RangeInclusive<usize>,
        syscall: &mut dyn FnMut(usize) -> io::Result<usize>,
    ) -> Option<io::Result<usize>> {
        let bytes = |count: &usize| u64::try_from(*count).unwrap_or(u64::MAX);
        let lease = self.lease_between(bytes(want.start()), bytes(want.end()));
        // Never above the most, which is a usize.
        let granted = usize::try_from(lease.bytes()).unwrap_or(*want.end());
        if granted == 0 {
            return (!self.is_stopped()).then(|| Err(io::ErrorKind::WouldBlock.into()));
        }
        let moved = syscall(granted);
        // An error moved nothing: the lease goes back when it is dropped.
        if let Ok(moved) = &moved {
            lease.settle(u64::try_from(*moved).unwrap_or(u64::MAX));
        }
        Some(moved)
    }
}

/// No limit. What moves is in the counters of the streams.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unlimited;

impl Purse for Unlimited {
    fn spend(
        &self,
        want: RangeInclusive<usize>,
        syscall: &mut dyn FnMut(usize) -> io::Result<usize>,
    ) -> Option<io::Result<usize>> {
        Some(syscall(*want.end()))
    }
}

/// A number of bytes shared by the streams of a test, as `-n` and `-k` ask for. Never exceeded by a byte.
#[derive(Debug)]
pub struct Limited {
    left: AtomicU64,
}

impl Limited {
    /// This many bytes in total.
    pub fn new(bytes: u64) -> Self {
        Self { left: AtomicU64::new(bytes) }
    }

    /// Neither moved nor leased.
    pub fn left(&self) -> u64 {
        self.left.load(Ordering::Acquire)
    }
}

impl Purse for Limited {
    fn spend(
        &self,
        want: RangeInclusive<usize>,
        syscall: &mut dyn FnMut(usize) -> io::Result<usize>,
    ) -> Option<io::Result<usize>> {
        let bytes = |count: &usize| u64::try_from(*count).unwrap_or(u64::MAX);
        let (least, most) = (bytes(want.start()), bytes(want.end()));
        let mut granted = 0;
        // An Err is a lease of nothing, which `granted` already says.
        let _ = self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
            granted = if left < least { 0 } else { left.min(most) };
            (granted > 0).then(|| left.saturating_sub(granted))
        });
        // What others give back they spend themselves: none of them ends before it is gone.
        if granted == 0 {
            return None;
        }
        let moved = syscall(usize::try_from(granted).unwrap_or(usize::MAX));
        let used = moved.as_ref().map_or(0, |moved| u64::try_from(*moved).unwrap_or(u64::MAX));
        self.left.fetch_add(granted.saturating_sub(used), Ordering::AcqRel);
        Some(moved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limited_purse_hands_out_its_bytes_once() {
        let purse = Limited::new(10);
        assert_eq!(purse.spend(1..=6, &mut Ok).unwrap().unwrap(), 6);
        assert_eq!(purse.spend(1..=6, &mut |granted| Ok(granted - 1)).unwrap().unwrap(), 3);
        assert_eq!(purse.left(), 1);
        assert!(purse.spend(1..=6, &mut |_| Err(io::ErrorKind::WouldBlock.into())).unwrap().is_err());
        assert_eq!(purse.left(), 1, "what failed was not spent");
        assert!(purse.spend(2..=6, &mut |_| unreachable!()).is_none(), "too little for one datagram");
        assert_eq!(purse.spend(1..=6, &mut Ok).unwrap().unwrap(), 1);
        assert!(purse.spend(1..=6, &mut |_| unreachable!()).is_none());
    }

    /// X1: four threads, of which some give back what they could not move.
    #[test]
    fn limited_purse_is_spent_to_the_byte_by_threads_that_race_for_it() {
        const BYTES: u64 = 2_000_000;
        let purse = Limited::new(BYTES);
        let (moved, together) = (AtomicU64::new(0), std::sync::Barrier::new(4));
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (purse, moved, together) = (&purse, &moved, &together);
                scope.spawn(move || {
                    together.wait();
                    let mut syscall = |granted| Ok(if granted > 1 { granted - thread % 2 } else { granted });
                    // Others may still give something back.
                    while purse.left() > 0 {
                        if let Some(Ok(bytes)) = purse.spend(1..=2, &mut syscall) {
                            moved.fetch_add(u64::try_from(bytes).unwrap(), Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        // Every spend has come back: what is left is neither moved nor leased.
        let rest =
            purse.spend(1..=usize::MAX, &mut Ok).map_or(0, |rest| u64::try_from(rest.unwrap()).unwrap());
        assert_eq!(moved.load(Ordering::Relaxed) + rest, BYTES);
    }
}
