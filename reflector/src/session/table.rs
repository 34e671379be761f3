//! The table of sessions: one short lock under which a request is decided and its slot taken.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crds::EndpointId;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::access::policy::Policy;
use crate::engine::{Engine, Placement};
use crate::ledger::{Clock, Ledger, Moment};
use crate::link::message::TestType;

use super::active::Active;
use super::admission::{self, Finished, Plan, Running, Shut, View};
use super::denial::Denied;
use super::observer::Observer;
use super::place::Place;
use super::placement::Routes;
use super::requester::Requester;
use super::sessions::{Parts, Windows};
use super::ticket::Ticket;

/// How long a drain waits for the second half of a test whose first half just ended. Appliances ask at once.
const SECOND_HALF_COMES_WITHIN: Duration = Duration::from_secs(2);

/// Shared by the handle, the tasks and the engines' controls.
pub(super) struct Core {
    pub(super) ledger: Ledger,
    pub(super) engines: Vec<Arc<dyn Engine>>,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) clock: Clock,
    pub(super) windows: Windows,
    pub(super) routes: Routes,
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
    rests_until: Option<Instant>,
}

impl Core {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { ledger, engines, observer, clock, windows, routes } = parts;
        let (tasks, changes) = (TaskTracker::new(), watch::Sender::new(0));
        Self { ledger, engines, observer, clock, windows, routes, tasks, changes, table: Mutex::default() }
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
        ticket: &Ticket,
        policy: &Arc<Policy>,
        plan: Plan,
    ) -> Result<Place, Denied> {
        let account = self.ledger.account(requester.peer.id);
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
            ticket,
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
        Ok(Place::new(Arc::clone(self), active, now.at, before))
    }

    /// Grants nothing for so long, if nothing runs. The error says when to look again; `None`: after a change.
    pub(super) fn try_rest(&self, at_most: Duration) -> Result<(), Option<Instant>> {
        let mut table = self.lock();
        if !table.sessions.is_empty() || table.rests_until.is_some() {
            return Err(None);
        }
        let now = Instant::now();
        if let Some(until) = table.second_half_until.filter(|until| *until > now) {
            return Err(Some(until));
        }
        table.rests_until = Some(now + at_most);
        Ok(())
    }

    /// Grants as before.
    pub(super) fn end_rest(&self) {
        self.lock().rests_until = None;
        self.changed();
    }

    /// Why nobody would be granted anything.
    pub(super) fn shut_now(&self) -> Option<Shut> {
        self.shut(&self.lock())
    }

    fn shut(&self, table: &Table) -> Option<Shut> {
        if let Some(until) = table.drains_until {
            return Some(Shut::Draining { left: until.saturating_duration_since(Instant::now()) });
        }
        if self.observer.refuses() {
            return Some(Shut::AuditFailing);
        }
        if self.ledger.health().borrow().ended {
            return Some(Shut::LedgerFailing);
        }
        let until = table.rests_until?;
        Some(Shut::Measuring { left: until.saturating_duration_since(Instant::now()) })
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

    /// The session is over and gone.
    pub(super) fn remove(&self, test_id: &Uuid) {
        self.lock().sessions.remove(test_id);
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

    /// Sessions of the same address that take plain data on the control port, as this one wants to.
    pub(super) fn in_the_way(&self, of: &Active) -> Vec<Arc<Active>> {
        let sessions = self.sessions();
        let others = sessions.into_iter().filter(|other| {
            other.test_id != of.test_id
                && other.peer.source == of.peer.source
                && other.plan.placement == Placement::ControlPort
        });
        others.collect()
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
