//! Sessions as others see them: audit lines and counters.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::audit::{Audit, Event, EventType};
use crate::clock;
use crate::cluster::status::Witness;
use crate::engine::measured::Measured;
use crate::metrics::{ActiveSession, Metrics, Task};
use crate::reason::EndReason;
use crate::session::{Denial, Observer, SessionRecord};

use super::recent::Recent;

/// Writes what `session` reports into audit and metrics.
pub(super) struct Records {
    audit: Audit,
    metrics: Metrics,
    /// Gauges of running sessions; dropping one takes it off.
    active: Mutex<HashMap<Uuid, ActiveSession>>,
    recent: Recent,
    /// In a cluster: what its peers' status shows.
    witness: Option<Witness>,
}

impl Records {
    pub(super) fn new(audit: Audit, metrics: Metrics, recent: Recent, witness: Option<Witness>) -> Self {
        Self { audit, metrics, active: Mutex::default(), recent, witness }
    }

    fn active(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, ActiveSession>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Records {
    fn granted(&self, record: &SessionRecord) {
        let gauge = self.metrics.session_started(record.plan.test_type);
        self.active().insert(record.test_id, gauge);
        if let Some(witness) = &self.witness {
            witness.granted(record.peer);
        }
        self.audit.record_now(Event {
            params: Some(granted_params(record)),
            decision: Some("allowed"),
            ..about(record, EventType::SessionGranted)
        });
    }

    fn denied(&self, denial: &Denial<'_>) {
        self.metrics.session_denied(denial.denied.reason);
        if let Some(witness) = &self.witness {
            witness.denied(denial.peer);
        }
        let event = Event {
            peer_id: Some(denial.peer),
            peer_name: Some(denial.peer_name.to_string()),
            source: Some(denial.source),
            test_type: Some(denial.test_type.as_str()),
            params: serde_json::to_value(denial.params).ok(),
            decision: Some("denied"),
            reason: Some(denial.denied.reason.as_str()),
            message: Some(denial.denied.message.clone()),
            retry_after_sec: denial.denied.retry_after_sec,
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
        let nothing = Measured::default();
        self.metrics.session_measured(record.measured().unwrap_or(&nothing), record.unread_bytes);
        self.recent.push(record);
        if let Some(witness) = &self.witness {
            witness.ended(record, clock::now().wall);
        }
        self.audit.record_now(Event {
            reason: Some(record.reason().as_str()),
            bytes: Some(record.bytes),
            duration: Some(record.duration()),
            params: Some(completed_params(record)),
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

/// What the fixed fields of a line have no place for; samples stay out of the log.
fn completed_params(record: &SessionRecord) -> Value {
    let mut params = json!({ "mode": record.mode, "port": record.port });
    let mut add = |name: &str, value: Value| {
        params[name] = value;
    };
    if let Some(mbps) = record.mbps().filter(|_| record.bytes > 0) {
        add("mbps", json!(mbps));
    }
    if record.unread_bytes > 0 {
        add("unread_bytes", json!(record.unread_bytes));
    }
    if let Some(limit) = record.limit() {
        add("limit", json!({ "by": limit.by, "cause": limit.cause }));
    }
    if let Some(measured) = record.measured() {
        if !measured.streams.is_empty() {
            add("streams", json!(measured.streams));
        }
        if !measured.echo_dropped.is_empty() {
            add("echo_dropped", measured.echo_dropped.iter().cloned().collect());
        }
    }
    params
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
