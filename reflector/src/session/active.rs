//! One session between its reservation and its end: what everyone who touches it shares.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::access::policy::Policy;
use crate::engine::secrets::Secrets;
use crate::ledger::{Account, LedgerTime};
use crate::reason::EndReason;

use super::admission::{GRANT_SLACK, Plan};
use super::requester::{ConnectionId, History, Peer};
use super::ticket::Ticket;

type Silence = Box<dyn Fn() -> Duration + Send + Sync>;

/// Shared by table, task, engine and meter.
pub(super) struct Active {
    pub(super) test_id: Uuid,
    pub(super) token: Uuid,
    pub(super) secrets: Arc<Secrets>,
    pub(super) connection: ConnectionId,
    pub(super) peer: Peer,
    pub(super) plan: Plan,
    pub(super) account: Arc<Account>,
    pub(super) history: Arc<History>,
    pub(super) bytes: AtomicU64,
    pub(super) unread: AtomicU64,
    policy: Mutex<Arc<Policy>>,
    /// Bytes a day of that policy, for the streams; `u64::MAX`: unlimited.
    bytes_per_day: AtomicU64,
    ends_at_ms: AtomicI64,
    deadline: OnceLock<Instant>,
    reason: OnceLock<EndReason>,
    stop: CancellationToken,
    closing: AtomicBool,
    released: AtomicBool,
    data_silence: OnceLock<Silence>,
}

impl Active {
    pub(super) fn new(
        ticket: &Ticket,
        plan: Plan,
        peer: Peer,
        connection: ConnectionId,
        history: Arc<History>,
        account: Arc<Account>,
        policy: Arc<Policy>,
    ) -> Self {
        Self {
            test_id: ticket.test_id,
            secrets: Arc::clone(&ticket.secrets),
            token: Uuid::new_v4(),
            connection,
            peer,
            plan,
            account,
            history,
            bytes: AtomicU64::new(0),
            unread: AtomicU64::new(0),
            bytes_per_day: AtomicU64::new(byte_limit(&policy)),
            policy: Mutex::new(policy),
            ends_at_ms: AtomicI64::new(0),
            deadline: OnceLock::new(),
            reason: OnceLock::new(),
            stop: CancellationToken::new(),
            closing: AtomicBool::new(false),
            released: AtomicBool::new(false),
            data_silence: OnceLock::new(),
        }
    }

    /// Asks the session to end. The first reason stands.
    pub(super) fn stop(&self, reason: EndReason) {
        if self.reason.set(reason).is_ok() {
            self.stop.cancel();
        }
    }

    pub(super) fn stop_reason(&self) -> Option<EndReason> {
        self.reason.get().copied()
    }

    pub(super) async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// The granted time starts: at the reservation as an estimate, at the grant for good.
    pub(super) fn starts(&self, at: LedgerTime) {
        self.ends_at_ms.store(at.plus(self.plan.duration).ms(), Ordering::Release);
    }

    pub(super) fn ends_at(&self) -> LedgerTime {
        LedgerTime::from_ms(self.ends_at_ms.load(Ordering::Acquire))
    }

    /// When the session is cut, whatever happens. Fixed when first asked, which is at the grant.
    pub(super) fn deadline(&self) -> Instant {
        *self.deadline.get_or_init(|| Instant::now() + self.plan.duration + GRANT_SLACK)
    }

    pub(super) fn set_closing(&self) {
        self.closing.store(true, Ordering::Release);
    }

    /// In its last exchange and still holding its slot.
    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire) && !self.is_released()
    }

    /// True for the one caller that is to give the slot back.
    pub(super) fn release_once(&self) -> bool {
        !self.released.swap(true, Ordering::AcqRel)
    }

    pub(super) fn is_released(&self) -> bool {
        self.released.load(Ordering::Acquire)
    }

    pub(super) fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set_policy(&self, policy: &Arc<Policy>) {
        self.bytes_per_day.store(byte_limit(policy), Ordering::Release);
        *self.policy.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(policy);
    }

    pub(super) fn bytes_per_day(&self) -> u64 {
        self.bytes_per_day.load(Ordering::Acquire)
    }

    pub(super) fn set_data_silence(&self, silence: Silence) {
        // An engine has one set of sockets; a second report would be about the same ones.
        let _ = self.data_silence.set(silence);
    }

    /// How long the data connections were silent, when the engine can say so itself.
    pub(super) fn data_silence(&self) -> Option<Duration> {
        self.data_silence.get().map(|silence| silence())
    }
}

fn byte_limit(policy: &Policy) -> u64 {
    policy.quotas.bytes_per_day.unwrap_or(u64::MAX)
}

impl std::fmt::Debug for Active {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Active")
            .field("test_id", &self.test_id)
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}
