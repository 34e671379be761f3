//! How often the API server is asked, and how long it is waited for. Pure.

use std::time::Duration;

/// First pause after a failure.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Longest pause: so long after an outage a revocation may still be unheard. Asking for the few objects of one reflector
/// every few seconds keeps no server from getting up.
const LAST_PAUSE: Duration = Duration::from_secs(5);
/// A watch that lasted so long did not fail: the next one follows at once.
const CALM: Duration = Duration::from_secs(10);
/// A watch is ended by the server after a time it is given: four minutes and up to 50 seconds, so that those of many pods
/// spread. kube refuses more than 294 seconds, because proxies cut at five minutes.
const WATCH_SECONDS: u32 = 240;
const WATCH_SPREAD: u32 = 50;

/// Deadlines of one watch. Tests shorten them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    /// Connecting, sending the request and reading the head of the answer.
    pub(super) answer: Duration,
    /// Reading one page of a list.
    pub(super) page: Duration,
    /// A watch on which nothing came for so long is opened anew: the other side may be gone without a word. Bookmarks come
    /// once a minute.
    pub(super) quiet: Duration,
    /// First pause after a failure.
    pub(super) first_pause: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(15),
            page: Duration::from_secs(30),
            quiet: Duration::from_secs(75),
            first_pause: FIRST_PAUSE,
        }
    }
}

/// Pauses between attempts.
#[derive(Debug)]
pub(super) struct Pace {
    first: Duration,
    failures: u32,
}

impl Pace {
    pub(super) fn new(first: Duration) -> Self {
        Self { first, failures: 0 }
    }

    /// How long to wait before the next attempt, after one that lasted for `lived`. `dice` is any number: half of the pause
    /// is left to it, so that many pods do not come back in step.
    pub(super) fn pause(&mut self, lived: Duration, dice: u32) -> Duration {
        if lived >= CALM {
            self.failures = 0;
            return Duration::ZERO;
        }
        let doubled = self.first.saturating_mul(2u32.saturating_pow(self.failures.min(16)));
        self.failures = self.failures.saturating_add(1);
        let half = doubled.min(LAST_PAUSE) / 2;
        half.saturating_add(half.mul_f64(f64::from(dice) / f64::from(u32::MAX)))
    }
}

/// What a watch asks for as its own end, in seconds.
pub(super) fn watch_seconds(dice: u32) -> u32 {
    WATCH_SECONDS.saturating_add(dice % WATCH_SPREAD)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pauses_double_up_to_five_seconds_and_a_calm_watch_ends_them() {
        let mut pace = Pace::new(FIRST_PAUSE);
        let pauses: Vec<u128> = (0..7).map(|_| pace.pause(Duration::ZERO, u32::MAX).as_millis()).collect();
        assert_eq!(pauses, [250, 500, 1000, 2000, 4000, 5000, 5000]);
        assert_eq!(pace.pause(Duration::ZERO, 0), LAST_PAUSE / 2, "many do not come back in step");
        assert_eq!(pace.pause(CALM, 0), Duration::ZERO);
        assert_eq!(pace.pause(Duration::ZERO, 0), FIRST_PAUSE / 2);
    }

    proptest! {
        #[test]
        fn no_pause_is_zero_after_a_failure_or_longer_than_the_longest(
            failures in 0u32..100, dice: u32, lived in 0u64..9_999,
        ) {
            let mut pace = Pace { first: FIRST_PAUSE, failures };
            let pause = pace.pause(Duration::from_millis(lived), dice);
            prop_assert!(pause >= FIRST_PAUSE / 2 && pause <= LAST_PAUSE);
            // What kube accepts.
            prop_assert!((240..295).contains(&watch_seconds(dice)));
        }
    }
}
