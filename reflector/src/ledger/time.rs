//! Ledger time: the only time a quota is measured in.
//!
//! It advances with the clock that counts since boot and never with the wall clock, so nobody opens a quota by
//! setting the date. The wall clock is asked one thing: how far away the next 00:00 UTC is when a new day bucket is
//! placed. Across a reboot only the wall clock can say how long we were away, and it is believed forwards only.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Now;

/// A UTC day.
pub const DAY: Duration = Duration::from_secs(86_400);

/// A moment in ledger time, in milliseconds. Close to Unix time while clocks behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LedgerTime(i64);

impl LedgerTime {
    /// From milliseconds.
    pub const fn from_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// In milliseconds.
    pub const fn ms(self) -> i64 {
        self.0
    }

    /// That much later.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Time since `earlier`; zero when that is in the future.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// One moment in ledger time, and what the wall clock showed then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// What quotas are measured in.
    pub at: LedgerTime,
    /// Unix milliseconds; places new day boundaries, nothing else.
    pub wall_ms: i64,
}

impl Moment {
    /// Time to the next 00:00 UTC as the wall clock sees it: more than zero, at most a day.
    pub fn until_midnight(self) -> Duration {
        let day = i64::try_from(DAY.as_millis()).unwrap_or(i64::MAX);
        Duration::from_millis(u64::try_from(day.saturating_sub(self.wall_ms.rem_euclid(day))).unwrap_or(0))
    }

    /// A ledger stamp as a date for people: as long ago by the wall clock as it is by ledger time.
    pub fn as_wall(self, stamp: LedgerTime) -> Option<Timestamp> {
        let distance = self.at.ms().checked_sub(stamp.ms())?;
        Timestamp::from_millisecond(self.wall_ms.checked_sub(distance)?).ok()
    }
}

/// Where ledger time stood at the last flush, on every clock there is. Stored with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// Ledger time.
    pub at: LedgerTime,
    /// Wall clock, Unix milliseconds.
    pub wall_ms: i64,
    /// Clock since boot.
    pub mono_ms: u64,
    /// Which boot that was; absent when the kernel does not say.
    pub boot: Option<Uuid>,
}

/// Turns clock readings of this run into ledger time.
#[derive(Debug, Clone, Copy)]
pub struct LedgerClock {
    base: LedgerTime,
    base_mono_ms: u64,
    boot: Option<Uuid>,
}

impl LedgerClock {
    /// Takes up where `last` left off. Within one boot the time away is known exactly; across boots it is what the
    /// wall clock moved forward, and nothing when it moved back.
    pub fn resume(last: Option<&Anchor>, now: Now, boot: Option<Uuid>) -> Self {
        let base = match last {
            None => LedgerTime(now.wall_ms()),
            Some(last) => {
                let same_boot = boot.is_some() && boot == last.boot && now.mono_ms >= last.mono_ms;
                let away = if same_boot {
                    now.mono_ms.saturating_sub(last.mono_ms)
                } else {
                    u64::try_from(now.wall_ms().saturating_sub(last.wall_ms)).unwrap_or(0)
                };
                last.at.plus(Duration::from_millis(away))
            }
        };
        Self { base, base_mono_ms: now.mono_ms, boot }
    }

    /// Ledger time at `now`.
    pub fn at(&self, now: Now) -> Moment {
        let elapsed = Duration::from_millis(now.mono_ms.saturating_sub(self.base_mono_ms));
        Moment { at: self.base.plus(elapsed), wall_ms: now.wall_ms() }
    }

    /// What to store so that the next run can resume.
    pub fn anchor(&self, now: Now) -> Anchor {
        Anchor { at: self.at(now).at, wall_ms: now.wall_ms(), mono_ms: now.mono_ms, boot: self.boot }
    }

    /// The later of wall clock and ledger time: a clock set back makes nothing valid again.
    pub fn trusted_wall(&self, now: Now) -> Timestamp {
        Timestamp::from_millisecond(self.at(now).at.ms()).map_or(now.wall, |ledger| ledger.max(now.wall))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(mono_ms: u64, wall_ms: i64) -> Now {
        Now { mono_ms, wall: Timestamp::from_millisecond(wall_ms).unwrap() }
    }

    #[test]
    fn setting_the_wall_clock_does_not_move_ledger_time() {
        let clock = LedgerClock::resume(None, now(50, 1_000_000), None);
        for wall in [0, 1_000_000, 9_000_000_000_000] {
            assert_eq!(clock.at(now(1_050, wall)).at, LedgerTime(1_001_000));
        }
    }

    #[test]
    fn a_reboot_believes_the_wall_clock_forwards_only() {
        let last =
            Anchor { at: LedgerTime(500), wall_ms: 10_000, mono_ms: 99, boot: Some(Uuid::from_u128(1)) };
        let other = Some(Uuid::from_u128(2));
        assert_eq!(LedgerClock::resume(Some(&last), now(5, 12_000), other).base, LedgerTime(2_500));
        assert_eq!(LedgerClock::resume(Some(&last), now(5, 2_000), other).base, LedgerTime(500));
    }

    #[test]
    fn a_restart_within_one_boot_ignores_the_wall_clock() {
        let boot = Some(Uuid::from_u128(1));
        let last = Anchor { at: LedgerTime(500), wall_ms: 10_000, mono_ms: 100, boot };
        assert_eq!(LedgerClock::resume(Some(&last), now(400, 999_000_000), boot).base, LedgerTime(800));
    }

    #[test]
    fn midnight_is_ahead_and_at_most_a_day_away() {
        let moment = |wall_ms| Moment { at: LedgerTime(0), wall_ms };
        assert_eq!(moment(0).until_midnight(), DAY);
        assert_eq!(moment(86_399_999).until_midnight(), Duration::from_millis(1));
        assert_eq!(moment(-1).until_midnight(), Duration::from_millis(1));
    }

    #[test]
    fn a_clock_set_back_makes_nothing_valid_again() {
        let clock = LedgerClock::resume(None, now(0, 1_000_000), None);
        assert_eq!(clock.trusted_wall(now(500, 3)).as_millisecond(), 1_000_500);
        assert_eq!(clock.trusted_wall(now(500, 7_000_000)).as_millisecond(), 7_000_000);
    }
}
