//! The schedule against a model of the API server: what it has of each subject, and when each write came.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::cluster::status::tests::{at, own, own_report, peer, peer_report, peer_report_of};
use crate::cluster::status::{Reach, condition::whole_seconds, urgency};

const MINUTE: u64 = 60_000;

/// A peer's numbers and what else is said of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Facts {
    bytes: i64,
    generation: i64,
    claims: i64,
    busy: bool,
}

fn report(facts: Facts) -> Report {
    peer_report(|entry| {
        entry.loaded_generation = Some(facts.generation);
        entry.usage.get_or_insert_default().bytes_today = Some(facts.bytes);
        entry.revocation = None;
        entry.claim = (facts.claims > 0)
            .then(|| crds::peer::Claim { at: Some(whole_seconds(at(facts.claims))), ..Default::default() });
    })
}

fn wanted(facts: Facts) -> Wanted {
    Wanted { report: report(facts), there: None, busy: facts.busy }
}

/// Everything a write meets.
#[derive(Default)]
struct Model {
    schedule: Schedule,
    facts: BTreeMap<Subject, Facts>,
    server: BTreeMap<Subject, Report>,
    writes: Vec<(u64, Subject, Urgency)>,
    now_ms: u64,
}

impl Model {
    fn open() -> Self {
        let mut model = Self::default();
        model.schedule.open();
        model
    }

    fn say(&mut self, subject: &Subject, facts: Facts) {
        self.facts.insert(subject.clone(), facts);
        assert!(self.schedule.want(subject, wanted(facts), self.now_ms));
    }

    /// Does what is due now; `answer` is what the server makes of each write.
    fn work(&mut self, mut answer: impl FnMut() -> Result<(), Trouble>) -> Option<u64> {
        loop {
            match self.schedule.next(self.now_ms) {
                Next::Wait(until) => return until,
                Next::Look(subject) => {
                    let facts = self.facts[&subject];
                    self.schedule.want(&subject, wanted(facts), self.now_ms);
                    self.schedule.looked(&subject, self.now_ms);
                }
                Next::Write(subject, report) => {
                    let outcome = answer();
                    if outcome.is_ok() {
                        let urgency = urgency::of(self.server.get(&subject), &report);
                        let urgency = urgency.expect("what the server has already was written again");
                        self.writes.push((self.now_ms, subject.clone(), urgency));
                        self.server.insert(subject.clone(), *report);
                    }
                    self.schedule.done(&subject, outcome, self.now_ms, u32::MAX);
                }
            }
        }
    }

    /// Lets time pass up to a moment, doing what becomes due on the way.
    fn run_until(&mut self, end_ms: u64) {
        while let Some(due) = self.work(|| Ok(())).filter(|due| *due <= end_ms) {
            assert!(due > self.now_ms, "a wait that does not end");
            self.now_ms = due;
        }
        self.now_ms = end_ms;
        self.work(|| Ok(()));
    }

    fn writes_of(&self, subject: &Subject) -> Vec<u64> {
        self.writes.iter().filter(|(_, of, _)| of == subject).map(|(at, ..)| *at).collect()
    }
}

#[test]
fn nothing_is_written_before_the_policy_is_loaded() {
    let mut schedule = Schedule::default();
    schedule.want(&peer(1), wanted(Facts::default()), 0);
    assert_eq!(schedule.next(10 * MINUTE), Next::Wait(None));
    schedule.open();
    assert!(matches!(schedule.next(10 * MINUTE), Next::Write(..)));
}

#[test]
fn a_load_a_revocation_and_a_claim_go_at_once_and_take_the_numbers_along() {
    let mut model = Model::open();
    model.say(&peer(1), Facts::default());
    model.run_until(5_000);
    model.say(&peer(1), Facts { bytes: 7, generation: 1, ..Facts::default() });
    model.run_until(5_001);
    model.say(&peer(1), Facts { bytes: 8, generation: 1, claims: 1, busy: false });
    model.run_until(5_002);
    assert_eq!(model.writes_of(&peer(1)), [0, 5_000, 5_001]);
    assert_eq!(model.server[&peer(1)], report(model.facts[&peer(1)]));
}

#[test]
fn numbers_wait_for_their_minute_and_the_last_ones_are_written() {
    let mut model = Model::open();
    model.say(&peer(1), Facts::default());
    for second in 1..=100 {
        model.run_until(second * 1_000);
        let bytes = i64::try_from(second).unwrap();
        model.say(&peer(1), Facts { bytes, ..Facts::default() });
    }
    model.run_until(10 * MINUTE);
    assert_eq!(model.writes_of(&peer(1)), [0, MINUTE, 2 * MINUTE]);
    assert_eq!(model.server[&peer(1)], report(Facts { bytes: 100, ..Facts::default() }));
}

#[test]
fn numbers_of_a_shorter_pace_are_written_as_often_and_no_oftener() {
    let mut model = Model { schedule: Schedule::new(Duration::from_secs(2)), ..Model::default() };
    model.schedule.open();
    model.say(&peer(1), Facts::default());
    for second in 1..=6 {
        model.say(&peer(1), Facts { bytes: second, ..Facts::default() });
        model.run_until(second.unsigned_abs() * 1_000);
    }
    model.run_until(MINUTE);
    assert_eq!(model.writes_of(&peer(1)), [0, 3_000, 5_000, 7_000]);
}

/// One write for a connection and both halves of a test, and it has the result.
#[test]
fn a_test_costs_one_write_that_shows_its_result() {
    let mut model = Model::open();
    model.say(&peer(1), Facts::default());
    let start = 10 * MINUTE;
    model.run_until(start);
    let steps = [
        (0, 1, false),      // connected
        (200, 2, true),     // granted
        (25_000, 3, false), // its first half is over
        (25_900, 4, true),  // granted
        (51_000, 5, false), // over
        (51_100, 6, false), // gone
    ];
    for (after, bytes, busy) in steps {
        model.run_until(start + after);
        model.say(&peer(1), Facts { bytes, busy, ..Facts::default() });
    }
    model.run_until(start + 10 * MINUTE);
    assert_eq!(model.writes_of(&peer(1))[1..], [start + 54_000]);
    assert_eq!(model.server[&peer(1)], report(Facts { bytes: 6, ..Facts::default() }));
}

#[test]
fn a_long_test_is_looked_at_once_a_minute() {
    let mut model = Model::open();
    model.say(&peer(1), Facts { bytes: 1, busy: true, ..Facts::default() });
    for second in 1..=300 {
        // Bytes move, and nobody says so.
        model.facts.entry(peer(1)).or_default().bytes += 1;
        model.run_until(second * 1_000);
    }
    assert_eq!(model.writes_of(&peer(1)), [0, MINUTE, 2 * MINUTE, 3 * MINUTE, 4 * MINUTE, 5 * MINUTE]);
}

#[test]
fn time_alone_writes_nothing() {
    let mut model = Model::open();
    model.say(&peer(1), Facts { busy: true, ..Facts::default() });
    model.say(&peer(2), Facts::default());
    model.run_until(24 * 60 * MINUTE);
    assert_eq!(model.writes.len(), 2);
}

/// What an earlier pod wrote is known from the API server: a restart writes nothing, and numbers wait their minute.
#[test]
fn a_restart_writes_nothing_that_is_there() {
    let mut model = Model::open();
    let there = Some(report(Facts::default()));
    model.server.insert(peer(1), report(Facts::default()));
    model.schedule.want(&peer(1), Wanted { there, ..wanted(Facts::default()) }, 0);
    model.run_until(1_000);
    model.say(&peer(1), Facts { bytes: 1, ..Facts::default() });
    model.run_until(MINUTE - 1);
    assert_eq!(model.writes.len(), 0);
    model.run_until(MINUTE);
    assert_eq!(model.writes_of(&peer(1)), [MINUTE]);
}

#[test]
fn in_a_fleet_nothing_is_written_before_the_operator_made_our_entry() {
    let mut schedule = Schedule::default();
    schedule.open();
    let of = |entered| Wanted {
        report: peer_report_of(Reach::Fleet { entered }, |_| {}),
        there: None,
        busy: false,
    };
    schedule.want(&peer(1), of(false), 0);
    assert_eq!(schedule.next(0), Next::Wait(None));
    schedule.want(&peer(1), of(true), 5);
    assert!(matches!(schedule.next(5), Next::Write(..)));
}

/// A budget of the cluster's disk: 20 peers that test without end, and the reflector they test on.
#[test]
fn twenty_busy_peers_cost_twenty_one_writes_a_minute() {
    let mut model = Model::open();
    let mut writes = Vec::new();
    for second in 0..600_u64 {
        model.now_ms = second * 1_000;
        for n in 0..20 {
            let bytes = i64::try_from(second).unwrap();
            model.say(&peer(n), Facts { bytes, busy: (second + n) % 7 > 3, ..Facts::default() });
        }
        let active = u32::try_from(second % 20).unwrap();
        let own_report = own_report(|facts| facts.active_tests = active);
        model.schedule.want(&own(), Wanted { report: own_report, there: None, busy: false }, model.now_ms);
        loop {
            match model.schedule.next(model.now_ms) {
                Next::Wait(_) => break,
                Next::Look(subject) => model.schedule.looked(&subject, model.now_ms),
                Next::Write(subject, _) => {
                    writes.push(model.now_ms);
                    model.schedule.done(&subject, Ok(()), model.now_ms, 0);
                }
            }
        }
    }
    for start in (0..540).map(|second| second * 1_000) {
        let in_this_minute = writes.iter().filter(|at| (start..start + MINUTE).contains(*at)).count();
        assert!(in_this_minute <= 21, "{in_this_minute} writes in the minute from {start}");
    }
    assert!(writes.len() > 21 * 8, "the numbers are written all the same: {}", writes.len());
}

#[test]
fn whoever_waits_goes_before_numbers_and_loads() {
    let mut schedule = Schedule::default();
    schedule.open();
    for n in 0..50 {
        schedule.want(&peer(n), wanted(Facts::default()), 0);
    }
    schedule.want(&peer(99), wanted(Facts { claims: 1, ..Facts::default() }), 0);
    let Next::Write(first, _) = schedule.next(0) else { panic!("nothing is written") };
    assert_eq!(first, peer(99));
}

#[test]
fn an_absent_server_stops_everything_and_waits_grow() {
    let mut model = Model::open();
    model.say(&peer(1), Facts::default());
    model.say(&peer(2), Facts::default());
    let mut moments = Vec::new();
    while moments.len() < 5 {
        let mut tried = 0;
        let until = model.work(|| {
            tried += 1;
            Err(Trouble::Away)
        });
        assert_eq!(tried, 1, "one try finds out for all");
        moments.push(model.now_ms);
        model.now_ms = until.unwrap();
    }
    assert_eq!(moments, [0, 1_000, 3_000, 7_000, 15_000]);
    model.run_until(model.now_ms);
    assert_eq!(model.server.len(), 2);
}

/// A missing right is one request in five minutes for a whole kind, and none of the other kind's business.
#[test]
fn a_missing_right_is_no_loop() {
    let mut model = Model::open();
    for n in 0..100 {
        model.say(&peer(n), Facts::default());
    }
    let mut tries = 0;
    while model.now_ms < 60 * MINUTE {
        let until = model.work(|| {
            tries += 1;
            Err(Trouble::Forbidden)
        });
        model.now_ms = until.unwrap();
    }
    assert_eq!(tries, 12);
    model.schedule.want(
        &own(),
        Wanted { report: own_report(|_| {}), there: None, busy: false },
        model.now_ms,
    );
    let Next::Write(subject, _) = model.schedule.next(model.now_ms - 1) else {
        panic!("the other kind waits too")
    };
    assert_eq!(subject, own());
}

#[test]
fn an_object_whose_words_are_refused_waits_alone() {
    let mut model = Model::open();
    model.say(&peer(1), Facts::default());
    model.say(&peer(2), Facts::default());
    let mut answers = [Err(Trouble::Refused), Ok(())].into_iter();
    assert_eq!(model.work(|| answers.next().unwrap()), Some(1_000));
    assert_eq!(model.server.keys().collect::<Vec<_>>(), [&peer(2)]);
    assert_eq!(model.schedule.refused(&peer(1)), 1);
    // New facts do not make it loud.
    model.say(&peer(1), Facts { generation: 2, ..Facts::default() });
    assert_eq!(model.work(|| panic!("it was asked too early")), Some(1_000));
    model.run_until(1_000);
    assert_eq!(model.server.len(), 2);
    assert_eq!(model.schedule.refused(&peer(1)), 0);
}

#[test]
fn an_object_that_is_gone_is_forgotten() {
    let mut model = Model::open();
    model.say(&peer(1), Facts::default());
    assert_eq!(model.work(|| Err(Trouble::Gone)), None);
    assert_eq!(model.schedule.subjects().count(), 0);
}

#[test]
fn the_schedule_does_not_grow_beyond_its_bound() {
    let mut schedule = Schedule::default();
    for n in 0..MOST_SUBJECTS {
        assert!(schedule.want(&peer(n as u64), wanted(Facts::default()), 0));
    }
    assert!(!schedule.want(&peer(MOST_SUBJECTS as u64), wanted(Facts::default()), 0));
    assert!(schedule.want(&peer(0), wanted(Facts { bytes: 1, ..Facts::default() }), 0), "known ones go on");
    schedule.forget(&peer(0));
    assert!(schedule.want(&peer(MOST_SUBJECTS as u64), wanted(Facts::default()), 0));
    assert_eq!(schedule.ready.len(), MOST_SUBJECTS);
}

/// What can happen.
#[derive(Debug, Clone)]
enum Step {
    Say(u64, Facts),
    Forget(u64),
    Pass(u64),
    Answer(Result<(), Trouble>),
}

fn step() -> impl Strategy<Value = Step> {
    let facts = (0..4_i64, 0..2_i64, 0..2_i64, any::<bool>())
        .prop_map(|(bytes, generation, claims, busy)| Facts { bytes, generation, claims, busy });
    let trouble = prop_oneof![
        Just(Trouble::Away),
        Just(Trouble::Forbidden),
        Just(Trouble::Conflict),
        Just(Trouble::Refused)
    ];
    prop_oneof![
        6 => (0..4_u64, facts).prop_map(|(n, facts)| Step::Say(n, facts)),
        1 => (0..4_u64).prop_map(Step::Forget),
        4 => prop_oneof![0..1_000_u64, 0..100_000_u64].prop_map(Step::Pass),
        2 => prop_oneof![2 => Just(Ok(())), 1 => trouble.prop_map(Err)].prop_map(Step::Answer),
    ]
}

proptest! {
    /// Whatever happens in whatever order: no two writes of numbers of one subject within a minute, never what is there
    /// already (the model panics), and in the end the server has the last of everything.
    #[test]
    fn numbers_keep_their_distance_and_the_last_state_is_always_written(
        steps in proptest::collection::vec(step(), 1..120)
    ) {
        let mut model = Model::open();
        let mut answer = Ok(());
        for step in steps {
            match step {
                Step::Say(n, facts) => model.say(&peer(n), facts),
                Step::Forget(n) => {
                    model.schedule.forget(&peer(n));
                    model.facts.remove(&peer(n));
                    // Its object is gone, and what was said about it.
                    model.server.remove(&peer(n));
                    model.writes.retain(|(_, of, _)| *of != peer(n));
                }
                Step::Pass(ms) => model.now_ms += ms,
                Step::Answer(new) => answer = new,
            }
            model.work(|| answer);
        }
        model.run_until(model.now_ms + 10 * MINUTE);
        for (subject, facts) in &model.facts {
            prop_assert_eq!(model.server.get(subject), Some(&report(*facts)));
        }
        for subject in model.facts.keys() {
            let of: Vec<_> = model.writes.iter().filter(|(_, of, _)| of == subject).collect();
            for pair in of.windows(2) {
                let ((before, ..), (after, _, urgency)) = (pair[0], pair[1]);
                prop_assert!(*urgency != Urgency::Numbers || after - before >= MINUTE, "{} {}", before, after);
            }
        }
        // At rest: nothing but looks at running tests is left.
        let left = model.work(|| panic!("something was left to write"));
        prop_assert_eq!(left.is_some(), model.facts.values().any(|facts| facts.busy));
    }
}
