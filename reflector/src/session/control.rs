//! What an engine holds of its session while it runs.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::reason::EndReason;

use super::active::Active;
use super::meter::Meter;
use super::table::Core;

/// The engine's side of a session: a meter to lease bytes from, a stop signal, and a way to say how far it is.
#[derive(Debug, Clone)]
pub struct SessionControl {
    pub(super) active: Arc<Active>,
    pub(super) core: Arc<Core>,
}

impl SessionControl {
    /// The session.
    pub fn test_id(&self) -> Uuid {
        self.active.test_id
    }

    /// Where bytes are leased.
    pub fn meter(&self) -> Meter {
        Meter(Arc::clone(&self.active))
    }

    /// Resolves when the engine is to end: it has 1 s for its goodbyes, 7 s when it cuts a test short that the client is to
    /// read as a valid one, and is dropped then.
    pub async fn stopped(&self) {
        self.active.stopped().await;
    }

    /// Why it is to end, once it is.
    pub fn stop_reason(&self) -> Option<EndReason> {
        self.active.stop_reason()
    }

    /// Granted duration plus slack: the session is told to stop then. An engine with a duration of its own ends
    /// earlier.
    pub fn deadline(&self) -> Instant {
        self.active.deadline()
    }

    /// The last exchange has begun. A request of the same peer now waits for the end instead of reading `busy`.
    pub fn closing(&self) {
        self.active.set_closing();
    }

    /// The client's last byte was seen: the slot is free for the next test while goodbyes are still said.
    pub fn released(&self) {
        self.core.release(&self.active);
    }

    /// How to ask the data sockets for how long nothing was received or acknowledged. Without it the meter is asked,
    /// which takes a full send queue for silence.
    pub fn report_silence(&self, silence: impl Fn() -> Duration + Send + Sync + 'static) {
        self.active.set_data_silence(Box::new(silence));
    }
}
