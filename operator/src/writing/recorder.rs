//! Tells events. One that cannot be told is logged and forgotten: the condition says the same.

use kube::runtime::events::{self, EventType, Reporter};
use kube::{Client, Resource};
use tokio::time::timeout;

use super::DEADLINE;
use super::apply::MANAGER;
use super::events::{Note, Severity};
use crate::clock;
use crate::lease::Standing;
use crate::metrics::{Kind, Metrics, Verb};

/// What we did, for the field nobody shows.
const ACTION: &str = "Reconcile";

/// Tells events in our name. Clones share what was told, so that a repetition raises a count.
#[derive(Clone)]
pub(crate) struct Recorder {
    inner: events::Recorder,
    standing: Standing,
    metrics: Metrics,
}

impl Recorder {
    pub(crate) fn new(client: Client, instance: String, standing: Standing, metrics: Metrics) -> Self {
        let reporter = Reporter { controller: MANAGER.to_owned(), instance: Some(instance) };
        Self { inner: events::Recorder::new(client, reporter), standing, metrics }
    }

    pub(crate) async fn tell<K: Resource<DynamicType = ()>>(&self, about: &K, note: &Note) {
        if !self.standing.may_write(clock::now()) {
            return;
        }
        let event = events::Event {
            type_: match note.severity {
                Severity::Normal => EventType::Normal,
                Severity::Warning => EventType::Warning,
            },
            reason: note.reason.clone(),
            note: Some(note.text.clone()),
            action: ACTION.to_owned(),
            secondary: None,
        };
        self.metrics.api_write(Kind::Event, Verb::Create);
        let reference = about.object_ref(&());
        match timeout(DEADLINE, self.inner.publish(&event, &reference)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    reason = note.reason,
                    "tell an event"
                );
            }
            Err(_) => tracing::warn!(reason = note.reason, "tell an event: no answer"),
        }
    }
}
