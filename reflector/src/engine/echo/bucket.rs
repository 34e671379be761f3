//! The token bucket under the echo rate. Time is handed in, in nanoseconds of a clock that never goes back.

const SECOND: u64 = 1_000_000_000;

/// Smallest burst: less would punish a peer for the scheduler of its host.
pub const MIN_BURST: u32 = 16;

/// Lets so many packets a second pass, and a burst of a hundredth of them.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// Tokens a second.
    pps: u64,
    /// Room, in tokens times `SECOND`: whole numbers only, so nothing is lost to rounding.
    room: u64,
    level: u64,
    filled_at: u64,
}

impl Bucket {
    /// Full at the start.
    pub fn new(pps: u32, now: u64) -> Self {
        let room = u64::from(burst(pps)) * SECOND;
        Self { pps: pps.into(), room, level: room, filled_at: now }
    }

    /// Takes one token; false when there is none.
    pub fn take(&mut self, now: u64) -> bool {
        let passed = now.saturating_sub(self.filled_at);
        self.filled_at = self.filled_at.max(now);
        self.level = passed.saturating_mul(self.pps).saturating_add(self.level).min(self.room);
        let taken = self.level.checked_sub(SECOND);
        self.level = taken.unwrap_or(self.level);
        taken.is_some()
    }
}

/// How many packets may come at once. A rate of 0 lets nothing pass.
pub fn burst(pps: u32) -> u32 {
    if pps == 0 { 0 } else { MIN_BURST.max(pps / 100) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_full_bucket_holds_its_burst_and_refills_at_its_rate() {
        let mut bucket = Bucket::new(10_000, 7);
        assert_eq!((0..1000).filter(|_| bucket.take(7)).count(), 100);
        assert!(!bucket.take(7 + 99_999) && bucket.take(7 + 100_000) && !bucket.take(7 + 100_000));
        assert_eq!((0..1000).filter(|_| bucket.take(60 * SECOND)).count(), 100);
    }

    #[test]
    fn a_small_rate_has_a_burst_of_sixteen_and_none_has_none() {
        assert_eq!([0, 1, 100, 1600, 1700, u32::MAX].map(burst), [0, 16, 16, 16, 17, u32::MAX / 100]);
        let mut bucket = Bucket::new(0, 0);
        assert!(!bucket.take(0) && !bucket.take(u64::MAX));
    }

    proptest! {
        /// E7: whatever arrives when, even from a clock that goes back.
        #[test]
        fn no_order_of_packets_passes_more_than_rate_and_burst(
            pps in 0_u32..2_000_000,
            gaps in prop::collection::vec((0_u64..2_000_000, any::<bool>()), 1..2000),
        ) {
            let start = 1 << 40;
            let mut bucket = Bucket::new(pps, start);
            let (mut now, mut latest, mut passed) = (start, start, 0_u64);
            for (gap, back) in gaps {
                now = if back { now.saturating_sub(gap) } else { now + gap };
                latest = latest.max(now);
                passed += u64::from(bucket.take(now));
            }
            let most = u128::from(latest - start) * u128::from(pps) / u128::from(SECOND) + u128::from(burst(pps));
            prop_assert!(u128::from(passed) <= most, "{} passed, {} may", passed, most);
        }
    }
}
