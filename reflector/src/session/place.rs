//! The guard of a slot. Dropped before the grant, everything is as if nobody had asked; dropped after it, the end is
//! reported. There is no third way.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::engine::Ended;
use crate::ledger::LedgerTime;
use crate::ledger::quota::LastTest;
use crate::link::message::Mode;
use crate::reason::EndReason;

use super::active::Active;
use super::admission::Finished;
use super::limited;
use super::observer::SessionRecord;
use super::table::Core;

/// A slot that is taken.
pub(super) struct Place {
    core: Arc<Core>,
    pub(super) active: Arc<Active>,
    reserved_at: LedgerTime,
    /// The connection's history before the reservation.
    before: Option<Finished>,
    granted: Option<Grant>,
}

struct Grant {
    record: SessionRecord,
    granted_at: Instant,
    ended: oneshot::Sender<SessionRecord>,
}

impl Place {
    /// For a session that has just been entered into the table.
    pub(super) fn new(
        core: Arc<Core>,
        active: Arc<Active>,
        reserved_at: LedgerTime,
        before: Option<Finished>,
    ) -> Self {
        Self { core, active, reserved_at, before, granted: None }
    }

    /// The grant is on disk and is about to be sent.
    pub(super) fn granted(
        &mut self,
        granted_at: Timestamp,
        mode: Mode,
        port: u16,
    ) -> oneshot::Receiver<SessionRecord> {
        let active = &self.active;
        active.starts(self.core.moment().at);
        let _ = active.deadline();
        let record = SessionRecord {
            test_id: active.test_id,
            peer: active.peer.id,
            peer_name: Arc::clone(&active.policy().peer),
            source: active.peer.source,
            connection: active.connection,
            plan: active.plan,
            mode,
            port,
            granted_at,
            bytes: 0,
            unread_bytes: 0,
            ended: None,
        };
        self.core.observer.granted(&record);
        let (ended, ending) = oneshot::channel();
        self.granted = Some(Grant { record, granted_at: Instant::now(), ended });
        ending
    }

    /// The engine is gone, with its port. `None`: it panicked or did not stop, so the time is ours.
    pub(super) fn finish(mut self, reason: EndReason, ended: Option<Ended>) {
        self.end(reason, ended);
    }

    fn end(&mut self, reason: EndReason, engine: Option<Ended>) {
        let Some(Grant { mut record, granted_at, ended }) = self.granted.take() else { return };
        let active = &self.active;
        self.core.release(active);
        // A thread the engine left behind leases nothing more.
        active.stop(reason);
        let engine = engine.unwrap_or_else(|| Ended::plain(reason, granted_at.elapsed()));
        record.bytes = active.bytes.load(Ordering::Acquire);
        record.unread_bytes = active.unread.load(Ordering::Acquire);
        let duration = engine.duration;
        record.ended = Some(Ended { reason, ..engine });
        limited::note(&mut record, active.policy().quotas.max_rate);
        active.account.record_test(LastTest {
            test_id: record.test_id,
            test_type: record.plan.test_type,
            reason,
            bytes: record.bytes,
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            at: (self.core.clock)().wall,
        });
        self.core.remove(&active.test_id);
        self.core.observer.ended(&record);
        // The connection may be gone; then nobody waits for the result.
        let _ = ended.send(record);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.granted.is_some() {
            // Only when the task was torn down: a panic, or the runtime going away.
            let reason = self.active.stop_reason().unwrap_or(EndReason::Internal);
            self.end(reason, None);
            return;
        }
        if self.active.release_once() {
            let account = &self.active.account;
            if self.active.plan.second_half {
                self.active.history.replace(self.before);
            } else {
                account.take_back_grant(self.reserved_at);
            }
            account.session_over(None);
            self.core.remove(&self.active.test_id);
        }
    }
}
