//! When a crowd has gone (pure): the moment to give its memory back, because the allocator keeps it by itself.
//!
//! Strangers could otherwise make a small host pay for their visit until the next restart.

use super::limits::CROWD;

/// How many are here, and how many there were.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    now: usize,
    high: usize,
}

impl Crowd {
    /// One came.
    pub(super) fn enter(&mut self) {
        self.now = self.now.saturating_add(1);
        self.high = self.high.max(self.now);
    }

    /// One left. True when with it a whole crowd has left since there were most, or since the last time this was true.
    pub(super) fn leave(&mut self) -> bool {
        self.now = self.now.saturating_sub(1);
        let gone = self.high.saturating_sub(self.now) >= CROWD;
        if gone {
            self.high = self.now;
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd(size: usize) -> Crowd {
        let mut crowd = Crowd::default();
        (0..size).for_each(|_| crowd.enter());
        crowd
    }

    #[test]
    fn a_crowd_that_left_is_noticed_once() {
        let mut crowd = crowd(CROWD);
        assert_eq!((0..CROWD).filter(|_| crowd.leave()).count(), 1);
        assert_eq!((crowd.now, crowd.high), (0, 0));
    }

    #[test]
    fn every_further_crowd_is_noticed_too() {
        let mut crowd = crowd(4 * CROWD + 3);
        let noticed: Vec<usize> = (1..=4 * CROWD + 3).filter(|_| crowd.leave()).collect();
        assert_eq!(noticed, [CROWD, 2 * CROWD, 3 * CROWD, 4 * CROWD]);
    }

    #[test]
    fn coming_and_going_one_at_a_time_is_no_crowd() {
        let mut crowd = crowd(CROWD - 1);
        for _ in 0..10 * CROWD {
            assert!(!crowd.leave());
            crowd.enter();
        }
    }
}
