//! When to let datagrams gather before they are taken, so that a call takes many. Pure.

use std::time::Duration;

/// Datagrams worth a call. Few enough for the smallest receive buffer a host has by default.
const WORTHWHILE: u64 = 32;

/// The longest pause. Stamps are the kernel's, so waiting changes no jitter.
const LONGEST: Duration = Duration::from_millis(1);

/// A shorter pause costs more than it saves.
const SHORTEST: Duration = Duration::from_micros(100);

/// Below this many per second a pause would gather none.
const RARE: u64 = 4_000;

/// Rates are measured over at least this.
const WINDOW: Duration = Duration::from_millis(10);

/// How fast datagrams came lately.
#[derive(Debug, Default)]
pub(super) struct Gather {
    per_second: u64,
    since: Duration,
    count: u64,
}

impl Gather {
    /// `count` came with a call that returned at `at`, counted from the start. Says how long to wait before the next.
    pub(super) fn took(&mut self, count: usize, at: Duration) -> Option<Duration> {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.count = self.count.saturating_add(count);
        let time = at.saturating_sub(self.since);
        if time >= WINDOW {
            let rate = u128::from(self.count) * 1_000_000_000 / time.as_nanos();
            self.per_second = u64::try_from(rate).unwrap_or(u64::MAX);
            (self.since, self.count) = (at, 0);
        }
        if count >= WORTHWHILE || self.per_second < RARE {
            return None;
        }
        let pause = Duration::from_nanos(WORTHWHILE * 1_000_000_000 / self.per_second);
        (pause >= SHORTEST).then(|| pause.min(LONGEST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What it says after `count` datagrams within 10 ms.
    fn after(count: usize) -> Option<Duration> {
        let mut gather = Gather::default();
        assert_eq!(gather.took(count, WINDOW / 2), None, "too early to tell");
        gather.took(1, WINDOW);
        gather.took(1, WINDOW)
    }

    #[test]
    fn pause_is_as_long_as_a_batch_takes_to_come_and_never_long_enough_to_lose_any() {
        assert_eq!(after(799), Some(Duration::from_micros(400)));
        assert_eq!(after(199), Some(LONGEST));
        assert_eq!(after(20), None, "rare ones are taken as they come");
        assert_eq!(after(9999), None, "so many come that each call takes a batch anyway");
    }

    #[test]
    fn after_a_full_batch_the_next_is_asked_for_at_once() {
        let mut gather = Gather::default();
        gather.took(800, WINDOW);
        assert_eq!(gather.took(32, WINDOW), None);
        assert!(gather.took(31, WINDOW).is_some());
    }
}
