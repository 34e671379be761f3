//! One peer's usage as arithmetic: a day of bytes, an hour of grants, a pause. Reads no clock.
//!
//! Everything here only ever errs towards "used": additions saturate, a day is never shorter than it should be, and
//! no order of events gives back what was spent.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::link::message::TestType;
use crate::reason::EndReason;

use super::time::{DAY, LedgerTime, Moment};

/// The sliding window of `testsPerHour`.
pub const HOUR: Duration = Duration::from_secs(3600);

/// Grants remembered per peer: as many as the largest `testsPerHour`, because a limit we cannot count to would be no limit.
/// A row that is full has less than 200 kB, and only who runs that many tests has one.
pub const GRANTS_KEPT: usize = crds::quotas::MAX_TESTS_PER_HOUR as usize;

/// A day bucket ends at least this long after the one before it. Midnight follows midnight by 24 h; less means the
/// wall clock jumped, and two short "days" would be two budgets. One hour is left for clocks that are being trimmed.
pub const SHORTEST_DAY: Duration = Duration::from_secs(23 * 3600);

/// A peer unseen for this long, with nothing that still counts, is forgotten: a month of history and some slack.
pub const FORGET_AFTER: Duration = Duration::from_secs(35 * 86_400);

/// What was used since the last 00:00 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Day {
    /// Payload bytes, both directions.
    pub bytes: u64,
    /// Grants.
    pub tests: u32,
    /// Requests that were denied.
    pub denied: u32,
    /// When this bucket empties, fixed at its first charge.
    pub resets_at: LedgerTime,
}

/// The last session of a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastTest {
    /// The session.
    pub test_id: Uuid,
    /// What ran.
    pub test_type: TestType,
    /// How it ended.
    pub reason: EndReason,
    /// Payload bytes.
    pub bytes: u64,
    /// First to last byte, in milliseconds.
    pub duration_ms: u64,
    /// When it ended, for people.
    pub at: Timestamp,
}

/// Everything remembered about one peer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Book {
    /// The current day; absent until something is charged.
    pub day: Option<Day>,
    /// End of the last day that was cleared.
    pub boundary: Option<LedgerTime>,
    /// Grants of the last hour, oldest first.
    pub grants: VecDeque<LedgerTime>,
    /// End of the last session: where the cooldown runs from.
    pub last_end: Option<LedgerTime>,
    /// Last time the peer was connected.
    pub last_seen: Option<LedgerTime>,
    /// The last session.
    pub last_test: Option<LastTest>,
}

impl Book {
    /// Lets time pass: clears a day that is over and drops grants older than an hour. Returns the bytes cleared.
    pub fn roll(&mut self, at: LedgerTime) -> u64 {
        self.grants.retain(|grant| at < grant.plus(HOUR));
        match self.day {
            Some(day) if at >= day.resets_at => {
                self.boundary = Some(day.resets_at);
                self.day = None;
                day.bytes
            }
            _ => 0,
        }
    }

    /// Bytes that moved.
    pub fn charge(&mut self, now: Moment, bytes: u64) {
        let day = self.today(now);
        day.bytes = day.bytes.saturating_add(bytes);
    }

    /// A request was denied.
    pub fn deny(&mut self, now: Moment) {
        let day = self.today(now);
        day.denied = day.denied.saturating_add(1);
    }

    /// A test was granted.
    pub fn grant(&mut self, now: Moment) {
        let day = self.today(now);
        day.tests = day.tests.saturating_add(1);
        if self.grants.len() >= GRANTS_KEPT {
            self.grants.pop_front();
        }
        self.grants.push_back(now.at);
    }

    /// Takes back a grant that was never sent.
    pub fn ungrant(&mut self, stamp: LedgerTime) {
        if let Some(index) = self.grants.iter().rposition(|grant| *grant == stamp) {
            self.grants.remove(index);
            if let Some(day) = &mut self.day {
                day.tests = day.tests.saturating_sub(1);
            }
        }
    }

    /// Bytes used today.
    pub fn bytes_today(&self) -> u64 {
        self.day.map_or(0, |day| day.bytes)
    }

    /// How long until one more grant fits into the last hour; `None`: now. Call after [`Book::roll`].
    pub fn hourly_wait(&self, at: LedgerTime, limit: u32) -> Option<Duration> {
        let limit = usize::try_from(limit).unwrap_or(GRANTS_KEPT).min(GRANTS_KEPT);
        let surplus = self.grants.len().checked_sub(limit)?;
        // With a limit of 0 nothing ever fits; the whole window is then the most honest wait.
        Some(self.grants.get(surplus).map_or(HOUR, |grant| grant.plus(HOUR).since(at)))
    }

    /// How long the pause after the last session still lasts; `None`: it is over.
    pub fn cooldown_wait(&self, at: LedgerTime, cooldown: Duration) -> Option<Duration> {
        let left = self.last_end?.plus(cooldown).since(at);
        (!left.is_zero()).then_some(left)
    }

    /// How long until today's bytes are cleared.
    pub fn day_wait(&self, at: LedgerTime) -> Option<Duration> {
        self.day.map(|day| day.resets_at.since(at))
    }

    /// After a crash nobody recorded the end of what was running: its grant is the latest moment we know.
    pub fn recover(&mut self) {
        self.last_end = self.last_end.max(self.grants.back().copied());
    }

    /// True when dropping this row changes no answer. Call after [`Book::roll`].
    pub fn is_forgettable(&self, at: LedgerTime) -> bool {
        let unseen = self.last_seen.max(self.last_end).max(self.boundary);
        self.day.is_none()
            && self.grants.is_empty()
            && unseen.is_none_or(|seen| at.since(seen) > FORGET_AFTER)
    }

    /// Today's bucket; a new one ends at the next 00:00 UTC.
    fn today(&mut self, now: Moment) -> &mut Day {
        let boundary = self.boundary;
        self.day.get_or_insert_with(|| Day {
            bytes: 0,
            tests: 0,
            denied: 0,
            resets_at: place_boundary(now, boundary),
        })
    }
}

fn place_boundary(now: Moment, previous: Option<LedgerTime>) -> LedgerTime {
    let midnight = now.at.plus(now.until_midnight());
    match previous {
        Some(previous) if midnight < previous.plus(SHORTEST_DAY) => midnight.plus(DAY),
        _ => midnight,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 86_400_000 * 20_000 + 43_200_000;

    fn at(ms: i64) -> Moment {
        Moment { at: LedgerTime::from_ms(NOON + ms), wall_ms: NOON + ms }
    }

    /// G6
    #[test]
    fn bytes_clear_at_midnight_utc_and_not_before() {
        let mut book = Book::default();
        book.charge(at(0), 700);
        assert_eq!(book.roll(at(43_199_999).at), 0);
        assert_eq!(book.bytes_today(), 700);
        assert_eq!(book.roll(at(43_200_000).at), 700);
        assert_eq!(book.bytes_today(), 0);
    }

    #[test]
    fn the_hourly_wait_ends_when_the_oldest_surplus_grant_is_an_hour_old() {
        let mut book = Book::default();
        for ms in [0, 10_000, 20_000] {
            book.grant(at(ms));
        }
        let now = at(30_000).at;
        assert_eq!(book.hourly_wait(now, 4), None);
        assert_eq!(book.hourly_wait(now, 3), Some(Duration::from_secs(3570)));
        assert_eq!(book.hourly_wait(now, 2), Some(Duration::from_secs(3580)));
        assert_eq!(book.hourly_wait(now, 0), Some(HOUR));
        book.roll(at(3_600_000).at);
        assert_eq!(book.hourly_wait(at(3_600_000).at, 3), None);
    }

    #[test]
    fn grants_are_bounded_and_the_limit_with_them() {
        let mut book = Book::default();
        let kept = i64::try_from(GRANTS_KEPT).unwrap();
        for ms in 0..kept - 1 {
            book.grant(at(ms));
        }
        // The largest limit there is can be used up.
        assert_eq!(book.hourly_wait(at(kept).at, crds::quotas::MAX_TESTS_PER_HOUR), None);
        for ms in kept - 1..kept + 200 {
            book.grant(at(ms));
        }
        assert_eq!(book.grants.len(), GRANTS_KEPT);
        assert!(book.hourly_wait(at(kept + 200).at, crds::quotas::MAX_TESTS_PER_HOUR).is_some());
    }

    #[test]
    fn a_wall_clock_that_jumps_to_just_before_midnight_does_not_make_a_second_day() {
        let mut book = Book::default();
        let before_midnight = |at_ms: i64| Moment { at: at(at_ms).at, wall_ms: NOON + 43_199_000 };
        book.charge(before_midnight(0), 1);
        assert_eq!(book.roll(at(1_000).at), 1);
        book.charge(before_midnight(1_000), 1);
        assert_eq!(book.roll(at(3_600_000).at), 0);
        assert_eq!(book.day_wait(at(1_000).at), Some(Duration::from_secs(86_401)));
    }

    #[test]
    fn a_grant_never_sent_is_taken_back_once() {
        let mut book = Book::default();
        book.grant(at(0));
        book.grant(at(5));
        book.ungrant(at(5).at);
        book.ungrant(at(5).at);
        assert_eq!((book.grants.len(), book.day.unwrap().tests), (1, 1));
    }

    #[test]
    fn after_a_crash_the_cooldown_runs_from_the_grant() {
        let mut book = Book::default();
        book.grant(at(0));
        book.recover();
        assert_eq!(book.cooldown_wait(at(2_000).at, Duration::from_secs(5)), Some(Duration::from_secs(3)));
        assert_eq!(book.cooldown_wait(at(5_000).at, Duration::from_secs(5)), None);
    }

    #[test]
    fn a_peer_is_forgotten_only_when_nothing_counts_any_more() {
        let mut book = Book { last_seen: Some(at(0).at), ..Book::default() };
        book.charge(at(0), 1);
        let later = at(0).at.plus(FORGET_AFTER).plus(Duration::from_millis(1));
        assert!(!book.is_forgettable(later));
        book.roll(later);
        assert!(book.is_forgettable(later.plus(FORGET_AFTER)));
        assert!(!book.is_forgettable(at(0).at.plus(DAY)));
    }
}
