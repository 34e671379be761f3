//! Sessions as others see them: audit lines and counters.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::audit::{Audit, Event, EventType};
use crate::metrics::{ActiveSession, Metrics, Task};
use crate::reason::EndReason;
use crate::session::{Denial, Observer, SessionRecord};

/// Writes what `session` reports into audit and metrics.
pub(super) struct Records {
    audit: Audit,
    metrics: Metrics,
    /// Gauges of running sessions; dropping one takes it off.
    active: Mutex<HashMap<Uuid, ActiveSession>>,
}

impl Records {
    pub(super) fn new(audit: Audit, metrics: Metrics) -> Self {
        Self { audit, metrics, active: Mutex::default() }
    }

    fn active(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, ActiveSession>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Records {
    fn granted(&self, record: &SessionRecord) {
        let gauge = self.metrics.session_started(record.plan.test_type);
        self.active().insert(record.test_id, gauge);
        self.audit.record_now(Event {
            params: Some(granted_params(record)),
            decision: Some("allowed"),
            ..about(record, EventType::SessionGranted)
        });
    }

    fn denied(&self, denial: &Denial<'_>) {
        self.metrics.session_denied(denial.denied.reason);
        let event = Event {
            peer_id: Some(denial.peer),
            peer_name: Some(denial.peer_name.to_string()),
            source: Some(denial.source),
            test_type: Some(denial.test_type.as_str()),
            params: serde_json::to_value(denial.params).ok(),
            decision: Some("denied"),
            reason: Some(denial.denied.reason.as_str()),
            ..Event::new(EventType::SessionDenied)
        };
        // A log that could not be written is tried again with the next event. Where it decides about tests, the requests
        // it denies must be such events; the limit would keep silent for up to a minute after space is back.
        if self.audit.denies() {
            self.audit.record_now(event);
        } else {
            self.audit.record_limited(event);
        }
    }

    fn ended(&self, record: &SessionRecord) {
        drop(self.active().remove(&record.test_id));
        if record.reason() == EndReason::Internal {
            self.metrics.task_panicked(Task::Engine);
        }
        let (kind, lasted) = (record.plan.test_type, record.duration());
        self.metrics.session_ended(kind, record.reason(), lasted, record.bytes);
        self.audit.record_now(Event {
            reason: Some(record.reason().as_str()),
            bytes: Some(record.bytes),
            duration: Some(record.duration()),
            params: (record.unread_bytes > 0).then(|| json!({ "unread_bytes": record.unread_bytes })),
            ..about(record, EventType::SessionCompleted)
        });
    }

    fn refuses(&self) -> bool {
        self.audit.denies()
    }
}

fn about(record: &SessionRecord, kind: EventType) -> Event {
    Event {
        peer_id: Some(record.peer),
        peer_name: Some(record.peer_name.to_string()),
        source: Some(record.source),
        test_id: Some(record.test_id),
        test_type: Some(record.plan.test_type.as_str()),
        ..Event::new(kind)
    }
}

fn granted_params(record: &SessionRecord) -> Value {
    json!({
        "duration_sec": record.plan.duration.as_secs(),
        "protocol": record.plan.protocol,
        "streams": record.plan.streams,
        "reverse": record.plan.reverse,
        "mode": record.mode,
        "port": record.port,
    })
}
