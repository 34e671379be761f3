//! The meter: the only way bytes of a session may move.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::ledger::Lease;
use crate::reason::EndReason;

use super::active::Active;

/// Counts one session's bytes against its peer's day. Cloned into every stream; lock-free.
#[derive(Debug, Clone)]
pub struct Meter(pub(super) Arc<Active>);

impl Meter {
    /// Leases up to `want` bytes; call before each syscall and never move more. An empty lease means: nothing now; see
    /// [`Self::lease_between`].
    pub fn lease(&self, want: u64) -> SessionLease<'_> {
        self.lease_between(1, want)
    }

    /// Leases up to `most` bytes, and none when that would be fewer than `least`. An empty lease means stop when
    /// [`Self::is_stopped`] says so: the session was told to, or the day has no room for `least` more, which then becomes
    /// the reason of its end. Otherwise others have what is left on lease, and may give some of it back.
    pub fn lease_between(&self, least: u64, most: u64) -> SessionLease<'_> {
        let none = SessionLease { active: &self.0, lease: None };
        if self.is_stopped() {
            return none;
        }
        let limit = self.0.bytes_per_day();
        let granted = self.0.account.lease(most, limit);
        if granted.bytes() >= least {
            return SessionLease { lease: Some(granted), ..none };
        }
        drop(granted);
        if most > 0 && self.0.account.is_spent(least, limit) {
            self.0.stop(EndReason::QuotaExceeded);
        }
        none
    }

    /// Nothing moves any more.
    pub fn is_stopped(&self) -> bool {
        self.0.stop_reason().is_some()
    }

    /// Bytes a cut left unread in the kernel: charged to the day, not part of the result.
    pub fn charge_unread(&self, bytes: u64) {
        self.0.unread.fetch_add(bytes, Ordering::AcqRel);
        self.0.account.charge_unread(bytes);
    }

    /// What is left of the peer's day, bytes on lease not included; `None`: unlimited.
    pub fn left(&self) -> Option<u64> {
        let limit = self.0.bytes_per_day();
        (limit < u64::MAX).then(|| self.0.account.left(limit))
    }

    /// Bytes to be set aside for what a peer has been told it may send; none yet.
    pub fn reserve(&self) -> Reserve {
        Reserve { active: Arc::clone(&self.0), bytes: 0 }
    }

    /// What is left is set aside for peers that do not send it: nothing more can move, and that is the reason of the end.
    pub fn give_up(&self) {
        self.0.stop(EndReason::QuotaExceeded);
    }

    /// Payload bytes of this session so far.
    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Acquire)
    }
}

/// Bytes of a day that nobody else can lease, because they may arrive whatever we decide. Dropped, they go back.
#[derive(Debug)]
pub struct Reserve {
    active: Arc<Active>,
    bytes: u64,
}

impl Reserve {
    /// How many.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Sets aside so many, or as many more as there are. Less when the day has become shorter: then nobody has them.
    pub fn set(&mut self, bytes: u64) {
        let account = &self.active.account;
        let beyond = account.beyond(self.active.bytes_per_day());
        let bytes = if beyond > 0 { bytes.min(self.bytes.saturating_sub(beyond)) } else { bytes };
        if bytes > self.bytes {
            let more = account.lease(bytes - self.bytes, self.active.bytes_per_day());
            self.bytes = self.bytes.saturating_add(more.keep());
        } else {
            account.settle(self.bytes - bytes, 0);
            self.bytes = bytes;
        }
    }

    /// So many of them were moved.
    pub fn spend(&mut self, used: u64) {
        self.bytes = self.bytes.saturating_sub(used);
        self.active.bytes.fetch_add(used, Ordering::AcqRel);
        self.active.account.settle(used, used);
    }
}

impl Drop for Reserve {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// Bytes that may move now. Dropped unsettled, it counts as unused.
#[derive(Debug)]
#[must_use = "a lease is settled with what was moved"]
pub struct SessionLease<'a> {
    active: &'a Active,
    lease: Option<Lease<'a>>,
}

impl SessionLease<'_> {
    /// How many. Zero: stop.
    pub fn bytes(&self) -> u64 {
        self.lease.as_ref().map_or(0, Lease::bytes)
    }

    /// Reports what was really moved; the rest goes back.
    pub fn settle(self, used: u64) {
        self.active.bytes.fetch_add(used, Ordering::AcqRel);
        match self.lease {
            Some(lease) => lease.settle(used),
            // Moved without a lease: an engine's bug, but the bytes are real.
            None => self.active.account.charge_unread(used),
        }
    }
}
