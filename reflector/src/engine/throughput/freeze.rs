//! When a client may be told that its test is over although it did not ask (pure).
//!
//! A stock client that gets state 13 unasked ends as after a whole test, but divides its own bytes by the end of its last
//! whole interval. So we stop moving bytes, wait until the interval they belong to has closed on its side, and say it then.
//! Before the first interval has closed it would divide by garbage.

use std::time::Duration;

/// Intervals of a stock client (`-i`).
const INTERVAL: Duration = Duration::from_secs(1);

/// The client's clock started when our states arrived, later than ours.
const CLOCK_SKEW: Duration = Duration::from_millis(100);

/// What to say to the client, times counted from the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goodbye {
    /// State 11, now: there is no valid shorter test.
    Terminate,
    /// State 13, then.
    Finish { at: Duration },
}

/// What still arrives after the streams are frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flood {
    /// TCP waits, and what we send has stopped.
    Stops,
    /// UDP of a peer whose budget is used up: every moment costs bytes that nobody may spend.
    GoesOn,
}

/// For streams that were frozen at `frozen`.
pub(super) fn goodbye(frozen: Duration, omit: Duration, flood: Flood) -> Goodbye {
    if frozen < omit {
        return Goodbye::Terminate;
    }
    match flood {
        Flood::GoesOn if frozen < omit + INTERVAL => Goodbye::Terminate,
        Flood::GoesOn => Goodbye::Finish { at: frozen },
        Flood::Stops => Goodbye::Finish { at: interval_end(frozen).max(omit + INTERVAL) + CLOCK_SKEW },
    }
}

/// The first whole interval's end at or after this. Omitted time is whole seconds, so it moves none of them.
fn interval_end(at: Duration) -> Duration {
    let whole = Duration::from_secs(at.as_secs());
    if whole == at { whole } else { whole + INTERVAL }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_frozen_test_ends_after_the_interval_it_is_in() {
        let at = |frozen| goodbye(ms(frozen), Duration::ZERO, Flood::Stops);
        assert_eq!(at(3400), Goodbye::Finish { at: ms(4100) });
        assert_eq!(at(5000), Goodbye::Finish { at: ms(5100) });
        assert_eq!(at(0), Goodbye::Finish { at: ms(1100) });
    }

    #[test]
    fn nothing_valid_is_there_while_omitting() {
        assert_eq!(goodbye(ms(1999), ms(2000), Flood::Stops), Goodbye::Terminate);
        assert_eq!(goodbye(ms(2000), ms(2000), Flood::Stops), Goodbye::Finish { at: ms(3100) });
    }

    #[test]
    fn a_flood_that_nobody_pays_for_ends_at_once() {
        let at = |frozen| goodbye(ms(frozen), ms(2000), Flood::GoesOn);
        assert_eq!(at(2999), Goodbye::Terminate);
        assert_eq!(at(3001), Goodbye::Finish { at: ms(3001) });
    }

    proptest! {
        #[test]
        fn the_client_never_waits_longer_than_an_interval_and_always_has_one(
            frozen in 0_u64..100_000, omit in 0_u64..20,
        ) {
            let omit = omit * 1000;
            if let Goodbye::Finish { at } = goodbye(ms(frozen), ms(omit), Flood::Stops) {
                prop_assert!(at >= ms(omit) + INTERVAL + CLOCK_SKEW);
                prop_assert!(at >= ms(frozen) + CLOCK_SKEW && at < ms(frozen) + INTERVAL + 2 * CLOCK_SKEW);
            } else {
                prop_assert!(frozen < omit);
            }
        }
    }
}
