//! Whether what a peer sends is above its rate (pure).

use std::collections::VecDeque;
use std::time::Duration;

/// Rates are looked at over this long: what a queue gave up at once is no rate.
const WINDOW: Duration = Duration::from_secs(2);

/// Percent of the limit that may arrive: a sender paces by its own clock.
const TOLERANCE: u128 = 110;

/// The last two seconds of what was received.
#[derive(Debug)]
pub(super) struct RateWatch {
    /// Bits per second.
    limit: u64,
    /// When, and bytes by then; oldest first, the first at least a window ago once there is one.
    seen: VecDeque<(Duration, u64)>,
}

impl RateWatch {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, seen: VecDeque::from([(Duration::ZERO, 0)]) }
    }

    /// `bytes` were received by `at`, counted from the start. True when the last two seconds were above the limit.
    pub(super) fn exceeds(&mut self, at: Duration, bytes: u64) -> bool {
        self.seen.push_back((at, bytes));
        let begin = at.saturating_sub(WINDOW);
        while self.seen.get(1).is_some_and(|(when, _)| *when <= begin) {
            self.seen.pop_front();
        }
        let Some((since, before)) = self.seen.front().copied() else { return false };
        if at.saturating_sub(since) < WINDOW {
            return false;
        }
        let bits = u128::from(bytes.saturating_sub(before)) * 8;
        let allowed = u128::from(self.limit) * at.saturating_sub(since).as_micros() / 1_000_000;
        bits * 100 > allowed * TOLERANCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E6
    #[test]
    fn two_seconds_above_the_rate_are_too_much() {
        let over = |bytes_per_second: u64| {
            let mut watch = RateWatch::new(8000);
            (1..=50).position(|tick| {
                watch.exceeds(Duration::from_millis(tick * 100), bytes_per_second * tick / 10)
            })
        };
        assert_eq!(over(1000), None);
        assert_eq!(over(1090), None);
        assert_eq!(over(1120), Some(19), "at the end of the second second");
    }

    #[test]
    fn a_burst_that_averages_out_is_fine_and_one_later_is_not() {
        let mut watch = RateWatch::new(8000);
        for tick in 1..=40 {
            assert!(!watch.exceeds(Duration::from_millis(tick * 100), 2000), "{tick}");
        }
        assert!(watch.exceeds(Duration::from_secs(5), 5000));
    }
}
