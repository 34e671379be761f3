//! How often a Reflector's status is written for the number of its peers alone. Pure.
//!
//! An import of ten thousand peers changes that number ten thousand times, for each member of a fleet.

use std::collections::HashMap;
use std::time::Duration;

use crate::clock::Now;

/// Between two writes for the number alone: nobody reads it more often. The first is at once.
const GAP: Duration = Duration::from_secs(10);

/// When each Reflector was written for that last, in monotonic milliseconds. Holds those of one [`GAP`].
#[derive(Debug, Default)]
pub(super) struct Pace {
    written: HashMap<(String, String), u64>,
}

impl Pace {
    /// How long this one waits; nothing, when it may be written now, which then counts as done.
    pub(super) fn waits(&mut self, key: (String, String), now: Now) -> Option<Duration> {
        self.written.retain(|_, at| left(*at, now).is_some());
        if let Some(at) = self.written.get(&key) {
            return left(*at, now);
        }
        self.written.insert(key, now.mono_ms);
        None
    }
}

fn left(at: u64, now: Now) -> Option<Duration> {
    let since = Duration::from_millis(now.mono_ms.saturating_sub(at));
    GAP.checked_sub(since).filter(|left| !left.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Now {
        Now { mono_ms: millis, wall: jiff::Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn the_number_of_peers_is_written_at_once_and_then_every_ten_seconds() {
        let mut pace = Pace::default();
        let key = |name: &str| ("homes".to_owned(), name.to_owned());
        assert_eq!(pace.waits(key("attic"), at(1_000)), None);
        assert_eq!(pace.waits(key("attic"), at(1_400)), Some(Duration::from_millis(9_600)));
        assert_eq!(pace.waits(key("cellar"), at(1_400)), None, "each on its own");
        assert_eq!(pace.waits(key("attic"), at(10_999)), Some(Duration::from_millis(1)));
        assert_eq!(pace.waits(key("attic"), at(11_000)), None);
        assert_eq!(pace.waits(key("attic"), at(11_001)), Some(Duration::from_millis(9_999)));
        assert_eq!(pace.waits(key("barn"), at(90_000)), None);
        assert_eq!(pace.written.len(), 1, "what is long past is not kept");
    }
}
