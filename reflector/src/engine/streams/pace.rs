//! Arithmetic of a steady rate: what may have been sent by when. Pure.

use std::time::Duration;

/// A rate to send at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Payload bits per second, at least 1.
    pub bits_per_second: u64,
    /// Blocks (TCP) or datagrams (UDP) sent in one go, if asked for (`-b rate/burst`); 0: ours to choose.
    pub burst: u32,
}

/// Without a burst size, what is sent in one go lasts this long at the rate: the pacing timer of iperf3.
pub(super) const ROUND: Duration = Duration::from_millis(1);

impl Pace {
    /// At this rate, in bursts of our choice.
    pub const fn new(bits_per_second: u64) -> Self {
        Self { bits_per_second, burst: 0 }
    }

    /// After how long `bytes` are due at this rate.
    pub fn time_for(&self, bytes: u64) -> Duration {
        let nanos = u128::from(bytes) * 8 * 1_000_000_000 / u128::from(self.bits_per_second.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// How many bytes are due in this time.
    pub fn bytes_in(&self, time: Duration) -> u64 {
        let bits = time.as_nanos() * u128::from(self.bits_per_second) / 1_000_000_000;
        u64::try_from(bits / 8).unwrap_or(u64::MAX)
    }

    /// How many whole blocks of this size make a round, at least one and at most `most`.
    pub fn blocks_per_round(&self, block: usize, most: usize) -> usize {
        if self.burst > 0 {
            return usize::try_from(self.burst).unwrap_or(usize::MAX).min(most);
        }
        let round = usize::try_from(self.bytes_in(ROUND)).unwrap_or(usize::MAX);
        (round / block.max(1)).clamp(1, most.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_time_are_inverse() {
        let pace = Pace::new(8_000_000);
        assert_eq!(pace.time_for(1_000_000), Duration::from_secs(1));
        assert_eq!(pace.bytes_in(Duration::from_millis(1500)), 1_500_000);
        assert_eq!(Pace::new(0).bytes_in(Duration::from_secs(1)), 0);
        assert!(Pace::new(0).time_for(u64::MAX) > Duration::from_secs(1_000_000));
        assert_eq!(Pace::new(u64::MAX).time_for(1), Duration::ZERO);
    }

    #[test]
    fn round_is_a_millisecond_of_blocks_or_the_burst_asked_for() {
        assert_eq!(Pace::new(1_000_000_000).blocks_per_round(1250, 64), 64);
        assert_eq!(Pace::new(100_000_000).blocks_per_round(1250, 64), 10);
        assert_eq!(Pace::new(1_000_000).blocks_per_round(1250, 64), 1);
        assert_eq!(Pace { bits_per_second: 1, burst: 7 }.blocks_per_round(1250, 64), 7);
    }
}
