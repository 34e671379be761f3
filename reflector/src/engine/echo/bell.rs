//! Wakes an echo thread out of poll(2): to stop, or because something is there that is no socket.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use rustix::event::{EventfdFlags, eventfd};

/// An event descriptor and the wish to stop.
#[derive(Debug)]
pub(super) struct Bell {
    descriptor: OwnedFd,
    stop: AtomicBool,
    rung: AtomicBool,
}

impl Bell {
    /// Silent.
    pub(super) fn new() -> io::Result<Arc<Self>> {
        let descriptor = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Arc::new(Self { descriptor, stop: AtomicBool::new(false), rung: AtomicBool::new(false) }))
    }

    /// Asks the thread to end, and wakes it.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.ring();
    }

    /// Whether it is to end.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Wakes it.
    pub(super) fn ring(&self) {
        // First: whoever takes the descriptor's ring finds this as well. The other way round, a ring before this one could
        // have this one's taken along, and poll(2) would sleep over it.
        self.rung.store(true, Ordering::Release);
        // Fails only when it has rung 2^64 times unheard.
        let _ = rustix::io::write(&self.descriptor, &1_u64.to_ne_bytes());
    }

    /// To be called when poll(2) says that the descriptor has a ring: one may have been left behind by whoever was heard before
    /// it came.
    pub(super) fn has_woken(&self) {
        self.rung.store(true, Ordering::Release);
    }

    /// Whether it has rung since it was last heard. Cheap: asked on every turn. What it may have rung for, the wish to stop
    /// too, is to be looked at after this and before the next sleep.
    pub(super) fn hear(&self) -> bool {
        let rung = self.rung.load(Ordering::Acquire) && self.rung.swap(false, Ordering::AcqRel);
        if rung {
            // Fails when a ring before this one took it along.
            let _ = rustix::io::read(&self.descriptor, &mut [0_u8; 8]);
        }
        rung
    }

    /// As what a future rings when it is ready.
    pub(super) fn waker(self: &Arc<Self>) -> Waker {
        Arc::clone(self).into()
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::event::{PollFd, PollFlags, poll};

    use super::*;

    const ROUNDS: u32 = 20_000;

    /// Sleeps until it rings, as an echo thread does; whether it was woken.
    fn sleeps(bell: &Bell, most: Duration) -> bool {
        let mut watched = [PollFd::new(bell, PollFlags::IN)];
        let woken = poll(&mut watched, most.try_into().ok().as_ref()).unwrap() > 0;
        if woken {
            bell.has_woken();
        }
        woken
    }

    #[test]
    fn a_wish_to_stop_is_never_slept_over_whatever_else_rings() {
        for round in 0..ROUNDS {
            let bell = Bell::new().unwrap();
            bell.ring();
            let stopping = std::thread::spawn({
                let bell = Arc::clone(&bell);
                move || bell.stop()
            });
            loop {
                bell.hear();
                if bell.is_stopped() {
                    break;
                }
                assert!(sleeps(&bell, Duration::from_secs(30)), "round {round}");
            }
            stopping.join().unwrap();
        }
    }

    #[test]
    fn a_ring_that_was_left_behind_is_taken_at_the_next_turn() {
        let bell = Bell::new().unwrap();
        bell.ring();
        bell.rung.store(false, Ordering::Release);
        assert!(sleeps(&bell, Duration::ZERO) && bell.hear());
        assert!(!sleeps(&bell, Duration::ZERO), "it would spin");
    }
}
