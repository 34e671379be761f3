//! The election, played by hand: a Lease that only knows versions, and candidates with clocks of their own.

use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;

use super::election::{Election, PAUSE, PERIOD, Record, STOP_AFTER, Seen, Step, TERM, Wrote};
use crate::clock::Now;

const START: u64 = 1_000_000;

fn at(millis: u64) -> Now {
    Now {
        mono_ms: START + millis,
        wall: Timestamp::from_millisecond(i64::try_from(millis).unwrap()).unwrap(),
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap()
}

/// What the API server does with a Lease.
#[derive(Default)]
struct Server {
    lease: Option<Seen>,
    version: u32,
}

impl Server {
    fn write(&mut self, replaces: Option<&str>, record: Record) -> Wrote {
        if self.lease.as_ref().map(|seen| seen.version.as_str()) != replaces {
            return Wrote::Conflict;
        }
        self.version += 1;
        let seen = Seen { version: self.version.to_string(), record };
        self.lease = Some(seen.clone());
        Wrote::Done(seen)
    }

    /// Does what the candidate wants done now. Returns false when it only waits.
    fn turn(&mut self, candidate: &mut Election, now: Now) -> bool {
        match candidate.next(now) {
            Step::Wait(_) | Step::Lost => return false,
            Step::Read => candidate.read(self.lease.clone(), now),
            Step::Create(record) => {
                let wrote = self.write(None, record);
                candidate.wrote(wrote, now.mono_ms, now);
            }
            Step::Replace(version, record) => {
                let wrote = self.write(Some(&version), record);
                candidate.wrote(wrote, now.mono_ms, now);
            }
        }
        true
    }

    fn settle(&mut self, candidate: &mut Election, now: Now) {
        for _ in 0..10 {
            if !self.turn(candidate, now) {
                return;
            }
        }
        panic!("it never waits");
    }
}

fn candidate(name: &str) -> Election {
    Election::new(name.to_owned())
}

fn writes(candidate: &Election, now: Now) -> bool {
    candidate.writes_until().is_some_and(|until| now.mono_ms < until)
}

fn holder(server: &Server) -> &str {
    server.lease.as_ref().map_or("", |seen| seen.record.holder.as_str())
}

#[test]
fn the_first_candidate_makes_the_lease_and_may_write_until_it_must_stop() {
    let (mut server, mut one) = (Server::default(), candidate("one"));
    assert!(one.writes_until().is_none());
    server.settle(&mut one, at(0));
    assert_eq!(holder(&server), "one");
    assert!(writes(&one, at(ms(STOP_AFTER) - 1)));
    assert!(!writes(&one, at(ms(STOP_AFTER))));
}

#[test]
fn a_holder_renews_each_period_and_keeps_its_acquisition() {
    let (mut server, mut one) = (Server::default(), candidate("one"));
    server.settle(&mut one, at(0));
    assert_eq!(one.next(at(1)), Step::Wait(START + ms(PERIOD)));
    server.settle(&mut one, at(ms(PERIOD)));
    let record = &server.lease.as_ref().unwrap().record;
    assert_eq!((record.acquired, record.renewed), (at(0).wall, at(ms(PERIOD)).wall));
    assert_eq!(record.transitions, 0);
    assert!(writes(&one, at(ms(PERIOD) + ms(STOP_AFTER) - 1)));
}

#[test]
fn a_standby_takes_over_only_a_whole_term_after_the_last_renewal_it_saw() {
    let (mut server, mut one, mut two) = (Server::default(), candidate("one"), candidate("two"));
    server.settle(&mut one, at(0));
    server.settle(&mut two, at(1000));
    let mut now = 1000;
    while holder(&server) == "one" {
        let Step::Wait(until) = two.next(at(now)) else { panic!("it neither waits nor reads") };
        now = until - START;
        server.settle(&mut two, at(now));
    }
    assert_eq!(now, 1000 + ms(TERM));
    assert_eq!(server.lease.as_ref().unwrap().record.transitions, 1);
    assert!(writes(&two, at(now)) && !writes(&one, at(now)));
}

#[test]
fn a_longer_term_that_the_holder_asked_for_is_respected() {
    let (mut server, mut two) = (Server::default(), candidate("two"));
    let asked = Duration::from_secs(300);
    let wall = at(0).wall;
    let record = Record { holder: "old".into(), term: asked, transitions: 4, acquired: wall, renewed: wall };
    server.write(None, record);
    for seconds in 0..300 {
        server.settle(&mut two, at(seconds * 1000));
        assert_eq!(holder(&server), "old", "after {seconds} s");
    }
    server.settle(&mut two, at(ms(asked)));
    assert_eq!(holder(&server), "two");
    assert_eq!(server.lease.unwrap().record.transitions, 5);
}

#[test]
fn of_two_that_see_a_free_lease_at_once_one_is_refused_and_reads_again() {
    let (mut server, mut one, mut two) = (Server::default(), candidate("one"), candidate("two"));
    for candidate in [&mut one, &mut two] {
        assert_eq!(candidate.next(at(0)), Step::Read);
        candidate.read(None, at(0));
    }
    server.turn(&mut one, at(1));
    server.turn(&mut two, at(2));
    assert!(writes(&one, at(3)) && !writes(&two, at(3)));
    assert_eq!(two.next(at(3)), Step::Read);
    server.settle(&mut two, at(3));
    assert_eq!(holder(&server), "one");
}

#[test]
fn a_holder_that_finds_another_in_the_lease_has_lost_for_ever() {
    let (mut server, mut one) = (Server::default(), candidate("one"));
    server.settle(&mut one, at(0));
    let version = server.lease.as_ref().unwrap().version.clone();
    let stolen = Record { holder: "thief".into(), ..server.lease.clone().unwrap().record };
    server.write(Some(&version), stolen);
    server.settle(&mut one, at(ms(PERIOD)));
    assert_eq!(one.next(at(ms(PERIOD))), Step::Lost);
    assert!(one.writes_until().is_none());
    server.lease = None;
    assert_eq!(one.next(at(ms(TERM))), Step::Lost);
}

#[test]
fn a_lease_that_somebody_annotated_is_still_ours() {
    let (mut server, mut one) = (Server::default(), candidate("one"));
    server.settle(&mut one, at(0));
    server.lease.as_mut().unwrap().version = "annotated".into();
    server.settle(&mut one, at(ms(PERIOD)));
    assert!(writes(&one, at(ms(PERIOD) + ms(STOP_AFTER) - 1)));
}

#[test]
fn a_holder_without_an_api_server_tries_again_soon_and_stops_before_its_term_ends() {
    let (mut server, mut one) = (Server::default(), candidate("one"));
    server.settle(&mut one, at(0));
    let mut now = ms(PERIOD);
    let mut tries = 0;
    while now < ms(STOP_AFTER) {
        match one.next(at(now)) {
            Step::Wait(until) => now = until - START,
            Step::Read => {
                one.read_failed(at(now));
                tries += 1;
            }
            Step::Replace(..) => {
                one.wrote(Wrote::Failed, at(now).mono_ms, at(now));
                tries += 1;
            }
            step => panic!("{step:?}"),
        }
    }
    assert_eq!(now, ms(STOP_AFTER), "it wakes to stop");
    assert!(tries >= (ms(STOP_AFTER) - ms(PERIOD)) / ms(PAUSE) - 1, "{tries} tries");
    assert_eq!(one.next(at(now)), Step::Lost);
    assert!(STOP_AFTER < TERM);
}

#[test]
fn a_renewal_counts_from_when_it_was_sent() {
    let (mut server, mut one) = (Server::default(), candidate("one"));
    server.settle(&mut one, at(0));
    let Step::Replace(version, record) = one.next(at(ms(PERIOD))) else { panic!("it renews") };
    let wrote = server.write(Some(&version), record);
    one.wrote(wrote, at(ms(PERIOD)).mono_ms, at(ms(PERIOD) + 7000));
    assert_eq!(one.writes_until(), Some(START + ms(PERIOD) + ms(STOP_AFTER)));
}

#[test]
fn a_holder_that_was_stopped_for_long_does_not_write_when_it_wakes() {
    let (mut server, mut one, mut two) = (Server::default(), candidate("one"), candidate("two"));
    server.settle(&mut one, at(0));
    for seconds in 1..=62 {
        server.settle(&mut two, at(seconds * 1000));
    }
    assert_eq!(holder(&server), "two");
    assert!(!writes(&one, at(62_000)));
    assert_eq!(one.next(at(62_000)), Step::Lost);
}

#[test]
fn a_lease_that_was_given_up_is_taken_at_once() {
    let (mut server, mut one, mut two) = (Server::default(), candidate("one"), candidate("two"));
    server.settle(&mut one, at(0));
    let (version, record) = one.release(at(1)).unwrap();
    assert!(one.writes_until().is_none());
    server.write(Some(&version), record);
    server.settle(&mut two, at(2));
    assert_eq!(holder(&server), "two");
    assert!(candidate("three").release(at(3)).is_none(), "who holds nothing gives nothing up");
}

/// Somebody deletes the Lease; its holder notices at its next renewal, and stops by itself when nobody answers it.
#[test]
fn a_deleted_lease_has_no_second_holder_while_the_first_may_write() {
    let (mut server, mut one, mut other) = (Server::default(), candidate("one"), candidate("other"));
    server.settle(&mut one, at(0));
    server.settle(&mut other, at(1));
    server.lease = None;
    let period = ms(PERIOD);
    for now in (1..=4).map(|turn| 1 + turn * period) {
        assert!(!writes(&other, at(now - 1)), "at {now}");
        server.settle(&mut other, at(now));
    }
    assert!(!writes(&other, at(1 + 4 * period)), "a term from when it was seen to be gone");
    server.settle(&mut other, at(1 + 5 * period));
    assert!(writes(&other, at(1 + 5 * period)));
    assert_eq!(server.turn(&mut one, at(1 + 5 * period)), false, "the first has ended long ago");
}

/// One that was given up, or never was, is nobody's.
#[test]
fn a_lease_that_nobody_held_is_not_waited_for() {
    let (mut server, mut one) = (Server::default(), candidate("one"));
    server.settle(&mut one, at(0));
    assert!(writes(&one, at(0)));
}

proptest! {
    /// Whatever is lost, late or stopped: nobody writes while somebody else may.
    #[test]
    fn there_are_never_two_that_may_write(turns in prop::collection::vec((0_usize..3, 1_u64..20_000, 0_u8..10), 1..300)) {
        let mut server = Server::default();
        let mut all = [candidate("one"), candidate("two"), candidate("three")];
        let mut now = 0;
        for (who, passes, luck) in turns {
            now += passes;
            let writers = all.iter().filter(|candidate| writes(candidate, at(now))).count();
            prop_assert!(writers <= 1, "{writers} writers at {now}");
            match (luck, all[who].next(at(now))) {
                (_, Step::Lost) => all[who] = candidate(&format!("{who} again at {now}")),
                // The request is lost.
                (0, Step::Read) => all[who].read_failed(at(now)),
                (0, Step::Create(_) | Step::Replace(..)) => all[who].wrote(Wrote::Failed, at(now).mono_ms, at(now)),
                // It arrives, its answer does not.
                (1, Step::Create(record)) => {
                    server.write(None, record);
                    all[who].wrote(Wrote::Failed, at(now).mono_ms, at(now));
                }
                (1, Step::Replace(version, record)) => {
                    server.write(Some(&version), record);
                    all[who].wrote(Wrote::Failed, at(now).mono_ms, at(now));
                }
                _ => server.settle(&mut all[who], at(now)),
            }
        }
    }
}
