//! How long an object that failed waits for its next try. Pure: the random share is handed in.
//!
//! Each object has its own count, so one that always fails costs the others nothing. What wakes an object while it
//! waits, wakes it in vain: above all its own status, in which the words of two failures may differ by a port number.
//! A spec that was edited is not made to wait.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use crate::clock::Now;

/// The first wait: long enough for a conflict to be over.
const FIRST: Duration = Duration::from_secs(1);
/// The longest: whoever repairs what is wrong outside the cluster's objects does not wait longer for us to see it.
const LONGEST: Duration = Duration::from_secs(5 * 60);
/// Most objects counted: what one operator is made for (1 000 reflectors, 10 000 peers). A further one that fails takes
/// the place of the one that failed longest ago. Test: `the_map_does_not_grow_beyond_its_bound`.
pub(crate) const MAX_TRACKED: usize = 11_000;

/// Failures in a row, by object.
#[derive(Debug)]
pub(crate) struct Backoff<K> {
    failures: HashMap<K, Failures>,
    /// Counts failures of all objects, to know whose is the oldest.
    tick: u64,
    most: usize,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    in_a_row: u32,
    at: u64,
    /// Until then (monotonic milliseconds) this generation is not tried again.
    until_ms: u64,
    generation: Option<i64>,
}

impl<K: Eq + Hash + Clone> Backoff<K> {
    pub(crate) fn new() -> Self {
        Self::bounded(MAX_TRACKED)
    }

    fn bounded(most: usize) -> Self {
        Self { failures: HashMap::new(), tick: 0, most }
    }

    /// This generation of it failed again: how long it waits. `share` is a random number; the wait is between half and
    /// all of the doubled one, so that many that failed together do not come back together.
    pub(crate) fn failed(&mut self, key: &K, generation: Option<i64>, share: u32, now: Now) -> Duration {
        self.tick += 1;
        if self.failures.len() >= self.most && !self.failures.contains_key(key) {
            self.forget_oldest();
        }
        let none = Failures { in_a_row: 0, at: 0, until_ms: 0, generation };
        let entry = self.failures.entry(key.clone()).or_insert(none);
        let doubled = FIRST.saturating_mul(2_u32.saturating_pow(entry.in_a_row)).min(LONGEST);
        let wait = doubled / 2 + (doubled / 2).mul_f64(f64::from(share) / f64::from(u32::MAX));
        let until_ms = now.mono_ms.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        *entry = Failures { in_a_row: entry.in_a_row.saturating_add(1), at: self.tick, until_ms, generation };
        wait
    }

    /// How long this generation of it still waits; nothing, when it may be tried now.
    pub(crate) fn holds(&self, key: &K, generation: Option<i64>, now: Now) -> Option<Duration> {
        let failures = self.failures.get(key).filter(|failures| failures.generation == generation)?;
        let left = failures.until_ms.saturating_sub(now.mono_ms);
        (left > 0).then(|| Duration::from_millis(left))
    }

    /// It went well, or it is gone.
    pub(crate) fn forget(&mut self, key: &K) {
        self.failures.remove(key);
    }

    fn forget_oldest(&mut self) {
        let oldest = self.failures.iter().min_by_key(|(_, failures)| failures.at).map(|(key, _)| key.clone());
        if let Some(oldest) = oldest {
            self.failures.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Now {
        Now { mono_ms: millis, wall: jiff::Timestamp::UNIX_EPOCH }
    }

    /// Else a failure whose words differ each time wakes itself with each status it writes.
    #[test]
    fn one_that_failed_is_not_woken_before_its_time_unless_its_spec_was_edited() {
        let mut backoff = Backoff::new();
        assert_eq!(backoff.holds(&"attic", Some(1), at(5)), None);
        backoff.failed(&"attic", Some(1), u32::MAX, at(5));
        assert_eq!(backoff.holds(&"attic", Some(1), at(5)), Some(FIRST));
        assert_eq!(backoff.holds(&"attic", Some(1), at(1_004)), Some(Duration::from_millis(1)));
        assert_eq!(backoff.holds(&"attic", Some(1), at(1_005)), None);
        assert_eq!(backoff.holds(&"attic", Some(2), at(6)), None, "edited");
        assert_eq!(backoff.holds(&"cellar", Some(1), at(6)), None, "another one");
        backoff.forget(&"attic");
        assert_eq!(backoff.holds(&"attic", Some(1), at(6)), None);
    }

    #[test]
    fn waits_double_up_to_the_longest_and_start_over_after_success() {
        let mut backoff = Backoff::new();
        let waits: Vec<u64> =
            (0..12).map(|_| backoff.failed(&"attic", Some(1), u32::MAX, at(0)).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        backoff.forget(&"attic");
        assert_eq!(backoff.failed(&"attic", Some(1), u32::MAX, at(0)), FIRST);
    }

    #[test]
    fn the_random_share_is_half_of_the_wait() {
        let mut backoff = Backoff::new();
        assert_eq!(backoff.failed(&"attic", Some(1), 0, at(0)), FIRST / 2);
        assert_eq!(backoff.failed(&"cellar", Some(1), u32::MAX, at(0)), FIRST);
        let wait = backoff.failed(&"barn", Some(1), u32::MAX / 2, at(0));
        assert!(wait > FIRST / 2 && wait < FIRST, "{wait:?}");
    }

    #[test]
    fn one_that_fails_does_not_slow_another() {
        let mut backoff = Backoff::new();
        for _ in 0..100 {
            backoff.failed(&"broken", Some(1), u32::MAX, at(0));
        }
        assert_eq!(backoff.failed(&"attic", Some(1), u32::MAX, at(0)), FIRST);
    }

    #[test]
    fn the_map_does_not_grow_beyond_its_bound() {
        let mut backoff = Backoff::bounded(3);
        for key in 0..100 {
            backoff.failed(&key, Some(1), 0, at(0));
            backoff.failed(&7, Some(1), 0, at(0));
        }
        assert_eq!(backoff.failures.len(), 3);
        assert!(backoff.failures.contains_key(&7), "the one that fails on is kept");
    }
}
