//! What the attempts so far come to, and when the next is due. Pure.

use std::time::Duration;

/// While all is well. A handshake takes about a millisecond of a small host's processor, so this is no load.
/// Test: `three_misses_in_a_row_count_and_one_answer_ends_them`.
pub(super) const EVERY: Duration = Duration::from_secs(60);

/// After a miss: three of them are known for what they are in well under a minute, and that it works again is noticed
/// soon. Test: `three_misses_in_a_row_count_and_one_answer_ends_them`.
pub(super) const AFTER_A_MISS: Duration = Duration::from_secs(10);

/// In a row before anybody is told: one may be a host that is busy for a moment, and a condition that flaps says nothing.
/// Test: `three_misses_in_a_row_count_and_one_answer_ends_them`.
const MISSES: u32 = 3;

/// Whether the process reaches its own port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Reached {
    /// Nothing has come of it yet.
    #[default]
    Untried,
    /// It was answered as a peer would be.
    Yes,
    /// Several times in a row it was not: where, why, and what to do.
    No(String),
}

/// What came of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A test would be granted.
    Granted,
    /// It was refused for a cause that has a reason of its own in status: the policy, a suspension, a full disk.
    Shut,
    /// Nobody would get a test, or not from us: where, why, and what to do.
    Missed(String),
}

/// Attempts in a row.
#[derive(Debug, Default)]
pub(super) struct Streak {
    misses: u32,
    reached: Reached,
}

impl Streak {
    /// One more.
    pub(super) fn add(&mut self, answer: Answer) {
        match answer {
            Answer::Granted | Answer::Shut => (self.misses, self.reached) = (0, Reached::Yes),
            Answer::Missed(why) => {
                self.misses = self.misses.saturating_add(1);
                if self.misses >= MISSES {
                    self.reached = Reached::No(why);
                }
            }
        }
    }

    /// What is to be told.
    pub(super) fn reached(&self) -> &Reached {
        &self.reached
    }

    /// Until the next one.
    pub(super) fn wait(&self) -> Duration {
        if self.misses == 0 { EVERY } else { AFTER_A_MISS }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn miss(why: &str) -> Answer {
        Answer::Missed(why.to_owned())
    }

    /// X10: as often as the specification says, and a moment's trouble is nobody's business.
    #[test]
    fn three_misses_in_a_row_count_and_one_answer_ends_them() {
        let mut streak = Streak::default();
        let mut after = |answer| {
            streak.add(answer);
            (streak.reached().clone(), streak.wait().as_secs())
        };
        assert_eq!(after(Answer::Granted), (Reached::Yes, 60));
        assert_eq!(after(miss("a")), (Reached::Yes, 10));
        assert_eq!(after(miss("b")), (Reached::Yes, 10));
        assert_eq!(after(Answer::Granted), (Reached::Yes, 60));
        assert_eq!(after(miss("c")), (Reached::Yes, 10));
        assert_eq!(after(miss("d")), (Reached::Yes, 10));
        assert_eq!(after(miss("e")), (Reached::No("e".into()), 10));
        assert_eq!(after(miss("f")), (Reached::No("f".into()), 10));
        assert_eq!(after(Answer::Granted), (Reached::Yes, 60));
    }

    /// Ready means that it was tried.
    #[test]
    fn until_something_came_of_it_nothing_is_known() {
        let mut streak = Streak::default();
        assert_eq!(streak.reached(), &Reached::Untried);
        streak.add(miss("a"));
        streak.add(miss("b"));
        assert_eq!(streak.reached(), &Reached::Untried);
        streak.add(miss("c"));
        assert_eq!(streak.reached(), &Reached::No("c".into()));
    }

    /// A refusal that status explains elsewhere came over a port that works.
    #[test]
    fn a_refusal_with_a_reason_of_its_own_is_no_miss() {
        let mut streak = Streak::default();
        for _ in 0..3 {
            streak.add(miss("a"));
        }
        streak.add(Answer::Shut);
        assert_eq!((streak.reached(), streak.wait()), (&Reached::Yes, EVERY));
    }
}
