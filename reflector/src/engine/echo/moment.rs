//! Clocks of the echo threads, and which stamp of a datagram's arrival to believe.

use rustix::time::{ClockId, clock_gettime};

use super::wire::StampSource;

/// A stamp may be this much older than the moment it is read: a full queue behind a busy core. What is older, or newer
/// than now, is of another clock or of one that was set in between.
const OLDEST_NS: u64 = 2_000_000_000;

/// Card and kernel stamp the same datagram microseconds apart. A card's own clock is on another time scale unless somebody
/// keeps it in step (PTP counts leap seconds, for one).
const CARD_WITHIN_NS: u64 = 1_000_000;

/// Nanoseconds of a clock that never goes back.
pub(super) fn steady() -> u64 {
    nanos(ClockId::Monotonic)
}

/// Nanoseconds of `CLOCK_REALTIME`.
pub(super) fn wall() -> u64 {
    nanos(ClockId::Realtime)
}

/// When a datagram arrived, as `CLOCK_REALTIME`, and who says so. Pure.
pub(super) fn arrival(software: Option<u64>, hardware: Option<u64>, now: u64) -> (u64, StampSource) {
    let Some(kernel) = software.filter(|stamp| *stamp <= now && now - stamp < OLDEST_NS) else {
        return (now, StampSource::User);
    };
    match hardware.filter(|card| *card <= kernel && kernel - card < CARD_WITHIN_NS) {
        Some(card) => (card, StampSource::Card),
        None => (kernel, StampSource::Kernel),
    }
}

fn nanos(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let whole = u64::try_from(time.tv_sec).unwrap_or(0).saturating_mul(1_000_000_000);
    whole.saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E15
    #[test]
    fn the_most_exact_stamp_of_a_clock_in_step_is_believed() {
        let now = 1 << 60;
        for (software, hardware, expected) in [
            (None, None, (now, StampSource::User)),
            (None, Some(now - 1), (now, StampSource::User)),
            (Some(now - 5000), None, (now - 5000, StampSource::Kernel)),
            (Some(now - 5000), Some(now - 7000), (now - 7000, StampSource::Card)),
            // A card's clock on TAI; one that is behind; one in front of the kernel's.
            (Some(now - 5000), Some(now + 37_000_000_000), (now - 5000, StampSource::Kernel)),
            (Some(now - 5000), Some(now - 2_000_000), (now - 5000, StampSource::Kernel)),
            (Some(now - 5000), Some(now - 4999), (now - 5000, StampSource::Kernel)),
            // The wall clock was set between arrival and reading.
            (Some(now + 1), None, (now, StampSource::User)),
            (Some(now - OLDEST_NS), None, (now, StampSource::User)),
        ] {
            assert_eq!(arrival(software, hardware, now), expected, "{software:?} {hardware:?}");
        }
    }

    #[test]
    fn clocks_run() {
        let (steady_before, wall_now) = (steady(), wall());
        assert!(steady() >= steady_before && wall_now > 1_700_000_000_000_000_000);
    }
}
