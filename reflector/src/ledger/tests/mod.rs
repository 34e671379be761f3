//! The ledger as its users see it: leases, flushes, crashes, broken files, clocks that jump.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crds::EndpointId;
use jiff::Timestamp;
use proptest::prelude::*;
use uuid::Uuid;

use super::store::{Batch, Contents, RedbStore, Store};
use super::time::{Anchor, DAY};
use super::*;
use crate::clock::Now;

mod races;

const NOON: i64 = 86_400_000 * 20_000 + 43_200_000;
const PATIENCE: Duration = Duration::from_secs(10);

/// A clock the test moves.
#[derive(Clone)]
struct Hand(Arc<Mutex<Now>>);

impl Hand {
    fn at(mono_ms: u64, wall_ms: i64) -> Self {
        Self(Arc::new(Mutex::new(now(mono_ms, wall_ms))))
    }

    fn clock(&self) -> Clock {
        let hand = self.clone();
        Arc::new(move || *hand.0.lock().unwrap())
    }

    fn pass(&self, time: Duration) {
        let mut now = self.0.lock().unwrap();
        now.mono_ms += u64::try_from(time.as_millis()).unwrap();
        now.wall = now.wall.checked_add(time).unwrap();
    }
}

fn now(mono_ms: u64, wall_ms: i64) -> Now {
    Now { mono_ms, wall: Timestamp::from_millisecond(wall_ms).unwrap() }
}

fn peer(n: u8) -> EndpointId {
    EndpointId::from_public_key([n; 32])
}

fn boot(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn open(path: &Path, hand: &Hand) -> Ledger {
    Ledger::open_in_boot(path, hand.clock(), Some(boot(1))).unwrap()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// Waits for a condition that another thread brings about.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    tokio::time::timeout(PATIENCE, async {
        while !condition() {
            tick.tick().await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("in vain: {what}"));
}

/// A store that counts, remembers and fails on demand.
#[derive(Clone, Default)]
struct Paper {
    writes: Arc<AtomicU32>,
    failing: Arc<AtomicU32>,
    rows: Arc<Mutex<Vec<(EndpointId, quota::Book)>>>,
}

impl Store for Paper {
    fn write(&mut self, batch: &Batch) -> Result<(), Error> {
        if self.failing.load(Ordering::SeqCst) > 0 {
            return Err(Error::Write { path: "paper".into(), detail: "no space left".to_owned() });
        }
        self.rows.lock().unwrap().extend(batch.changed.iter().cloned());
        self.writes.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// A ledger whose disk is full.
pub(crate) fn ledger_on_a_full_disk(clock: Clock) -> Ledger {
    let paper = Paper { failing: Arc::new(AtomicU32::new(1)), ..Paper::default() };
    Ledger::start(Path::new("paper"), clock, None, paper, Contents::default()).unwrap()
}

fn on(paper: &Paper, hand: &Hand) -> Ledger {
    Ledger::start(Path::new("paper"), hand.clock(), None, paper.clone(), Contents::default()).unwrap()
}

/// X1
#[test]
fn a_lease_never_exceeds_what_is_left_and_returns_what_is_not_used() {
    let ledger = on(&Paper::default(), &Hand::at(0, NOON));
    let account = ledger.account(peer(1));
    account.lease(600, 1000).settle(600);
    let second = account.lease(600, 1000);
    assert_eq!(second.bytes(), 400);
    assert_eq!(account.lease(1, 1000).bytes(), 0);
    second.settle(150);
    drop(account.lease(100, 1000));
    assert_eq!(account.lease(600, 1000).bytes(), 250);
    assert_eq!(account.usage(ledger.moment()).bytes_today, 750);
}

/// X1: what others hold may come back; only what was moved is gone.
#[test]
fn a_day_is_spent_by_what_moved_and_not_by_what_is_on_lease() {
    let ledger = on(&Paper::default(), &Hand::at(0, NOON));
    let account = ledger.account(peer(1));
    let held = account.lease(1000, 1000);
    assert_eq!(account.lease(1, 1000).bytes(), 0);
    assert!(!account.is_spent(1, 1000));
    held.settle(990);
    assert!(!account.is_spent(10, 1000) && account.is_spent(11, 1000));
    // Booked or not.
    assert_eq!(account.usage(ledger.moment()).bytes_today, 990);
    assert!(!account.is_spent(10, 1000) && account.is_spent(11, 1000));
}

#[test]
fn a_limit_lowered_during_a_test_cuts_the_next_lease() {
    let ledger = on(&Paper::default(), &Hand::at(0, NOON));
    let account = ledger.account(peer(1));
    account.lease(5000, u64::MAX).settle(5000);
    assert_eq!(account.lease(1, 4000).bytes(), 0);
    assert_eq!(account.lease(7, u64::MAX).bytes(), 7);
}

/// Whoever may ask for `/livez` must not choose how often the disk is written.
#[tokio::test]
async fn asking_whether_the_writer_lives_writes_nothing() {
    let paper = Paper::default();
    let ledger = on(&paper, &Hand::at(0, NOON));
    for _ in 0..100 {
        ledger.account(peer(1)).lease(5, u64::MAX).settle(5);
        assert!(ledger.answers().await);
    }
    assert!(paper.writes.load(Ordering::SeqCst) < 50, "only the flushes that were due anyway");
    until("the flush that was due comes all the same", || {
        let _asked = futures_util::FutureExt::now_or_never(ledger.answers());
        paper.writes.load(Ordering::SeqCst) > 0
    })
    .await;
    ledger.vanish();
    assert!(ledger.answers().await);
}

/// G6: nothing else may have looked at the account since midnight.
#[test]
fn what_is_left_of_a_new_day_is_all_of_it() {
    let hand = Hand::at(0, NOON);
    let ledger = on(&Paper::default(), &hand);
    ledger.account(peer(1)).lease(5000, 5000).settle(5000);
    let left = |limit| ledger.usage(&peer(1)).unwrap().remaining(limit);
    assert_eq!((left(Some(5000)), left(Some(6000)), left(None)), (Some(0), Some(1000), None));
    hand.pass(DAY);
    assert_eq!(left(Some(5000)), Some(5000));
}

#[test]
fn unread_bytes_are_charged_even_beyond_the_limit() {
    let ledger = on(&Paper::default(), &Hand::at(0, NOON));
    let account = ledger.account(peer(1));
    account.lease(100, 100).settle(100);
    account.charge_unread(50);
    let usage = account.usage(ledger.moment());
    assert_eq!((usage.bytes_today, usage.remaining(Some(100))), (150, Some(0)));
}

/// G7
#[tokio::test]
async fn a_committed_grant_survives_a_kill_and_bytes_lose_at_most_one_flush() {
    let (folder, hand) = (folder(), Hand::at(0, NOON));
    let path = folder.path().join("ledger.redb");
    let ledger = open(&path, &hand);
    let account = ledger.account(peer(1));
    account.record_grant(ledger.moment());
    account.lease(10_000, u64::MAX).settle(10_000);
    ledger.commit().await.unwrap();
    account.lease(77, u64::MAX).settle(77);
    ledger.vanish();

    let again = open(&path, &hand);
    let usage = again.usage(&peer(1)).unwrap();
    assert_eq!((usage.tests_today, usage.bytes_today), (1, 10_000));
    assert_eq!(again.account(peer(1)).snapshot(again.moment()).grants.len(), 1);
}

/// G7: nobody asks for the write, the flush interval brings it.
#[tokio::test]
async fn moved_bytes_reach_the_store_by_themselves() {
    let paper = Paper::default();
    let ledger = on(&paper, &Hand::at(0, NOON));
    ledger.account(peer(1)).lease(4321, u64::MAX).settle(4321);
    until("the flush", || {
        paper.rows.lock().unwrap().last().is_some_and(|(_, book)| book.bytes_today() == 4321)
    })
    .await;
}

#[tokio::test]
async fn an_idle_ledger_writes_nothing() {
    let paper = Paper::default();
    let ledger = on(&paper, &Hand::at(0, NOON));
    ledger.seen(peer(1));
    ledger.commit().await.unwrap();
    let before = paper.writes.load(Ordering::SeqCst);
    ledger.commit().await.unwrap();
    let _ = (ledger.usage(&peer(1)), ledger.account(peer(2)).lease(10, u64::MAX));
    ledger.commit().await.unwrap();
    assert_eq!(paper.writes.load(Ordering::SeqCst), before);
}

#[tokio::test]
async fn an_unwritable_store_is_visible_and_forgets_nothing() {
    let paper = Paper::default();
    let ledger = on(&paper, &Hand::at(0, NOON));
    paper.failing.store(1, Ordering::SeqCst);
    ledger.account(peer(1)).lease(99, u64::MAX).settle(99);
    let error = ledger.commit().await.unwrap_err();
    assert!(error.to_string().contains("no space left"), "{error}");
    assert!(ledger.health().borrow().failing.is_some());
    paper.failing.store(0, Ordering::SeqCst);
    ledger.commit().await.unwrap();
    assert_eq!(*ledger.health().borrow(), Health::default());
    assert_eq!(paper.rows.lock().unwrap().last().unwrap().1.bytes_today(), 99);
}

#[tokio::test]
async fn a_closed_ledger_says_so_and_its_file_can_be_opened_at_once() {
    let (folder, hand) = (folder(), Hand::at(0, NOON));
    let path = folder.path().join("ledger.redb");
    let ledger = open(&path, &hand);
    ledger.seen(peer(1));
    ledger.close().await.unwrap();
    ledger.ended().await;
    assert!(matches!(ledger.commit().await, Err(Error::Stopped)));
    assert!(open(&path, &hand).usage(&peer(1)).unwrap().last_seen.is_some());
}

#[test]
fn the_last_handle_writes_what_is_left() {
    let (folder, hand) = (folder(), Hand::at(0, NOON));
    let path = folder.path().join("ledger.redb");
    let ledger = open(&path, &hand);
    ledger.account(peer(1)).lease(5, u64::MAX).settle(5);
    drop(ledger);
    assert_eq!(open(&path, &hand).usage(&peer(1)).unwrap().bytes_today, 5);
}

/// G6, G7
#[test]
fn a_restart_with_the_clock_set_back_or_forth_refills_nothing() {
    let folder = folder();
    let path = folder.path().join("ledger.redb");
    let ledger = open(&path, &Hand::at(1_000, NOON));
    ledger.account(peer(1)).lease(5, u64::MAX).settle(5);
    ledger.account(peer(1)).record_grant(ledger.moment());
    drop(ledger);
    let day = i64::try_from(DAY.as_millis()).unwrap();
    // The same boot: the wall clock is not asked at all. Another boot: it is believed forwards, an hour here.
    for (mono, wall, boot) in
        [(2_000, NOON + 10 * day, boot(1)), (2_000, NOON - 10 * day, boot(1)), (5, NOON - 10 * day, boot(2))]
    {
        let ledger = Ledger::open_in_boot(&path, Hand::at(mono, wall).clock(), Some(boot)).unwrap();
        assert_eq!(ledger.usage(&peer(1)).unwrap().bytes_today, 5);
        assert_eq!(ledger.account(peer(1)).snapshot(ledger.moment()).grants.len(), 1);
    }
}

#[test]
fn the_file_is_private_from_its_first_instant_and_made_so_again() {
    let (folder, hand) = (folder(), Hand::at(0, NOON));
    let path = folder.path().join("ledger.redb");
    drop(open(&path, &hand));
    let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    drop(open(&path, &hand));
    assert_eq!(mode(), 0o600);
}

#[test]
fn two_processes_never_share_a_ledger() {
    let (folder, hand) = (folder(), Hand::at(0, NOON));
    let path = folder.path().join("ledger.redb");
    let _first = open(&path, &hand);
    let second = Ledger::open_in_boot(&path, hand.clock(), Some(boot(1)));
    assert!(matches!(second, Err(Error::InUse { .. })), "{second:?}");
}

#[test]
fn a_file_that_is_not_a_healthy_ledger_is_never_taken_for_an_empty_one() {
    let (folder, hand) = (folder(), Hand::at(0, NOON));
    let path = folder.path().join("ledger.redb");
    let ledger = open(&path, &hand);
    for n in 0..50 {
        ledger.account(peer(n)).lease(1_234_567_890, u64::MAX).settle(1_234_567_890);
    }
    drop(ledger);
    let good = std::fs::read(&path).unwrap();
    let mut changed = good.clone();
    // Every copy, old pages too: still well-formed rows; only the checksum can tell.
    for spot in (0..good.len() - 10).filter(|at| good[*at..].starts_with(b"1234567890")) {
        changed[spot + 1] = b'0';
    }
    let cases: [(&str, Vec<u8>); 5] = [
        ("empty", Vec::new()),
        ("text", b"hello, this is no ledger".to_vec()),
        ("zeros", vec![0; good.len()]),
        ("cut", good[..good.len() / 2].to_vec()),
        ("one digit", changed),
    ];
    for (what, bytes) in cases {
        std::fs::write(&path, bytes).unwrap();
        let outcome = Ledger::open_in_boot(&path, hand.clock(), Some(boot(1)));
        let error = outcome.err().unwrap_or_else(|| panic!("{what}: opened")).to_string();
        assert!(error.contains("ledger.redb") && error.contains("move it away"), "{what}: {error}");
    }
    std::fs::write(&path, &good).unwrap();
    assert_eq!(open(&path, &hand).usage(&peer(9)).unwrap().bytes_today, 1_234_567_890);
}

#[test]
fn after_a_failed_write_the_file_is_opened_again_and_never_made_anew() {
    let folder = folder();
    let path = folder.path().join("ledger.redb");
    let anchor = Anchor { at: LedgerTime::from_ms(1), wall_ms: 1, mono_ms: 1, boot: None };
    let batch = Batch { anchor, changed: vec![(peer(1), quota::Book::default())], forgotten: Vec::new() };
    drop(RedbStore::open(&path, anchor).unwrap());
    let mut store = RedbStore::after_failure(&path);
    store.write(&batch).unwrap();
    drop(store);
    assert_eq!(RedbStore::open(&path, anchor).unwrap().1.books.len(), 1);
    std::fs::remove_file(&path).unwrap();
    assert!(RedbStore::after_failure(&path).write(&batch).is_err());
    assert!(!path.exists());
}

#[tokio::test]
async fn peers_long_unseen_are_forgotten_and_others_are_not() {
    let (folder, hand) = (folder(), Hand::at(0, NOON));
    let path = folder.path().join("ledger.redb");
    let ledger = open(&path, &hand);
    let held = ledger.account(peer(3));
    for n in 1..=3 {
        ledger.seen(peer(n));
    }
    ledger.commit().await.unwrap();
    hand.pass(quota::FORGET_AFTER + DAY);
    ledger.seen(peer(2));
    ledger.commit().await.unwrap();
    assert_eq!(ledger.usage(&peer(1)), None);
    assert!(ledger.usage(&peer(2)).is_some());
    held.lease(8, u64::MAX).settle(8);
    drop(ledger);
    let ledger = open(&path, &hand);
    assert_eq!((ledger.usage(&peer(1)), ledger.usage(&peer(3)).unwrap().bytes_today), (None, 8));
}

#[derive(Debug, Clone)]
enum Step {
    Pass(u32),
    SetWall(i64),
    Move(u64, u64),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..40_000_000_u32).prop_map(Step::Pass),
        (0..3 * NOON).prop_map(Step::SetWall),
        // Just before midnight, where a day is shortest.
        (0..400_i64, 0..5_000_i64).prop_map(|(day, left)| Step::SetWall((day + 19_900) * 86_400_000 - left)),
        (1..900_u64, 0..900_u64).prop_map(|(want, used)| Step::Move(want, used)),
        Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// G6: whatever the wall clock shows, a budget lasts as long as it said when it was opened, holds its limit, and
    /// no 23 hours of real time hold more than two of them.
    #[test]
    fn no_order_of_events_refills_a_quota(steps in prop::collection::vec(step(), 1..80)) {
        const LIMIT: u64 = 1000;
        let waker = || {
            let (queue, _) = std::sync::mpsc::sync_channel(1);
            Arc::new(super::writer::Waker { queue, awake: std::sync::atomic::AtomicBool::new(false) })
        };
        let (mut mono, mut wall) = (1_000_u64, NOON);
        let mut clock = time::LedgerClock::resume(None, now(mono, wall), Some(boot(1)));
        let mut account = Account::new(peer(1), quota::Book::default(), waker());
        // Our own account of it, in real (monotonic) time.
        let mut bucket: Option<(u64, u64)> = None;
        let mut moved: Vec<(u64, u64)> = Vec::new();
        for step in steps {
            match step {
                Step::Pass(ms) => {
                    mono += u64::from(ms);
                    wall += i64::from(ms);
                }
                Step::SetWall(to) => wall = to,
                Step::Restart => {
                    let (at, reading) = (clock.at(now(mono, wall)), now(mono, wall));
                    let book = account.snapshot(at);
                    let anchor = clock.anchor(reading);
                    clock = time::LedgerClock::resume(Some(&anchor), reading, Some(boot(1)));
                    account = Account::new(peer(1), book, waker());
                }
                Step::Move(want, used) => {
                    let at = clock.at(now(mono, wall));
                    let before = account.usage(at).bytes_today;
                    if let Some((ends, bytes)) = bucket {
                        if before < bytes {
                            prop_assert!(mono >= ends, "cleared {} ms early", ends - mono);
                            bucket = None;
                        } else {
                            prop_assert_eq!(before, bytes);
                        }
                    }
                    let lease = account.lease(want, LIMIT);
                    let used = used.min(lease.bytes());
                    lease.settle(used);
                    let after = account.usage(at);
                    prop_assert!(after.bytes_today <= LIMIT);
                    if used > 0 {
                        moved.push((mono, used));
                        let ends = mono + u64::try_from(at.until_midnight().as_millis()).unwrap();
                        bucket = Some(bucket.map_or((ends, used), |(ends, bytes)| (ends, bytes + used)));
                    }
                }
            }
        }
        for (start, _) in &moved {
            let window = moved.iter().filter(|(at, _)| at >= start && at - start < 23 * 3_600_000);
            prop_assert!(window.map(|(_, bytes)| bytes).sum::<u64>() <= 2 * LIMIT);
        }
    }
}
