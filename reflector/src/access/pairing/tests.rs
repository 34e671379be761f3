//! The window, pure and through its handle, over restarts and clock jumps.

use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::window::{Answer, Window};
use super::*;
use crate::access::fixtures::{at, id, numbered};
use crate::access::handle::Clock;
use crate::clock::Now;
use crate::network::{SourceKey, source_key};

const TTL: Duration = Duration::from_secs(600);
const DEADLINE: Duration = Duration::from_secs(10);

fn ip(n: u16) -> SourceKey {
    let [a, b] = n.to_be_bytes();
    source_key(IpAddr::from([10, 0, a, b]))
}

fn window() -> Window {
    Window::open(Code::parse("AB102345").unwrap(), TTL, at(1000))
}

/// Milliseconds after the start of the test's day, both clocks together.
fn ms(secs: u64, millis: u64) -> Now {
    let mut now = at(secs);
    now.mono_ms += millis;
    now
}

/// A4
#[test]
fn five_wrong_codes_a_minute_per_source_then_the_right_one_waits_too() {
    let mut w = window();
    for n in 0..5u16 {
        assert_eq!(w.attempt(ip(1), numbered(n), "00000000", at(1000 + u64::from(n))), Answer::Wrong);
    }
    assert_eq!(
        w.attempt(ip(1), id(9), "AB102345", at(1010)),
        Answer::Wait { seconds: 50 },
        "not even looked at"
    );
    assert_eq!(w.status().wrong, 5, "what was not looked at is not counted");
    assert_eq!(
        w.attempt(ip(2), id(9), "AB102345", at(1010)),
        Answer::Reserved,
        "another source is not concerned"
    );
}

/// A4
#[test]
fn five_wrong_codes_a_minute_per_id_whatever_the_source() {
    let mut w = window();
    for n in 0..5 {
        assert_eq!(w.attempt(ip(n), id(1), "00000000", at(1000)), Answer::Wrong);
    }
    assert_eq!(w.attempt(ip(77), id(1), "AB102345", at(1000)), Answer::Wait { seconds: 60 });
    assert_eq!(w.attempt(ip(77), id(1), "AB102345", at(1060)), Answer::Reserved, "a minute later");
}

/// A4
#[test]
fn after_a_hundred_wrong_codes_one_is_looked_at_per_ten_seconds() {
    let mut w = window();
    for n in 0..100 {
        assert_eq!(w.attempt(ip(n), numbered(n), "00000000", at(1000)), Answer::Wrong, "{n}");
    }
    assert_eq!(w.status().slowed_since, Some(at(1000).wall));
    assert_eq!(w.attempt(ip(500), id(9), "AB102345", ms(1009, 1)), Answer::Wait { seconds: 1 });
    assert_eq!(w.attempt(ip(500), id(8), "00000000", at(1010)), Answer::Wrong);
    assert_eq!(w.attempt(ip(501), id(9), "AB102345", at(1015)), Answer::Wait { seconds: 5 });
    assert_eq!(
        w.attempt(ip(501), id(9), "AB102345", at(1020)),
        Answer::Reserved,
        "never closed from outside"
    );
}

/// A4, X9
#[test]
fn ten_thousand_bogus_codes_leave_bounded_memory_and_a_working_window() {
    let mut w = window();
    let mut looked_at = 0;
    for n in 0..10_000u16 {
        let now = ms(1000, u64::from(n) * 10);
        match w.attempt(ip(n), numbered(n), "00000000", now) {
            Answer::Wrong => looked_at += 1,
            Answer::Wait { seconds } => assert!((1..=10).contains(&seconds)),
            other => panic!("{other:?}"),
        }
        assert!(w.tracked() <= 2 * MAX_TRACKED);
    }
    assert_eq!(looked_at, 100 + 9, "a hundred, then one per ten seconds of the remaining 99 s");
    assert_eq!(w.status().top_sources.len(), 5);
    assert_eq!(w.attempt(ip(1), id(9), "ab1o-2345", ms(1110, 0)), Answer::Reserved);
}

/// A3
#[test]
fn the_window_ends_by_whichever_clock_is_first() {
    let w = window();
    let both = |mono: u64, wall| Now { mono_ms: mono * 1000, wall: at(wall).wall };
    assert!(!w.is_over(both(1599, 1599)));
    assert!(w.is_over(both(1600, 1599)), "monotonic");
    assert!(w.is_over(both(1599, 1600)), "wall");
    assert!(w.is_over(both(1600, 0)), "a wall clock set back prolongs nothing");
}

/// A3
#[test]
fn a_restart_never_lengthens_a_window() {
    let w = window();
    let saved = |now| w.save(now, "boot-1");
    let after = |mono: u64, wall, boot| {
        let now = Now { mono_ms: mono * 1000, wall: at(wall).wall };
        Window::restore(&saved(at(1100)), now, boot).map(|w| w.remaining(now).as_secs())
    };
    assert_eq!(after(1200, 1200, "boot-1"), Some(400));
    assert_eq!(after(1200, 500, "boot-1"), Some(400), "same boot, wall clock set back");
    assert_eq!(after(5, 1200, "boot-2"), Some(400), "another boot");
    assert_eq!(
        after(5, 1050, "boot-2"),
        Some(500),
        "another boot, wall clock set back a little: what was left"
    );
    assert_eq!(after(5, 999, "boot-2"), None, "before it was opened: nobody can tell");
    assert_eq!(after(5, 1600, "boot-2"), None, "over");
}

proptest! {
    /// For all attempts: a wrong code never reserves, and in any minute no source and no ID is looked at more often
    /// than five times, and the whole window not more often than it may.
    #[test]
    fn guessing_is_bounded(steps in prop::collection::vec((0u16..8, 0u16..8, 0u64..4000), 1..400)) {
        let mut w = window();
        let (mut now_ms, mut looked): (u64, Vec<(u16, u16, u64)>) = (0, Vec::new());
        for (source, who, pause) in steps {
            now_ms += pause;
            let now = Now { mono_ms: at(1000).mono_ms + now_ms, wall: at(1000).wall };
            match w.attempt(ip(source), numbered(who), "ZZZZZZZZ", now) {
                Answer::Wrong => {
                    if looked.len() > 100 {
                        prop_assert!(now_ms - looked.last().unwrap().2 >= 10_000);
                    }
                    looked.push((source, who, now_ms));
                    let live = |(_, _, t): &&(u16, u16, u64)| t + 60_000 > now_ms;
                    prop_assert!(looked.iter().filter(live).filter(|l| l.0 == source).count() <= CODES_PER_MINUTE);
                    prop_assert!(looked.iter().filter(live).filter(|l| l.1 == who).count() <= CODES_PER_MINUTE);
                }
                Answer::Wait { seconds } => prop_assert!(seconds > 0 && seconds <= 60),
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }
}

/// A reflector's pairing with a clock the test sets.
struct Room {
    dir: TempDir,
    now: Arc<Mutex<Now>>,
}

impl Room {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), now: Arc::new(Mutex::new(at(1000))) }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("pairing.json")
    }

    /// As after a start.
    fn start(&self) -> Pairing {
        let now = Arc::clone(&self.now);
        let clock: Clock = Arc::new(move || *now.lock().unwrap());
        let (pairing, problem) = Pairing::load(&self.path(), clock);
        assert!(problem.is_none(), "{problem:?}");
        pairing
    }

    fn set(&self, secs: u64) {
        *self.now.lock().unwrap() = at(secs);
    }
}

async fn refused(pairing: &Pairing, code: &str) -> Refused {
    match pairing.attempt(ip(1), id(1), code).await {
        Outcome::Refused(refused) => refused,
        Outcome::Accepted(_) => panic!("accepted"),
    }
}

async fn accepted(pairing: &Pairing, code: &str) -> Reservation {
    match pairing.attempt(ip(1), id(1), code).await {
        Outcome::Accepted(reservation) => reservation,
        Outcome::Refused(refused) => panic!("{refused}"),
    }
}

/// A3
#[tokio::test]
async fn a_code_works_once_and_later_uses_say_so() {
    let room = Room::new();
    let pairing = room.start();
    assert_eq!(refused(&pairing, "AB102345").await, Refused::NotOpen);
    let opened = pairing.open(TTL).await.unwrap();
    let code = opened.code.to_string();
    accepted(&pairing, &code.to_lowercase()).await.commit().await.unwrap();
    assert_eq!(refused(&pairing, &code).await, Refused::Used);
    assert!(!pairing.is_open() && !room.path().exists());
    assert_eq!(refused(&room.start(), &code).await, Refused::NotOpen, "nor after a restart");
}

/// A3
#[tokio::test]
async fn an_expired_code_says_so_and_is_gone_from_disk() {
    let room = Room::new();
    let pairing = room.start();
    let code = pairing.open(TTL).await.unwrap().code.to_string();
    room.set(1600);
    assert_eq!(refused(&pairing, &code).await, Refused::Expired);
    let restarted = room.start();
    assert_eq!(refused(&restarted, &code).await, Refused::Expired, "its file was still there");
    let cancel = CancellationToken::new();
    cancel.cancel();
    timeout(DEADLINE, restarted.run(cancel)).await.unwrap();
    assert!(!room.path().exists());
}

/// A3
#[tokio::test]
async fn a_restart_inside_the_window_keeps_code_and_counts() {
    let room = Room::new();
    let pairing = room.start();
    let code = pairing.open(TTL).await.unwrap().code.to_string();
    assert_eq!(std::fs::metadata(room.path()).unwrap().permissions().mode() & 0o777, 0o600);
    for n in 0..100 {
        assert!(matches!(
            pairing.attempt(ip(n), numbered(n), "wrong").await,
            Outcome::Refused(Refused::Wrong)
        ));
    }
    let before = pairing.status().unwrap();
    let cancel = CancellationToken::new();
    cancel.cancel();
    timeout(DEADLINE, pairing.run(cancel)).await.unwrap();
    let restarted = room.start();
    let after = restarted.status().unwrap();
    assert_eq!(
        (after.wrong, after.expires_at, after.slowed_since),
        (100, before.expires_at, before.slowed_since)
    );
    assert_eq!(after.top_sources, before.top_sources);
    assert_eq!(refused(&restarted, &code).await, Refused::Wait { seconds: 10 }, "still slowed down");
    room.set(1010);
    accepted(&restarted, &code).await.commit().await.unwrap();
}

#[tokio::test]
async fn a_code_whose_peer_was_not_made_is_good_again() {
    let room = Room::new();
    let pairing = room.start();
    let code = pairing.open(TTL).await.unwrap().code.to_string();
    let reservation = accepted(&pairing, &code).await;
    assert!(!room.path().exists(), "off the disk before the peer is on it");
    assert_eq!(refused(&pairing, &code).await, Refused::InUse { seconds: 5 });
    assert!(pairing.is_open(), "restricted connections stay");
    drop(reservation);
    let cancel = CancellationToken::new();
    cancel.cancel();
    timeout(DEADLINE, pairing.run(cancel)).await.unwrap();
    assert!(room.path().exists(), "and on disk again");
    accepted(&room.start(), &code).await.commit().await.unwrap();
}

#[tokio::test]
async fn a_code_presented_in_time_can_be_committed_after_the_end() {
    let room = Room::new();
    let pairing = room.start();
    let code = pairing.open(TTL).await.unwrap().code.to_string();
    let reservation = accepted(&pairing, &code).await;
    room.set(1700);
    assert!(pairing.is_open());
    reservation.commit().await.unwrap();
    assert_eq!(refused(&pairing, &code).await, Refused::Used);
}

#[tokio::test]
async fn a_reservation_of_an_old_window_does_not_close_a_new_one() {
    let room = Room::new();
    let pairing = room.start();
    let first = pairing.open(TTL).await.unwrap().code.to_string();
    let reservation = accepted(&pairing, &first).await;
    let second = pairing.open(TTL).await.unwrap().code.to_string();
    reservation.commit().await.unwrap();
    assert_eq!(refused(&pairing, &first).await, Refused::Wrong);
    accepted(&pairing, &second).await.commit().await.unwrap();
}

#[tokio::test]
async fn whoever_watches_learns_when_the_window_closes() {
    let room = Room::new();
    let pairing = room.start();
    let mut open = pairing.watch();
    assert_eq!(*open.borrow_and_update(), None);
    let opened = pairing.open(TTL).await.unwrap();
    assert_eq!(*open.borrow_and_update(), Some(opened.expires_at));
    pairing.close().await.unwrap();
    timeout(DEADLINE, open.changed()).await.unwrap().unwrap();
    assert_eq!(*open.borrow(), None);
    assert!(!room.path().exists());
    assert_eq!(refused(&pairing, &opened.code.to_string()).await, Refused::Closed);
}

#[tokio::test(start_paused = true)]
async fn the_task_closes_the_window_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let start = tokio::time::Instant::now();
    let clock: Clock = Arc::new(move || {
        let mut now = at(1000 + start.elapsed().as_secs());
        now.mono_ms += u64::from(start.elapsed().subsec_millis());
        now
    });
    let (pairing, _) = Pairing::load(&dir.path().join("p.json"), clock);
    pairing.open(Duration::from_secs(90)).await.unwrap();
    let mut open = pairing.watch();
    let cancel = CancellationToken::new();
    let task = tokio::spawn({
        let (pairing, cancel) = (pairing.clone(), cancel.clone());
        async move { pairing.run(cancel).await }
    });
    timeout(Duration::from_secs(100), open.wait_for(Option::is_none)).await.expect("closed in time").unwrap();
    assert!((90..92).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    cancel.cancel();
    timeout(DEADLINE, task).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_life_outside_its_bounds_is_refused() {
    let pairing = Room::new().start();
    for ttl in [Duration::ZERO, Duration::from_millis(999), Duration::from_secs(86_401)] {
        assert!(matches!(pairing.open(ttl).await, Err(Error::Ttl)), "{ttl:?}");
    }
}

#[tokio::test]
async fn a_window_that_cannot_be_saved_is_not_opened() {
    let room = Room::new();
    let now = Arc::clone(&room.now);
    let (pairing, _) =
        Pairing::load(&room.dir.path().join("missing/p.json"), Arc::new(move || *now.lock().unwrap()));
    assert!(matches!(pairing.open(TTL).await, Err(Error::Save(_))));
    assert!(!pairing.is_open());
}

#[tokio::test]
async fn a_saved_window_nobody_can_read_is_dropped_and_told() {
    let room = Room::new();
    std::fs::write(room.path(), "not json").unwrap();
    let now = Arc::clone(&room.now);
    let (pairing, problem) = Pairing::load(&room.path(), Arc::new(move || *now.lock().unwrap()));
    assert!(matches!(problem, Some(Error::Restore(_))) && !pairing.is_open());
}

#[test]
fn no_message_and_no_debug_form_holds_a_code() {
    let w = window();
    assert!(!format!("{w:?}").contains("AB102345"));
    assert!(!format!("{:?}", w.status()).contains("AB102345"));
}
