//! The table of sessions: one short lock under which a slot is taken, and guards that give it back.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crds::EndpointId;
use jiff::Timestamp;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::access::policy::Policy;
use crate::engine::{Ended, Engine};
use crate::ledger::quota::LastTest;
use crate::ledger::{Clock, Ledger, LedgerTime, Moment};
use crate::link::message::{Mode, TestType};
use crate::reason::EndReason;

use super::active::Active;
use super::admission::{self, Finished, Plan, Running, Shut, View};
use super::denial::Denied;
use super::observer::{Observer, SessionRecord};
use super::requester::Requester;
use super::sessions::Windows;

/// How long a drain waits for the second half of a test whose first half just ended. Appliances ask at once.
const SECOND_HALF_COMES_WITHIN: Duration = Duration::from_secs(2);

/// Shared by the handle, the tasks and the engines' controls.
pub(super) struct Core {
    pub(super) ledger: Ledger,
    pub(super) engines: Vec<Arc<dyn Engine>>,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) clock: Clock,
    pub(super) windows: Windows,
    pub(super) tasks: TaskTracker,
    /// Counts releases and ends, for those who wait for one.
    pub(super) changes: watch::Sender<u64>,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    sessions: HashMap<Uuid, Arc<Active>>,
    drains_until: Option<Instant>,
    second_half_until: Option<Instant>,
}

impl Core {
    pub(super) fn new(
        ledger: Ledger,
        engines: Vec<Arc<dyn Engine>>,
        observer: Arc<dyn Observer>,
        clock: Clock,
        windows: Windows,
    ) -> Self {
        let (tasks, changes) = (TaskTracker::new(), watch::Sender::new(0));
        Self { ledger, engines, observer, clock, windows, tasks, changes, table: Mutex::default() }
    }

    pub(super) fn engine(&self, test_type: TestType) -> Option<&Arc<dyn Engine>> {
        self.engines.iter().find(|engine| engine.test_type() == test_type)
    }

    pub(super) fn moment(&self) -> Moment {
        self.ledger.at((self.clock)())
    }

    /// Decides and takes the slot in one step, so that parallel requests see each other.
    pub(super) fn reserve(
        self: &Arc<Self>,
        requester: &Requester,
        policy: &Arc<Policy>,
        plan: Plan,
    ) -> Result<Place, Denied> {
        let account = self.ledger.account(requester.peer.id);
        account.set_limit(policy.quotas.bytes_per_day);
        let now = (self.clock)();
        let closed_for = (self.windows)(policy, now)
            .map(|edge| Duration::try_from(edge.duration_since(now.wall)).unwrap_or(Duration::ZERO));
        let now = self.ledger.at(now);

        let mut table = self.lock();
        let book = account.snapshot(now);
        let running = table.running(&requester.peer.id, None);
        let view = View {
            policy,
            book: &book,
            running: &running,
            before: requester.history.last(),
            closed_for,
            shut: self.shut(&table),
            now,
        };
        let plan = admission::decide(plan, &view)?;
        let active = Arc::new(Active::new(
            plan,
            requester.peer.clone(),
            requester.connection,
            Arc::clone(&requester.history),
            Arc::clone(&account),
            Arc::clone(policy),
        ));
        active.starts(now.at);
        account.session_started();
        if !plan.second_half {
            account.record_grant(now);
        }
        table.sessions.insert(active.test_id, Arc::clone(&active));
        drop(table);
        let before = requester.history.last();
        if plan.second_half {
            // Once: a third request is a test of its own, even while this one is being prepared.
            requester.history.replace(None);
        }
        Ok(Place { core: Arc::clone(self), active, reserved_at: now.at, before, granted: None })
    }

    fn shut(&self, table: &Table) -> Option<Shut> {
        if let Some(until) = table.drains_until {
            return Some(Shut::Draining { left: until.saturating_duration_since(Instant::now()) });
        }
        if self.observer.refuses() {
            return Some(Shut::AuditFailing);
        }
        self.ledger.health().borrow().ended.then_some(Shut::LedgerFailing)
    }

    /// Gives the slot back: from here on the session does not count for admission.
    pub(super) fn release(&self, active: &Active) {
        if !active.release_once() {
            return;
        }
        let now = self.moment().at;
        active.account.session_over(Some(now));
        let plan = &active.plan;
        active.history.replace(Some(Finished {
            test_type: plan.test_type,
            reverse: plan.reverse,
            ended_at: now,
            second_half: plan.second_half,
        }));
        // The connection holds the other reference: without it nobody can ask for a second half.
        let may_continue = plan.test_type == TestType::Throughput
            && !plan.second_half
            && active.stop_reason().is_none()
            && Arc::strong_count(&active.history) > 1;
        if may_continue {
            self.lock().second_half_until = Some(Instant::now() + SECOND_HALF_COMES_WITHIN);
        }
        self.changed();
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Sessions that have not ended, released ones included.
    pub(super) fn sessions(&self) -> Vec<Arc<Active>> {
        self.lock().sessions.values().cloned().collect()
    }

    pub(super) fn session(&self, test_id: &Uuid) -> Option<Arc<Active>> {
        self.lock().sessions.get(test_id).cloned()
    }

    /// Time until a session other than this one is over.
    pub(super) fn wait_for_slot(&self, but: &Active) -> Option<Duration> {
        let running = self.lock().running(&but.peer.id, Some(&but.test_id));
        admission::wait_for_slot(&running, self.moment().at)
    }

    /// From now on nothing new is granted.
    pub(super) fn start_draining(&self, until: Instant) {
        self.lock().drains_until = Some(until);
    }

    /// When a drain may call itself done if no session is left; `None`: not while one is.
    pub(super) fn drained_at(&self) -> Option<Instant> {
        let table = self.lock();
        table.sessions.is_empty().then(|| table.second_half_until.unwrap_or_else(Instant::now))
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn running(&self, asking: &EndpointId, but: Option<&Uuid>) -> Vec<Running> {
        let holding = self
            .sessions
            .values()
            .filter(|session| !session.is_released() && but.is_none_or(|but| session.test_id != *but));
        holding
            .map(|session| Running { own: session.peer.id == *asking, ends_at: session.ends_at() })
            .collect()
    }
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("sessions", &self.lock().sessions.len()).finish_non_exhaustive()
    }
}

/// A slot that is taken. Dropped before the grant, everything is as if nobody had asked; dropped after it, the end
/// is reported. There is no third way.
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
    pub(super) fn finish(mut self, reason: EndReason, duration: Option<Duration>) {
        self.end(reason, duration);
    }

    fn end(&mut self, reason: EndReason, duration: Option<Duration>) {
        let Some(Grant { mut record, granted_at, ended }) = self.granted.take() else { return };
        let active = &self.active;
        self.core.release(active);
        let duration = duration.unwrap_or_else(|| granted_at.elapsed());
        record.bytes = active.bytes.load(Ordering::Acquire);
        record.unread_bytes = active.unread.load(Ordering::Acquire);
        record.ended = Some(Ended { reason, duration });
        active.account.record_test(LastTest {
            test_id: record.test_id,
            test_type: record.plan.test_type,
            reason,
            bytes: record.bytes,
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            at: (self.core.clock)().wall,
        });
        self.core.lock().sessions.remove(&active.test_id);
        self.core.changed();
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
            self.core.lock().sessions.remove(&self.active.test_id);
            self.core.changed();
        }
    }
}
