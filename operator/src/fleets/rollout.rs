//! Which members are changed next. Pure.
//!
//! A member that serves is interrupted by a change that restarts it: never more than `maxUnavailable` are down because of
//! us. What it reads while it runs, its quotas for instance, is changed at once. One that served when it was changed holds
//! a place until it serves again. One that did not serve anyway holds none: a node that is switched off for the winter
//! does not keep a change from all the others.

use std::cmp::Reverse;

/// A member on a node that is there, as far as a rollout goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a question of its own, asked of every member")]
pub(super) struct Candidate {
    /// It is not what the fleet says it should be.
    pub(super) stale: bool,
    /// Making it so restarts its pod.
    pub(super) restarts: bool,
    /// It serves, as it is now.
    pub(super) ready: bool,
    /// It served when it was last changed, and has not served since.
    pub(super) interrupted: bool,
    /// No test runs.
    pub(super) idle: bool,
    /// Somebody wants it not to serve.
    pub(super) suspended: bool,
}

impl Candidate {
    /// Down because of us.
    pub(super) fn holds_a_place(self) -> bool {
        self.interrupted && !self.ready && !self.suspended
    }
}

/// Indices of those to change now. What restarts nothing needs no turn; of the others at most so many, those that do not
/// serve first, then idle ones, then those that have tests, which end before it.
pub(super) fn next(members: &[Candidate], max_unavailable: usize) -> Vec<usize> {
    let held = members.iter().filter(|member| member.holds_a_place()).count();
    let mut free = max_unavailable.saturating_sub(held);
    let stale = (0..members.len()).filter(|at| members[*at].stale);
    let (mut stale, live): (Vec<usize>, Vec<usize>) = stale.partition(|at| members[*at].restarts);
    stale.sort_by_key(|at| (members[*at].ready, Reverse(members[*at].idle), *at));
    let fits = |at: &usize| {
        // Changing what does not serve interrupts nobody.
        if !members[*at].ready {
            return true;
        }
        let fits = free > 0;
        free = free.saturating_sub(1);
        fits
    };
    live.into_iter().chain(stale.into_iter().take(max_unavailable).filter(fits)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CURRENT: Candidate = Candidate {
        stale: false,
        restarts: false,
        ready: true,
        interrupted: false,
        idle: true,
        suspended: false,
    };
    const STALE: Candidate = Candidate { stale: true, restarts: true, ..CURRENT };
    /// Other quotas, for instance.
    const LIVE: Candidate = Candidate { restarts: false, ..STALE };
    const BUSY: Candidate = Candidate { idle: false, ..STALE };
    const BROKEN: Candidate = Candidate { ready: false, ..STALE };
    const WAITED_FOR: Candidate = Candidate { ready: false, interrupted: true, ..CURRENT };

    #[test]
    fn those_that_do_not_serve_come_first_then_idle_ones_and_the_next_only_when_the_last_serves() {
        for (title, members, most, expected) in [
            ("nothing to do", vec![CURRENT, CURRENT], 1, vec![]),
            ("broken, idle, busy", vec![BUSY, STALE, BROKEN], 1, vec![2]),
            ("idle before busy", vec![BUSY, STALE], 1, vec![1]),
            ("busy when there is no other", vec![BUSY, CURRENT], 1, vec![0]),
            ("two at a time", vec![BUSY, STALE, BROKEN], 2, vec![2, 1]),
            ("the last is waited for", vec![WAITED_FOR, STALE], 1, vec![]),
            ("one of two places is held", vec![WAITED_FOR, STALE, STALE], 2, vec![1]),
            (
                "what we broke may be mended",
                vec![Candidate { ready: false, interrupted: true, ..STALE }, STALE],
                1,
                vec![0],
            ),
            ("what restarts nothing takes no turn", vec![LIVE, LIVE, LIVE], 1, vec![0, 1, 2]),
            ("nor waits for one", vec![WAITED_FOR, LIVE, STALE], 1, vec![1]),
            ("nor keeps anybody from one", vec![LIVE, STALE, STALE], 1, vec![0, 1]),
            (
                "what was broken before is not waited for",
                vec![Candidate { stale: false, ..BROKEN }, STALE],
                1,
                vec![1],
            ),
            ("nor what is suspended", vec![Candidate { suspended: true, ..WAITED_FOR }, STALE], 1, vec![1]),
            ("more places than members", vec![STALE, STALE], 64, vec![0, 1]),
        ] {
            assert_eq!(next(&members, most), expected, "{title}");
        }
    }

    /// What happens to a fleet, one step after the other.
    #[derive(Debug, Clone)]
    enum Event {
        /// Another template.
        Edit,
        /// Another template, which differs in what restarts nothing.
        LiveEdit,
        /// Whatever is to be changed now is changed.
        Look,
        /// A member starts to serve.
        Serves(usize),
        /// A member breaks by itself.
        Breaks(usize),
        /// Its tests begin or end.
        Busy(usize),
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            1 => Just(Event::Edit),
            1 => Just(Event::LiveEdit),
            4 => Just(Event::Look),
            3 => (0..64_usize).prop_map(Event::Serves),
            1 => (0..64_usize).prop_map(Event::Breaks),
            1 => (0..64_usize).prop_map(Event::Busy),
        ]
    }

    fn change(member: &mut Candidate) {
        // As `decide` notes it.
        if member.restarts {
            member.interrupted = member.ready || member.interrupted;
            member.ready = false;
        }
        (member.restarts, member.stale) = (false, false);
    }

    proptest! {
        #[test]
        fn no_more_than_max_unavailable_are_ever_down_because_of_us(
            count in 1..64_usize,
            most in 1..65_usize,
            events in proptest::collection::vec(event(), 0..200),
        ) {
            let mut members = vec![CURRENT; count];
            // Told apart from `interrupted`: who was taken down by a change, and has not served since.
            let mut taken_down = vec![false; count];
            for event in events {
                match event {
                    Event::Edit => {
                        for member in &mut members {
                            (member.stale, member.restarts) = (true, true);
                        }
                    }
                    Event::LiveEdit => members.iter_mut().for_each(|member| member.stale = true),
                    Event::Look => {
                        let picked = next(&members, most);
                        prop_assert!(picked.iter().filter(|at| members[**at].restarts).count() <= most);
                        let waits = |at: usize| members[at].stale && !members[at].restarts && !picked.contains(&at);
                        prop_assert!(!(0..count).any(waits), "a change that restarts nothing waits");
                        for at in picked {
                            prop_assert!(members[at].stale);
                            taken_down[at] |= members[at].ready && members[at].restarts;
                            change(&mut members[at]);
                        }
                    }
                    Event::Serves(at) => {
                        members[at % count] = Candidate { ready: true, interrupted: false, ..members[at % count] };
                        taken_down[at % count] = false;
                    }
                    Event::Breaks(at) => members[at % count].ready = false,
                    Event::Busy(at) => members[at % count].idle ^= true,
                }
                prop_assert!(taken_down.iter().filter(|down| **down).count() <= most);
            }
        }

        #[test]
        fn a_rollout_comes_to_an_end_when_members_recover(count in 1..64_usize, most in 1..65_usize, broken in any::<u64>()) {
            let is_broken = |at: usize| broken >> at & 1 == 1;
            let mut members: Vec<Candidate> =
                (0..count).map(|at| if is_broken(at) { BROKEN } else { STALE }).collect();
            for _ in 0..=count {
                for at in next(&members, most) {
                    change(&mut members[at]);
                }
                for (at, member) in members.iter_mut().enumerate().filter(|(at, _)| !is_broken(*at)) {
                    let _ = at;
                    (member.ready, member.interrupted) = (true, false);
                }
            }
            prop_assert!(members.iter().all(|member| !member.stale), "{members:?}");
        }
    }
}
