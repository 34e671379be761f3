//! The decision itself, as tables and as properties.

use proptest::prelude::*;

use super::*;
use crate::engine::Placement;
use crate::ledger::quota::Book;
use crate::ledger::{LedgerTime, Moment};
use crate::session::admission::{Finished, Plan, Running, Shut, View, check, decide};

const HOUR: Duration = Duration::from_secs(3600);

fn at(ms: i64) -> Moment {
    Moment { at: LedgerTime::from_ms(NOON + ms), wall_ms: NOON + ms }
}

fn running(own: bool, ends_in_ms: i64) -> Running {
    Running { own, ends_at: at(ends_in_ms).at }
}

fn plan(policy: &Policy, reverse: bool) -> Plan {
    check(TestType::Throughput, &ask(10, reverse), Placement::DataPort, &policy.quotas).unwrap()
}

/// A peer that has spent everything there is to spend.
fn spent(policy: &Policy) -> Book {
    let mut book = Book::default();
    for second in 0..10 {
        book.grant(at(second * 1000));
    }
    book.charge(at(0), policy.quotas.bytes_per_day.unwrap());
    book.last_end = Some(at(18_500).at);
    book
}

/// G4: everything is wrong at once; each line mends what the line before was denied for.
#[test]
fn denials_come_in_the_documented_order_with_their_exact_wait() {
    let mut policy = policy();
    policy.reflector_suspended = true;
    policy.quotas.allow_throughput = false;
    let mut book = spent(&policy);
    let mut sessions = vec![running(true, 27_400), running(false, 21_000)];
    let mut shut = Some(Shut::AuditFailing);
    let mut closed_for = Some(seconds(77));
    let now = at(20_000);
    let answer = |policy: &Policy, book: &Book, sessions: &[Running], shut, closed_for| {
        let view = View { policy, book, running: sessions, before: None, closed_for, shut, now };
        decide(plan(policy, false), &view).map_err(|denied| (denied.reason, denied.retry_after_sec))
    };
    // Parameters come before all of it: see the next test. 60 s where nobody knows the end.
    assert_eq!(answer(&policy, &book, &sessions, shut, closed_for), Err((DenyReason::Busy, Some(60))));
    policy.reflector_suspended = false;
    assert_eq!(answer(&policy, &book, &sessions, shut, closed_for), Err((DenyReason::Busy, Some(60))));
    shut = Some(Shut::Draining { left: seconds(100) });
    assert_eq!(answer(&policy, &book, &sessions, shut, closed_for), Err((DenyReason::Busy, Some(60))));
    shut = None;
    assert_eq!(answer(&policy, &book, &sessions, shut, closed_for), Err((DenyReason::RateLimited, Some(77))));
    closed_for = None;
    // 1: both full; the own one ends last.
    assert_eq!(answer(&policy, &book, &sessions, shut, closed_for), Err((DenyReason::Busy, Some(8))));
    sessions = vec![running(false, 23_000), running(false, 21_000)];
    assert_eq!(answer(&policy, &book, &sessions, shut, closed_for), Err((DenyReason::Busy, Some(1))));
    sessions = vec![running(false, 23_000)];
    // 2
    assert_eq!(answer(&policy, &book, &sessions, shut, closed_for), Err((DenyReason::InvalidParams, None)));
    policy.quotas.allow_throughput = true;
    // 3: five seconds from the end at 18.5 s
    assert_eq!(answer(&policy, &book, &sessions, shut, closed_for), Err((DenyReason::RateLimited, Some(4))));
    book.last_end = Some(at(15_000).at);
    // 4: the oldest grant was at 0
    assert_eq!(
        answer(&policy, &book, &sessions, shut, closed_for),
        Err((DenyReason::RateLimited, Some(3580)))
    );
    policy.quotas.tests_per_hour = 11;
    // 5: midnight is twelve hours after noon
    let midnight = Some(12 * 3600 - 20);
    assert_eq!(
        answer(&policy, &book, &sessions, shut, closed_for),
        Err((DenyReason::QuotaExceeded, midnight))
    );
    policy.quotas.bytes_per_day = Some(5_001);
    assert!(answer(&policy, &book, &sessions, shut, closed_for).is_ok());
}

/// G9, G4: before everything else, and naming the limit.
#[test]
fn parameters_outside_the_limits_are_named_and_never_worth_a_wait() {
    let quotas = policy().quotas;
    let denied = |change: &dyn Fn(&mut SessionParams)| {
        let mut params = ask(10, false);
        change(&mut params);
        check(TestType::Throughput, &params, Placement::DataPort, &quotas).unwrap_err()
    };
    let cases: [(Denied, &str); 3] = [
        (denied(&|params| params.duration_sec = 0), "60"),
        (denied(&|params| params.streams = Some(999)), "1 to 8"),
        (denied(&|params| params.streams = Some(0)), "1 to 8"),
    ];
    for (denied, limit) in cases {
        assert_eq!((denied.reason, denied.retry_after_sec), (DenyReason::InvalidParams, None));
        assert!(denied.message.contains(limit), "{}", denied.message);
    }
}

/// G9
#[test]
fn granted_is_the_lesser_of_asked_and_allowed() {
    let quotas = policy().quotas;
    for (asked, granted) in [(1, 1), (59, 59), (60, 60), (61, 60), (1_000_000_000_000, 60), (u64::MAX, 60)] {
        let plan = check(TestType::Throughput, &ask(asked, false), Placement::DataPort, &quotas).unwrap();
        assert_eq!(plan.duration, seconds(granted));
    }
}

#[test]
fn what_is_left_out_gets_its_default_and_echo_looks_at_its_duration_only() {
    let quotas = policy().quotas;
    let bare = SessionParams { protocol: None, streams: None, reverse: None, ..ask(10, false) };
    let plan = check(TestType::Throughput, &bare, Placement::DataPort, &quotas).unwrap();
    assert_eq!((plan.protocol, plan.streams, plan.reverse), (Protocol::Tcp, 4, false));
    let chatty = SessionParams { streams: Some(999), ..ask(10, true) };
    let plan = check(TestType::UdpEcho, &chatty, Placement::DataPort, &quotas).unwrap();
    assert_eq!((plan.protocol, plan.streams, plan.reverse), (Protocol::Udp, 1, false));
    let few = Quotas { max_streams: 2, ..quotas };
    assert_eq!(check(TestType::Throughput, &bare, Placement::DataPort, &few).unwrap().streams, 2);
}

#[test]
fn a_second_half_is_the_other_direction_of_a_throughput_test_within_ten_seconds_once() {
    let policy = policy();
    let mut book = spent(&policy);
    book.day = None;
    book.last_end = Some(at(20_000).at);
    let up = Finished {
        test_type: TestType::Throughput,
        reverse: false,
        ended_at: at(20_000).at,
        second_half: false,
    };
    let granted = |before: Option<Finished>, plan: Plan, now: Moment| {
        let view =
            View { policy: &policy, book: &book, running: &[], before, closed_for: None, shut: None, now };
        decide(plan, &view).is_ok_and(|plan| plan.second_half)
    };
    let down = plan(&policy, true);
    assert!(granted(Some(up), down, at(20_000)));
    assert!(granted(Some(up), down, at(30_000)));
    assert!(
        granted(Some(Finished { reverse: true, ..up }), plan(&policy, false), at(21_000)),
        "either order"
    );
    assert!(!granted(Some(up), down, at(30_001)));
    assert!(!granted(Some(up), plan(&policy, false), at(20_000)), "the same direction");
    assert!(!granted(Some(Finished { second_half: true, ..up }), down, at(20_000)), "a third");
    assert!(!granted(None, down, at(20_000)), "another connection");
    let echo = check(TestType::UdpEcho, &ask(10, true), Placement::DataPort, &policy.quotas).unwrap();
    assert!(!granted(Some(up), echo, at(20_000)), "echo is a test of its own");
    assert!(!granted(Some(Finished { test_type: TestType::UdpEcho, ..up }), down, at(20_000)));
}

#[test]
fn a_second_half_is_spared_cooldown_and_hour_and_nothing_else() {
    let mut policy = policy();
    let mut book = spent(&policy);
    let before = Some(Finished {
        test_type: TestType::Throughput,
        reverse: false,
        ended_at: at(19_000).at,
        second_half: false,
    });
    let reason = |policy: &Policy, book: &Book, running: &[Running], shut| {
        let view = View { policy, book, running, before, closed_for: None, shut, now: at(20_000) };
        decide(plan(policy, true), &view).map(|plan| plan.second_half).map_err(|denied| denied.reason)
    };
    assert_eq!(reason(&policy, &book, &[], None), Err(DenyReason::QuotaExceeded));
    book.day = None;
    assert_eq!(reason(&policy, &book, &[running(true, 1)], None), Err(DenyReason::Busy));
    assert_eq!(reason(&policy, &book, &[], None), Ok(true));
    // 10 s and the slack of 5 s have to fit.
    assert_eq!(reason(&policy, &book, &[], Some(Shut::Draining { left: seconds(15) })), Ok(true));
    assert_eq!(
        reason(&policy, &book, &[], Some(Shut::Draining { left: Duration::from_millis(14_999) })),
        Err(DenyReason::Busy)
    );
    policy.quotas.allow_throughput = false;
    assert_eq!(reason(&policy, &book, &[], None), Err(DenyReason::InvalidParams));
}

#[test]
fn caps_of_zero_and_a_budget_of_zero_deny_with_a_wait_that_can_be_named() {
    let book = Book::default();
    let answer = |policy: &Policy| {
        let view = View {
            policy,
            book: &book,
            running: &[],
            before: None,
            closed_for: None,
            shut: None,
            now: at(0),
        };
        decide(plan(policy, false), &view).map_err(|denied| (denied.reason, denied.retry_after_sec))
    };
    assert_eq!(answer(&with(|policy| policy.total_concurrent_tests = 0)), Err((DenyReason::Busy, Some(60))));
    let never = with(|policy| policy.quotas.tests_per_hour = 0);
    assert_eq!(answer(&never), Err((DenyReason::RateLimited, Some(3600))));
    let nothing = with(|policy| policy.quotas.bytes_per_day = Some(0));
    assert_eq!(answer(&nothing), Err((DenyReason::QuotaExceeded, Some(12 * 3600))));
    let unlimited = with(|policy| policy.quotas.bytes_per_day = None);
    assert!(answer(&unlimited).is_ok());
}

#[derive(Debug, Clone)]
enum Step {
    Ask { connection: usize, reverse: bool },
    End { which: usize },
    Pass(u32),
    Move(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_usize, any::<bool>()).prop_map(|(connection, reverse)| Step::Ask { connection, reverse }),
        3 => (0..4_usize).prop_map(|which| Step::End { which }),
        2 => (0..30_000_u32).prop_map(Step::Pass),
        1 => (0..2_000_000_u32).prop_map(Step::Pass),
        1 => (0..900_u64).prop_map(Step::Move),
    ]
}

proptest! {
    /// G4: whatever happens in whatever order, no cap is exceeded, and a client that waits as told and finds nothing
    /// else changed is not denied again for the same reason.
    #[test]
    fn no_order_of_events_lifts_a_cap(steps in prop::collection::vec(step(), 1..150)) {
        let policy = with(|policy| {
            policy.quotas.max_concurrent_tests = 2;
            policy.quotas.tests_per_hour = 4;
        });
        let (mut now, mut book) = (0_i64, Book::default());
        let mut sessions: Vec<(usize, Plan, LedgerTime)> = Vec::new();
        let mut history: [Option<Finished>; 3] = [None; 3];
        let mut counted: Vec<LedgerTime> = Vec::new();
        let mut halves = 0_usize;
        for step in steps {
            let at_now = at(now);
            book.roll(at_now.at);
            match step {
                Step::Pass(ms) => now += i64::from(ms),
                Step::Move(bytes) => book.charge(at_now, bytes),
                Step::End { which } => {
                    if which < sessions.len() {
                        let (connection, plan, _) = sessions.remove(which);
                        book.last_end = Some(at_now.at);
                        history[connection] = Some(Finished {
                            test_type: plan.test_type,
                            reverse: plan.reverse,
                            ended_at: at_now.at,
                            second_half: plan.second_half,
                        });
                    }
                }
                Step::Ask { connection, reverse } => {
                    let running: Vec<Running> =
                        sessions.iter().map(|(_, _, ends_at)| Running { own: true, ends_at: *ends_at }).collect();
                    let view = |book, now| View {
                        policy: &policy,
                        book,
                        running: &running,
                        before: history[connection],
                        closed_for: None,
                        shut: None,
                        now,
                    };
                    match decide(plan(&policy, reverse), &view(&book, at_now)) {
                        Ok(plan) => {
                            prop_assert!(sessions.len() < 2);
                            if plan.second_half {
                                halves += 1;
                                history[connection] = None;
                            } else {
                                if let Some(end) = book.last_end {
                                    prop_assert!(at_now.at.since(end) >= seconds(5));
                                }
                                book.grant(at_now);
                                counted.push(at_now.at);
                            }
                            sessions.push((connection, plan, at_now.at.plus(plan.duration)));
                        }
                        Err(denied) => {
                            let wait = denied.retry_after_sec.unwrap();
                            prop_assert!(wait > 0);
                            if denied.reason != DenyReason::Busy {
                                let later = at(now + i64::try_from(wait).unwrap() * 1000);
                                let mut then = book.clone();
                                then.roll(later.at);
                                let again = decide(plan(&policy, reverse), &view(&then, later));
                                let other = again.err().is_none_or(|again| again.message != denied.message);
                                prop_assert!(other, "{denied:?} was not the real wait");
                            }
                        }
                    }
                }
            }
        }
        for start in &counted {
            let hour = counted.iter().filter(|grant| *grant >= start && grant.since(*start) < HOUR);
            prop_assert!(hour.count() <= 4);
        }
        prop_assert!(halves <= counted.len(), "a second half without a first");
    }
}
