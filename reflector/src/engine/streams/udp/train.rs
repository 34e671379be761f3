//! How many datagrams to send at once. Pure.

use std::time::Duration;

/// The longest a train may keep a link busy: what stands behind it waits that long.
const LONGEST: Duration = Duration::from_micros(250);

/// Rates are measured over at least this.
const WINDOW: Duration = Duration::from_millis(2);

/// Datagrams of a train: as many as went out in a quarter of a millisecond lately, at least one.
#[derive(Debug)]
pub(super) struct Train {
    most: usize,
    now: usize,
    since: Duration,
    sent: u64,
}

impl Train {
    /// Never more than `most`, beginning with a few.
    pub(super) fn new(most: usize) -> Self {
        Self { most: most.max(1), now: most.clamp(1, 4), since: Duration::ZERO, sent: 0 }
    }

    /// How many to send now.
    pub(super) fn datagrams(&self) -> usize {
        self.now
    }

    /// `count` more were sent by `at`, counted from the start.
    pub(super) fn sent(&mut self, count: usize, at: Duration) {
        self.sent = self.sent.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        let time = at.saturating_sub(self.since);
        if time < WINDOW {
            return;
        }
        let fit = u128::from(self.sent) * LONGEST.as_nanos() / time.as_nanos();
        self.now = usize::try_from(fit).unwrap_or(usize::MAX).clamp(1, self.most);
        (self.since, self.sent) = (at, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn train_is_what_goes_out_in_a_quarter_of_a_millisecond() {
        let mut train = Train::new(45);
        assert_eq!(train.datagrams(), 4);
        train.sent(160, Duration::from_millis(1));
        assert_eq!(train.datagrams(), 4, "too early to tell");
        train.sent(160, Duration::from_millis(4));
        assert_eq!(train.datagrams(), 20, "80 in a millisecond");
        train.sent(1, Duration::from_millis(20));
        assert_eq!(train.datagrams(), 1, "slow links get single datagrams");
        train.sent(1_000_000, Duration::from_millis(30));
        assert_eq!(train.datagrams(), 45);
    }
}
