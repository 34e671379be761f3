//! How long a write that failed waits for its next try. Pure: the random share is handed in.

use std::time::Duration;

/// The first wait: long enough for a conflict to be over.
const FIRST: Duration = Duration::from_secs(1);
/// The longest: whoever repairs what is wrong does not wait longer for us to see it.
pub const LONGEST: Duration = Duration::from_secs(5 * 60);
/// How long the rights of a kind are taken for missing after the server said so. One try in this time tells when they
/// are back, and nobody's log is filled.
pub const FORBIDDEN: Duration = LONGEST;

/// The wait after so many failures in a row, the first being 0: doubled each time. `share` is a random number; the wait
/// is between half and all, so that pods which failed together do not come back together.
pub fn wait(failures: u32, share: u32) -> Duration {
    spread(FIRST.saturating_mul(2_u32.saturating_pow(failures)).min(LONGEST), share)
}

/// Between half and all of it.
pub fn spread(whole: Duration, share: u32) -> Duration {
    whole / 2 + (whole / 2).mul_f64(f64::from(share) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let waits: Vec<u64> = (0..11).map(|failures| wait(failures, u32::MAX).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(wait(u32::MAX, u32::MAX), LONGEST);
    }

    #[test]
    fn the_random_share_is_half_of_the_wait() {
        assert_eq!(wait(3, 0), Duration::from_secs(4));
        let between = wait(3, u32::MAX / 2);
        assert!(between > Duration::from_secs(4) && between < Duration::from_secs(8), "{between:?}");
    }
}
