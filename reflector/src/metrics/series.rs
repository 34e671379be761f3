//! How metrics are made: with every series their labels can have, and without a way to name a label value freely.

use std::marker::PhantomData;

use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use super::labels::Label;

/// Counters with one label.
#[derive(Debug)]
pub(super) struct Counters<A> {
    vec: IntCounterVec,
    label: PhantomData<A>,
}

impl<A: Label> Counters<A> {
    pub(super) fn new(registry: &Registry, name: &str, help: &str, label: &str) -> Self {
        let vec = add(registry, IntCounterVec::new(opts(name, help), &[label]));
        let counters = Self { vec, label: PhantomData };
        for value in A::VALUES {
            counters.of(*value);
        }
        counters
    }

    pub(super) fn of(&self, value: A) -> IntCounter {
        self.vec.with_label_values(&[value.value()])
    }
}

/// Counters with two labels.
#[derive(Debug)]
pub(super) struct Counters2<A, B> {
    vec: IntCounterVec,
    labels: PhantomData<(A, B)>,
}

impl<A: Label, B: Label> Counters2<A, B> {
    pub(super) fn new(registry: &Registry, name: &str, help: &str, labels: [&str; 2]) -> Self {
        let vec = add(registry, IntCounterVec::new(opts(name, help), &labels));
        let counters = Self { vec, labels: PhantomData };
        for first in A::VALUES {
            for second in B::VALUES {
                counters.of(*first, *second);
            }
        }
        counters
    }

    pub(super) fn of(&self, first: A, second: B) -> IntCounter {
        self.vec.with_label_values(&[first.value(), second.value()])
    }
}

/// Gauges with one label.
#[derive(Debug)]
pub(super) struct Gauges<A> {
    vec: IntGaugeVec,
    label: PhantomData<A>,
}

impl<A: Label> Gauges<A> {
    pub(super) fn new(registry: &Registry, name: &str, help: &str, label: &str) -> Self {
        let vec = add(registry, IntGaugeVec::new(opts(name, help), &[label]));
        let gauges = Self { vec, label: PhantomData };
        for value in A::VALUES {
            gauges.of(*value);
        }
        gauges
    }

    pub(super) fn of(&self, value: A) -> IntGauge {
        self.vec.with_label_values(&[value.value()])
    }
}

pub(super) fn opts(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace("reflector")
}

pub(super) fn counter(registry: &Registry, name: &str, help: &str) -> IntCounter {
    add(registry, IntCounter::with_opts(opts(name, help)))
}

pub(super) fn gauge(registry: &Registry, name: &str, help: &str) -> IntGauge {
    add(registry, IntGauge::with_opts(opts(name, help)))
}

pub(super) fn histogram(registry: &Registry, name: &str, help: &str, buckets: &[f64]) -> Histogram {
    let options = HistogramOpts::new(name, help).namespace("reflector").buckets(buckets.to_vec());
    add(registry, Histogram::with_opts(options))
}

/// Makes and registers a metric whose name, help and labels are literals of this room.
#[expect(clippy::expect_used, reason = "fails only for a bad literal, and then in every test")]
pub(super) fn add<C: Collector + Clone + 'static>(registry: &Registry, made: prometheus::Result<C>) -> C {
    let metric = made.expect("invariant: metric names and labels are valid literals");
    register(registry, metric.clone());
    metric
}

#[expect(clippy::expect_used, reason = "fails only for a repeated literal, and then in every test")]
pub(super) fn register(registry: &Registry, metric: impl Collector + 'static) {
    registry.register(Box::new(metric)).expect("invariant: metric names are unique");
}
