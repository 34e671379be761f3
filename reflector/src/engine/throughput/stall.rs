//! Whether a running test still moves (pure).

use std::time::Duration;

/// Nothing moved for this long: a client without a reader, or a path that is gone while its ends are alive.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

/// One direction of a test.
#[derive(Debug)]
pub(super) struct Progress {
    patience: Duration,
    bytes: u64,
    moved_at: Duration,
}

impl Progress {
    /// A paced direction is silent between two blocks, however long they take.
    pub(super) fn new(two_blocks: Duration) -> Self {
        Self { patience: PATIENCE.max(two_blocks), bytes: 0, moved_at: Duration::ZERO }
    }

    /// `bytes` moved by `at`, counted from the start. True when that was the same for too long.
    pub(super) fn stalled(&mut self, at: Duration, bytes: u64) -> bool {
        if bytes != self.bytes {
            (self.bytes, self.moved_at) = (bytes, at);
        }
        at.saturating_sub(self.moved_at) >= self.patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifteen_seconds_without_a_byte_are_a_stall() {
        let mut progress = Progress::new(Duration::ZERO);
        assert!(!progress.stalled(Duration::from_secs(14), 0));
        assert!(!progress.stalled(Duration::from_secs(20), 1));
        assert!(!progress.stalled(Duration::from_secs(34), 1));
        assert!(progress.stalled(Duration::from_secs(35), 1));
    }

    #[test]
    fn a_paced_stream_may_take_two_blocks() {
        let mut progress = Progress::new(Duration::from_secs(40));
        assert!(!progress.stalled(Duration::from_secs(39), 0));
        assert!(progress.stalled(Duration::from_secs(40), 0));
    }
}
