//! What is counted, for Prometheus.
//!
//! In: typed calls from whoever saw it happen. Out: text for `/metrics`. A label is always a value of one of our enums:
//! nothing in an object becomes a series. `labels` has every value, `families` every name and its help.

mod families;
mod labels;

use std::sync::Arc;
use std::time::Duration;

use prometheus::TextEncoder;

use crate::clock;
use families::Families;
pub(crate) use labels::{Kind, Outcome, Pairing, Readiness, Verb};

/// The counters of this operator. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    all: Arc<Families>,
}

impl Metrics {
    /// All series at zero. Once per process, or per test: nothing is global.
    pub(crate) fn new() -> Self {
        Self { all: Arc::new(Families::new()) }
    }

    /// The text `/metrics` answers with.
    pub(crate) fn render(&self) -> Result<String, prometheus::Error> {
        self.all.set_ages(clock::now().mono_ms);
        TextEncoder::new().encode_to_string(&self.all.registry.gather())
    }

    /// A reconcile ended.
    pub(crate) fn reconciled(&self, kind: Kind, outcome: Outcome, took: Duration) {
        self.all.reconcile.with_label_values(&[kind.value(), outcome.value()]).inc();
        self.all.reconcile_seconds.with_label_values(&[kind.value()]).observe(took.as_secs_f64());
    }

    /// A write was sent, whatever came of it.
    pub(crate) fn api_write(&self, kind: Kind, verb: Verb) {
        self.all.api_writes.with_label_values(&[kind.value(), verb.value()]).inc();
    }

    /// How many objects there are in a state.
    pub(crate) fn objects(&self, kind: Kind, ready: Readiness, now: usize) {
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        self.all.objects.with_label_values(&[kind.value(), ready.value()]).set(now);
    }

    /// A watch said something; an error is not something.
    pub(crate) fn watched(&self, kind: Kind) {
        self.all.watched(kind, clock::now().mono_ms);
    }

    /// Whether the API server refuses us the watch of a kind.
    pub(crate) fn watch_forbidden(&self, kind: Kind, forbidden: bool) {
        self.all.watch_forbidden.with_label_values(&[kind.value()]).set(i64::from(forbidden));
    }

    /// An object came that cannot be read.
    pub(crate) fn undecodable(&self, kind: Kind) {
        self.all.undecodable.with_label_values(&[kind.value()]).inc();
    }

    /// A pairing came a step further.
    pub(crate) fn pairing(&self, result: Pairing) {
        self.all.pairings.with_label_values(&[result.value()]).inc();
    }

    /// Whether this process may write because of the Lease.
    pub(crate) fn lease_held(&self, held: bool) {
        self.all.lease_held.set(i64::from(held));
    }

    /// Writes so far, of every kind; what tests compare.
    #[cfg(test)]
    pub(crate) fn writes(&self) -> u64 {
        let kinds = Kind::ALL.iter().flat_map(|kind| Verb::ALL.iter().map(move |verb| (kind, verb)));
        kinds
            .map(|(kind, verb)| self.all.api_writes.with_label_values(&[kind.value(), verb.value()]).get())
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_is_there_from_the_start_and_nothing_is_named_twice() {
        let text = Metrics::new().render().unwrap();
        for line in [
            r#"reflector_operator_reconcile_total{kind="Reflector",result="unchanged"} 0"#,
            r#"reflector_operator_api_writes_total{kind="Deployment",verb="apply"} 0"#,
            r#"reflector_operator_objects{kind="Reflector",ready="unknown"} 0"#,
            r#"reflector_operator_undecodable_total{kind="Reflector"} 0"#,
            r#"reflector_operator_watch_forbidden{kind="Pod"} 0"#,
            r#"reflector_operator_pairings_total{result="refused"} 0"#,
            "reflector_operator_lease_held 0",
            "reflector_operator_build_info{version=",
            "process_resident_memory_bytes",
        ] {
            assert!(text.contains(line), "{line} is not in:\n{text}");
        }
    }

    #[test]
    fn a_watch_has_no_age_before_it_said_anything() {
        let metrics = Metrics::new();
        assert!(!metrics.render().unwrap().contains("watch_age_seconds{"));
        metrics.watched(Kind::Pod);
        assert!(metrics.render().unwrap().contains(r#"watch_age_seconds{kind="Pod"}"#));
    }

    #[test]
    fn writes_are_counted_by_kind_and_verb() {
        let metrics = Metrics::new();
        metrics.api_write(Kind::ConfigMap, Verb::Apply);
        metrics.api_write(Kind::Reflector, Verb::ApplyStatus);
        assert_eq!(metrics.writes(), 2);
        let text = metrics.render().unwrap();
        assert!(text.contains(r#"api_writes_total{kind="Reflector",verb="apply_status"} 1"#), "{text}");
    }
}
