//! The phases all streams of a test go through together: waiting, running, frozen.
#![expect(clippy::disallowed_methods, reason = "streams measure and pace real time")]

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

const WAITING: u8 = 0;
const RUNNING: u8 = 1;
const FROZEN: u8 = 2;

/// Shared by the threads of a test and their owner.
#[derive(Debug)]
pub(super) struct Run {
    phase: AtomicU8,
    /// Guards nothing; a change of phase passes through it so that no waiter misses it.
    changing: Mutex<()>,
    changed: Condvar,
    ended: watch::Sender<usize>,
}

impl Run {
    pub(super) fn new() -> Self {
        Self {
            phase: AtomicU8::new(WAITING),
            changing: Mutex::new(()),
            changed: Condvar::new(),
            ended: watch::Sender::new(0),
        }
    }

    pub(super) fn start(&self) {
        self.change(|| {
            // A freeze stands.
            let _ = self.phase.compare_exchange(WAITING, RUNNING, Ordering::AcqRel, Ordering::Acquire);
        });
    }

    pub(super) fn freeze(&self) {
        self.change(|| self.phase.store(FROZEN, Ordering::Release));
    }

    pub(super) fn is_frozen(&self) -> bool {
        self.phase.load(Ordering::Acquire) == FROZEN
    }

    /// Waits for the start; false: frozen before it.
    pub(super) fn wait_for_start(&self) -> bool {
        let mut guard = self.lock();
        while self.phase.load(Ordering::Acquire) == WAITING {
            guard = self.changed.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        !self.is_frozen()
    }

    /// Sleeps until `at`; false: frozen meanwhile.
    pub(super) fn sleep_until(&self, at: Instant) -> bool {
        let mut guard = self.lock();
        loop {
            if self.is_frozen() {
                return false;
            }
            let left = at.saturating_duration_since(Instant::now());
            if left < Duration::from_micros(1) {
                return true;
            }
            guard = self.changed.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Sleeps this long; shorter when frozen meanwhile.
    pub(super) fn pause(&self, time: Duration) {
        self.sleep_until(Instant::now() + time);
    }

    /// A thread is done with its socket and counters.
    pub(super) fn one_ended(&self) {
        self.ended.send_modify(|count| *count += 1);
    }

    /// How many threads are done.
    pub(super) fn ended(&self) -> watch::Receiver<usize> {
        self.ended.subscribe()
    }

    fn change(&self, to: impl FnOnce()) {
        let guard = self.lock();
        to();
        drop(guard);
        self.changed.notify_all();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
