//! How often wrong codes are looked at, and where most of them came from. Bounded whatever happens outside.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::IpAddr;

use crate::network::{SourceKey, source_key};

/// Wrong codes looked at per source, and per ID, in any minute.
pub const CODES_PER_MINUTE: usize = 5;
/// The minute.
const WINDOW_MS: u64 = 60_000;
/// Sources, and IDs, remembered at one time. Only codes that were looked at are remembered, for a minute: at most
/// 100 before the window slows down and 6 a minute after, so this is never reached; it holds even if that changes.
pub const MAX_TRACKED: usize = 128;
/// Sources counted for the list of the worst. When more come, the smallest count makes room and is taken over, so a
/// heavy source is never lost and a count is never too low.
const MAX_COUNTED: usize = 32;

/// The last wrong codes by key.
#[derive(Debug)]
pub(super) struct Limiter<K> {
    recent: HashMap<K, VecDeque<u64>>,
}

impl<K> Default for Limiter<K> {
    fn default() -> Self {
        Self { recent: HashMap::new() }
    }
}

impl<K: Eq + Hash + Copy> Limiter<K> {
    /// Milliseconds until this key may try again; 0: now.
    pub(super) fn wait_ms(&self, key: &K, mono_ms: u64) -> u64 {
        let Some(times) = self.recent.get(key) else { return 0 };
        let live = times.iter().filter(|at| is_live(**at, mono_ms));
        if live.clone().count() < CODES_PER_MINUTE {
            return 0;
        }
        let oldest = live.min().copied().unwrap_or(mono_ms);
        oldest.saturating_add(WINDOW_MS).saturating_sub(mono_ms)
    }

    /// A wrong code was looked at.
    pub(super) fn record(&mut self, key: K, mono_ms: u64) {
        self.recent.retain(|_, times| times.back().is_some_and(|at| is_live(*at, mono_ms)));
        if self.recent.len() >= MAX_TRACKED && !self.recent.contains_key(&key) {
            let oldest = self.recent.iter().min_by_key(|(_, times)| times.back().copied()).map(|(k, _)| *k);
            oldest.map(|k| self.recent.remove(&k));
        }
        let times = self.recent.entry(key).or_default();
        while times.len() >= CODES_PER_MINUTE {
            times.pop_front();
        }
        times.push_back(mono_ms);
    }

    /// Keys remembered, for the tests that bound them.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.recent.len()
    }
}

fn is_live(at: u64, mono_ms: u64) -> bool {
    at.saturating_add(WINDOW_MS) > mono_ms
}

/// Wrong codes by source, over the life of a window.
#[derive(Debug, Default, Clone)]
pub(super) struct Worst {
    counts: Vec<(SourceKey, u32)>,
}

impl Worst {
    pub(super) fn restore(counts: impl IntoIterator<Item = (IpAddr, u32)>) -> Self {
        Self { counts: counts.into_iter().take(MAX_COUNTED).map(|(ip, n)| (source_key(ip), n)).collect() }
    }

    pub(super) fn record(&mut self, source: SourceKey) {
        if let Some((_, count)) = self.counts.iter_mut().find(|(known, _)| *known == source) {
            *count = count.saturating_add(1);
        } else if self.counts.len() < MAX_COUNTED {
            self.counts.push((source, 1));
        } else if let Some(least) = self.counts.iter_mut().min_by_key(|(_, count)| *count) {
            *least = (source, least.1.saturating_add(1));
        }
    }

    /// The worst first.
    pub(super) fn top(&self, most: usize) -> Vec<(SourceKey, u32)> {
        let mut sorted = self.counts.clone();
        sorted.sort_by_key(|(source, count)| (std::cmp::Reverse(*count), *source));
        sorted.truncate(most);
        sorted
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_sixth_wrong_code_of_a_minute_waits_for_the_first_to_age() {
        let mut limiter = Limiter::default();
        for at in 0..5 {
            assert_eq!(limiter.wait_ms(&1, at * 1000), 0);
            limiter.record(1, at * 1000);
        }
        assert_eq!(limiter.wait_ms(&1, 10_000), 50_000);
        assert_eq!(limiter.wait_ms(&2, 10_000), 0, "others are not concerned");
        assert_eq!(limiter.wait_ms(&1, 60_000), 0, "the first is a minute old");
    }

    proptest! {
        #[test]
        fn no_key_gets_more_than_five_a_minute_and_memory_stays_bounded(
            steps in prop::collection::vec((0u16..300, 0u64..3000), 0..400)
        ) {
            let mut limiter = Limiter::default();
            let mut passed: Vec<(u16, u64)> = Vec::new();
            let mut now = 0;
            for (key, pause) in steps {
                now += pause;
                if limiter.wait_ms(&key, now) == 0 {
                    limiter.record(key, now);
                    passed.push((key, now));
                    let in_minute = passed.iter().filter(|(k, at)| *k == key && at + WINDOW_MS > now).count();
                    prop_assert!(limiter.len() == MAX_TRACKED || in_minute <= CODES_PER_MINUTE);
                }
                prop_assert!(limiter.len() <= MAX_TRACKED);
            }
        }

        #[test]
        fn a_count_of_the_worst_is_never_too_low(sources in prop::collection::vec(0u8..60, 0..300)) {
            let mut worst = Worst::default();
            let source = |n: u8| source_key(IpAddr::from([192, 0, 2, n]));
            for n in &sources {
                worst.record(source(*n));
            }
            prop_assert!(worst.counts.len() <= MAX_COUNTED);
            for (found, count) in worst.top(5) {
                let real = sources.iter().filter(|n| source(**n) == found).count();
                prop_assert!(usize::try_from(count).unwrap() >= real);
            }
        }
    }
}
