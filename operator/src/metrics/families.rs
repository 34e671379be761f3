//! Every metric with its name and help, made with all its series.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use super::labels::{Kind, Outcome, Pairing, Readiness, Verb};

/// A reconcile is a few requests on a local network, or a few that wait for a busy API server.
const SECONDS: [f64; 9] = [0.001, 0.005, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];
/// Before a watch has said anything.
const NEVER: u64 = u64::MAX;

#[derive(Debug)]
pub(super) struct Families {
    pub(super) registry: Registry,
    pub(super) reconcile: IntCounterVec,
    pub(super) reconcile_seconds: HistogramVec,
    pub(super) api_writes: IntCounterVec,
    pub(super) objects: IntGaugeVec,
    pub(super) undecodable: IntCounterVec,
    pub(super) pairings: IntCounterVec,
    pub(super) lease_held: IntGauge,
    pub(super) watch_forbidden: IntGaugeVec,
    watch_age: GaugeVec,
    /// When each kind's watch last said something, in monotonic milliseconds.
    watched: [AtomicU64; Kind::ALL.len()],
}

impl Families {
    pub(super) fn new() -> Self {
        let registry = Registry::new();
        let all = Self {
            reconcile: add(
                &registry,
                IntCounterVec::new(
                    opts(
                        "reconcile_total",
                        "Reconciles by how they ended: ok wrote something, unchanged wrote nothing, invalid waits for an edit, error is tried again.",
                    ),
                    &["kind", "result"],
                ),
            ),
            reconcile_seconds: add(
                &registry,
                HistogramVec::new(
                    HistogramOpts::from(opts("reconcile_duration_seconds", "How long reconciles took."))
                        .buckets(SECONDS.to_vec()),
                    &["kind"],
                ),
            ),
            api_writes: add(
                &registry,
                IntCounterVec::new(
                    opts("api_writes_total", "Writes sent to the API server, whatever came of them."),
                    &["kind", "verb"],
                ),
            ),
            objects: add(
                &registry,
                IntGaugeVec::new(
                    opts("objects", "Objects by their Ready condition, at the last look."),
                    &["kind", "ready"],
                ),
            ),
            undecodable: add(
                &registry,
                IntCounterVec::new(
                    opts("undecodable_total", "Objects a watch brought that this release cannot read."),
                    &["kind"],
                ),
            ),
            pairings: add(
                &registry,
                IntCounterVec::new(
                    opts(
                        "pairings_total",
                        "Steps of pairings: waiting made a code, claimed waits for approval, bound let an appliance in, expired ended a code unused, refused met a claim without proof.",
                    ),
                    &["result"],
                ),
            ),
            lease_held: add(
                &registry,
                IntGauge::with_opts(opts("lease_held", "1 while this process holds the Lease.")),
            ),
            watch_forbidden: add(
                &registry,
                IntGaugeVec::new(
                    opts(
                        "watch_forbidden",
                        "1 while the API server says that the operator may not list or watch this kind.",
                    ),
                    &["kind"],
                ),
            ),
            watch_age: add(
                &registry,
                GaugeVec::new(
                    opts("watch_age_seconds", "Time since a watch last brought anything."),
                    &["kind"],
                ),
            ),
            watched: std::array::from_fn(|_| AtomicU64::new(NEVER)),
            registry,
        };
        all.start();
        all
    }

    /// A series that is missing until it counts cannot be alerted on.
    fn start(&self) {
        for kind in Kind::OURS {
            for outcome in Outcome::ALL {
                self.reconcile.with_label_values(&[kind.value(), outcome.value()]);
            }
            for ready in Readiness::ALL {
                self.objects.with_label_values(&[kind.value(), ready.value()]);
            }
            self.reconcile_seconds.with_label_values(&[kind.value()]);
            self.undecodable.with_label_values(&[kind.value()]);
        }
        for result in Pairing::ALL {
            self.pairings.with_label_values(&[result.value()]);
        }
        for kind in Kind::WATCHED {
            self.watch_forbidden.with_label_values(&[kind.value()]);
        }
        for kind in Kind::ALL {
            for verb in Verb::ALL {
                self.api_writes.with_label_values(&[kind.value(), verb.value()]);
            }
        }
        let build =
            add(&self.registry, IntGaugeVec::new(opts("build_info", "Always 1. What runs."), &["version"]));
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        register(&self.registry, prometheus::process_collector::ProcessCollector::for_self());
    }

    pub(super) fn watched(&self, kind: Kind, now_ms: u64) {
        self.watched[kind as usize].store(now_ms, Ordering::Relaxed);
    }

    pub(super) fn set_ages(&self, now_ms: u64) {
        for kind in Kind::ALL {
            let last = self.watched[kind as usize].load(Ordering::Relaxed);
            if last != NEVER {
                let age = Duration::from_millis(now_ms.saturating_sub(last));
                self.watch_age.with_label_values(&[kind.value()]).set(age.as_secs_f64());
            }
        }
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace("reflector_operator")
}

#[expect(clippy::expect_used, reason = "fails only for a bad literal, and then in every test")]
fn add<C: Collector + Clone + 'static>(registry: &Registry, made: prometheus::Result<C>) -> C {
    let metric = made.expect("invariant: metric names and labels are valid literals");
    register(registry, metric.clone());
    metric
}

#[expect(clippy::expect_used, reason = "fails only for a repeated literal, and then in every test")]
fn register(registry: &Registry, metric: impl Collector + 'static) {
    registry.register(Box::new(metric)).expect("invariant: metric names are unique");
}
