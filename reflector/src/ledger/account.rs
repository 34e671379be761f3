//! One peer's account: the counters every byte of its sessions passes through.
//!
//! Engines lease before each syscall and settle after it, without a lock. The rest (grants, ends, denials) is rare
//! and sits in a `Book` behind a mutex. Whatever changes wakes the writer, once per flush.
//!
//! Why this needs no lock: `taken` alone decides what is granted, and changes by read-modify-write only. All its changes
//! are in one order, so two leases never see the same rest, whatever the ordering of other memory. A byte goes to
//! `unbooked` before the flag is looked at, and the writer lowers the flag before it empties `unbooked`. Both change
//! `unbooked` by read-modify-write with `AcqRel`: either the writer comes second and books the byte, or the stream does,
//! sees what the writer did before, finds the flag lowered, and raises it. With less than that both could look too
//! early, and the byte would wait for the next one to move.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crds::EndpointId;

use super::quota::{Book, LastTest};
use super::time::{LedgerTime, Moment};
use super::writer::Waker;

/// What a peer has used, at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Usage {
    /// Payload bytes since 00:00 UTC.
    pub bytes_today: u64,
    /// Grants since 00:00 UTC.
    pub tests_today: u32,
    /// Denied requests since 00:00 UTC.
    pub denied_today: u32,
    /// Time to the moment these go back to zero; absent when they are zero.
    pub resets_in: Option<Duration>,
    /// Last time the peer was connected.
    pub last_seen: Option<LedgerTime>,
    /// The last session.
    pub last_test: Option<LastTest>,
}

impl Usage {
    /// What is left of a day with this limit. `None`: unlimited.
    pub fn remaining(&self, bytes_per_day: Option<u64>) -> Option<u64> {
        bytes_per_day.map(|limit| limit.saturating_sub(self.bytes_today))
    }
}

/// One peer's account. Shared by all its sessions; lives as long as the ledger remembers the peer.
#[derive(Debug)]
pub struct Account {
    id: EndpointId,
    /// Bytes moved today and bytes on lease.
    taken: AtomicU64,
    /// Bytes moved since the book was last brought up to date. Part of `taken`.
    unbooked: AtomicU64,
    dirty: AtomicBool,
    running: AtomicU32,
    book: Mutex<Book>,
    waker: Arc<Waker>,
}

impl Account {
    pub(super) fn new(id: EndpointId, book: Book, waker: Arc<Waker>) -> Self {
        Self {
            id,
            taken: AtomicU64::new(book.bytes_today()),
            unbooked: AtomicU64::new(0),
            dirty: AtomicBool::new(false),
            running: AtomicU32::new(0),
            book: Mutex::new(book),
            waker,
        }
    }

    /// Whose it is.
    pub fn id(&self) -> &EndpointId {
        &self.id
    }

    /// Leases up to `want` bytes of what is left of a day with this limit; `u64::MAX`: unlimited. An empty lease means:
    /// cut if [`Self::is_spent`]. What the lease does not settle goes back when it is dropped.
    pub fn lease(&self, want: u64, limit: u64) -> Lease<'_> {
        let mut granted = 0;
        // An Err is a lease of nothing, which `granted` already says.
        let _ = self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, |taken| {
            granted = limit.saturating_sub(taken).min(want);
            (granted > 0).then(|| taken.saturating_add(granted))
        });
        Lease { account: self, granted }
    }

    /// Whether a day with this limit has no room for `least` more bytes, even if everything on lease came back. Takes the
    /// book's lock: for whoever got no lease.
    pub fn is_spent(&self, least: u64, limit: u64) -> bool {
        let book = self.lock();
        // Under the lock nobody brings the book up to date, which would move bytes from one number to the other.
        let moved = book.bytes_today().saturating_add(self.unbooked.load(Ordering::Acquire));
        drop(book);
        limit.saturating_sub(moved) < least
    }

    /// What is left of a day with this limit, bytes on lease not included.
    pub fn left(&self, limit: u64) -> u64 {
        limit.saturating_sub(self.taken.load(Ordering::Acquire))
    }

    /// What is moved and on lease beyond a day with this limit, which may have been larger before.
    pub(crate) fn beyond(&self, limit: u64) -> u64 {
        self.taken.load(Ordering::Acquire).saturating_sub(limit)
    }

    /// Bytes that reached us without a lease: what a cut left unread in the kernel.
    pub fn charge_unread(&self, bytes: u64) {
        self.settle(0, bytes);
    }

    /// Usage now.
    pub fn usage(&self, now: Moment) -> Usage {
        let book = self.book(now);
        Usage {
            bytes_today: book.bytes_today(),
            tests_today: book.day.map_or(0, |day| day.tests),
            denied_today: book.day.map_or(0, |day| day.denied),
            resets_in: book.day_wait(now.at),
            last_seen: book.last_seen,
            last_test: book.last_test.clone(),
        }
    }

    /// The book, brought up to date, for admission.
    pub(crate) fn snapshot(&self, now: Moment) -> Book {
        self.book(now).clone()
    }

    /// Counts a grant. Durable once [`super::Ledger::commit`] has returned.
    pub(crate) fn record_grant(&self, now: Moment) {
        self.book(now).grant(now);
        self.touch();
    }

    /// Takes back a grant that was never sent.
    pub(crate) fn take_back_grant(&self, stamp: LedgerTime) {
        self.lock().ungrant(stamp);
        self.touch();
    }

    /// A session is about to run: until it ends, every flush counts as its end, in case we are killed.
    pub(crate) fn session_started(&self) {
        self.running.fetch_add(1, Ordering::AcqRel);
    }

    /// A session no longer counts for admission; the cooldown runs from here. `None`: it never ran.
    pub(crate) fn session_over(&self, ended_at: Option<LedgerTime>) {
        self.running.fetch_sub(1, Ordering::AcqRel);
        if let Some(at) = ended_at {
            let mut book = self.lock();
            book.last_end = book.last_end.max(Some(at));
            drop(book);
            self.touch();
        }
    }

    /// Remembers the last session for status.
    pub(crate) fn record_test(&self, test: LastTest) {
        self.lock().last_test = Some(test);
        self.touch();
    }

    /// Counts a denial.
    pub(crate) fn record_denial(&self, now: Moment) {
        self.book(now).deny(now);
        self.touch();
    }

    /// The peer is connected.
    pub(crate) fn record_seen(&self, now: Moment) {
        self.lock().last_seen = Some(now.at);
        self.touch();
    }

    /// The row to write, if anything changed since it was last taken.
    pub(super) fn take_changes(&self, now: Moment) -> Option<Book> {
        if !self.dirty.swap(false, Ordering::AcqRel) {
            return None;
        }
        let mut row = self.book(now).clone();
        if self.running.load(Ordering::Acquire) > 0 {
            row.last_end = Some(now.at);
        }
        Some(row)
    }

    /// A write failed: the row is still to be written.
    pub(super) fn put_back_changes(&self) {
        self.dirty.store(true, Ordering::Release);
    }

    /// True when nobody would miss this account.
    pub(super) fn is_forgettable(&self, now: Moment) -> bool {
        self.running.load(Ordering::Acquire) == 0
            && !self.dirty.load(Ordering::Acquire)
            && self.book(now).is_forgettable(now.at)
    }

    /// So much of what was leased was moved; the rest of it goes back. For a [`Lease`] that was [kept](Lease::keep).
    pub(crate) fn settle(&self, granted: u64, used: u64) {
        if used > 0 {
            self.unbooked.fetch_add(used, Ordering::AcqRel);
        }
        match used.cmp(&granted) {
            std::cmp::Ordering::Less => {
                self.taken.fetch_sub(granted.saturating_sub(used), Ordering::AcqRel);
            }
            std::cmp::Ordering::Greater => {
                let more = used.saturating_sub(granted);
                let _ = self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, |taken| {
                    Some(taken.saturating_add(more))
                });
            }
            std::cmp::Ordering::Equal => {}
        }
        if used > 0 {
            self.touch();
        }
    }

    fn touch(&self) {
        // Load first: on the hot path the flag is nearly always up, and a plain read keeps the cache line shared.
        if !self.dirty.load(Ordering::Acquire) && !self.dirty.swap(true, Ordering::AcqRel) {
            self.waker.wake();
        }
    }

    /// The book with time and moved bytes applied. A day that is over is cleared before bytes are booked, so bytes
    /// moved around midnight count for the new day: it errs towards "used".
    fn book(&self, now: Moment) -> MutexGuard<'_, Book> {
        let mut book = self.lock();
        let cleared = book.roll(now.at);
        if cleared > 0 {
            let _ = self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, |taken| {
                Some(taken.saturating_sub(cleared))
            });
        }
        let moved = self.unbooked.swap(0, Ordering::AcqRel);
        if moved > 0 {
            book.charge(now, moved);
        }
        book
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        // Nothing that holds this lock can panic half way through a change.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes an engine may move now. Dropped unsettled, it counts as unused: nothing was moved.
#[derive(Debug)]
#[must_use = "a lease is settled with what was moved"]
pub struct Lease<'a> {
    account: &'a Account,
    granted: u64,
}

impl Lease<'_> {
    /// How many. Zero: the budget is used up, stop.
    pub fn bytes(&self) -> u64 {
        self.granted
    }

    /// For longer than a call: whoever keeps it answers for it with [`Account::settle`].
    pub(crate) fn keep(mut self) -> u64 {
        std::mem::take(&mut self.granted)
    }

    /// Reports what was really moved; the rest goes back.
    pub fn settle(mut self, used: u64) {
        let granted = std::mem::take(&mut self.granted);
        self.account.settle(granted, used);
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if self.granted > 0 {
            self.account.settle(self.granted, 0);
        }
    }
}
