//! Threads that race for one account, as the streams of a test do while the writer flushes.

use std::sync::Barrier;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::sync_channel;

use super::super::writer::Waker;
use super::*;

const THREADS: u64 = 4;
/// So many that an update which is not atomic loses some, even where a core takes turns.
const ROUNDS: u64 = 200_000;
/// Of a stream with a writer that takes rows all the time.
const MEETINGS: u64 = 500;
/// Moved one by one; the last of them is what may be missed. So many that the writer is awake by then.
const BYTES: u64 = 2_000;

/// An account nobody flushes but the test.
fn alone() -> Account {
    // Nobody reads it: a wake up that finds no room is lost, as it may be.
    let (queue, _) = sync_channel(1);
    Account::new(peer(1), quota::Book::default(), Arc::new(Waker { queue, awake: AtomicBool::new(false) }))
}

fn noon() -> Moment {
    Moment { at: LedgerTime::from_ms(0), wall_ms: NOON }
}

/// X1: sixteen threads on one budget.
#[test]
fn streams_that_race_for_the_last_bytes_stay_within_the_limit() {
    let ledger = on(&Paper::default(), &Hand::at(0, NOON));
    let account = ledger.account(peer(1));
    let limit = 1_000_003;
    let moved = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for stream in 0..16_u64 {
            let (account, moved) = (&account, &moved);
            scope.spawn(move || {
                loop {
                    let lease = account.lease(997 + stream, limit);
                    if lease.bytes() == 0 {
                        // Others may still give something back.
                        if moved.load(Ordering::SeqCst) >= limit {
                            break;
                        }
                        continue;
                    }
                    let used = lease.bytes().div_ceil(2);
                    moved.fetch_add(used, Ordering::SeqCst);
                    lease.settle(used);
                }
            });
        }
    });
    assert_eq!(account.usage(ledger.moment()).bytes_today, limit);
}

/// X1: what is leased, settled, given back and charged without a lease adds up to the byte.
#[test]
fn no_update_of_an_account_is_lost_to_another_thread() {
    let account = alone();
    let together = Barrier::new(usize::try_from(THREADS).unwrap());
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (account, together) = (&account, &together);
            scope.spawn(move || {
                together.wait();
                for round in 0..ROUNDS {
                    match (thread + round) % 4 {
                        0 => account.lease(3, u64::MAX).settle(3),
                        1 => account.lease(9, u64::MAX).settle(3),
                        // More than was leased: an engine's bug, but the bytes are real.
                        2 => account.lease(1, u64::MAX).settle(3),
                        _ => account.charge_unread(3),
                    }
                }
            });
        }
    });
    let moved = 3 * THREADS * ROUNDS;
    assert_eq!(u64::MAX - account.left(u64::MAX), moved, "neither moved nor leased");
    assert_eq!(account.usage(noon()).bytes_today, moved);
}

/// X1: a byte that moves while the writer takes rows is in one of them, or the flag tells of it.
#[test]
fn a_byte_that_a_flush_missed_is_in_the_next() {
    let account = alone();
    let together = Barrier::new(2);
    let (settled, mut missed) = (AtomicU64::new(0), Vec::new());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..MEETINGS {
                together.wait();
                (0..BYTES).for_each(|_| account.lease(1, u64::MAX).settle(1));
                settled.fetch_add(1, Ordering::AcqRel);
                together.wait();
            }
        });
        let mut written = 0;
        for meeting in 1..=MEETINGS {
            together.wait();
            let mut row = None;
            while settled.load(Ordering::Acquire) < meeting {
                row = account.take_changes(noon()).or(row);
                std::thread::yield_now();
            }
            together.wait();
            row = account.take_changes(noon()).or(row);
            written = row.map_or(written, |row| row.bytes_today());
            if written != meeting * BYTES {
                missed.push(meeting);
            }
        }
    });
    assert!(missed.is_empty(), "nobody would have written the rest of {missed:?}");
}
