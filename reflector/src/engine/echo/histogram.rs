//! Round trips, sorted into an HDR histogram from 1 µs to 60 s with three digits, and what a result says about them.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Shortest round trip that is told apart; shorter ones count as this.
const SHORTEST_NS: u64 = 1_000;
/// Longest; longer ones count as this.
const LONGEST_NS: u64 = 60_000_000_000;
const DIGITS: u8 = 3;

/// Round trips of one phase.
#[derive(Debug, Clone)]
pub struct RoundTrips {
    /// In nanoseconds. None only if the bounds above contradicted each other.
    counts: Option<Histogram<u32>>,
    last: Option<u64>,
    /// Sum and number of the differences between one round trip and the next.
    steps: (u64, u64),
}

/// What a result says. Microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub struct Summary {
    pub n: u64,
    pub min_us: f64,
    pub mean_us: f64,
    /// Of the lower 95 %: one outlier in twenty is left out, as RPM does.
    pub trimmed_mean_us: f64,
    pub p50_us: f64,
    pub p90_us: f64,
    pub p95_us: f64,
    pub p99_us: f64,
    pub p99_9_us: f64,
    pub max_us: f64,
    /// Mean difference between one round trip and the next.
    pub jitter_us: f64,
}

impl Default for RoundTrips {
    fn default() -> Self {
        // From 1 ns on, so that three digits hold at 1 µs already and not only above a multiple of it.
        let counts = Histogram::new_with_bounds(1, LONGEST_NS, DIGITS).ok();
        Self { counts, last: None, steps: (0, 0) }
    }
}

impl RoundTrips {
    /// Adds one, in the order of arrival.
    pub fn record(&mut self, nanos: u64) {
        let nanos = nanos.clamp(SHORTEST_NS, LONGEST_NS);
        if let Some(counts) = &mut self.counts {
            counts.saturating_record(nanos);
        }
        if let Some(last) = self.last.replace(nanos) {
            self.steps = (self.steps.0.saturating_add(last.abs_diff(nanos)), self.steps.1 + 1);
        }
    }

    /// The newest one.
    pub fn last_us(&self) -> Option<f64> {
        self.last.map(micros)
    }

    /// The middle one so far.
    pub fn median_us(&self) -> Option<f64> {
        let counts = self.counts.as_ref().filter(|counts| !counts.is_empty())?;
        Some(micros(counts.value_at_quantile(0.5)))
    }

    /// Everything at once; nothing was measured: nothing.
    pub fn summary(&self) -> Option<Summary> {
        let counts = self.counts.as_ref().filter(|counts| !counts.is_empty())?;
        let at = |quantile: f64| micros(counts.value_at_quantile(quantile).min(counts.max()));
        Some(Summary {
            n: counts.len(),
            min_us: micros(counts.min()),
            mean_us: counts.mean() / 1000.0,
            trimmed_mean_us: trimmed_mean(counts) / 1000.0,
            p50_us: at(0.5),
            p90_us: at(0.9),
            p95_us: at(0.95),
            p99_us: at(0.99),
            p99_9_us: at(0.999),
            max_us: micros(counts.max()),
            jitter_us: ratio(self.steps.0, self.steps.1) / 1000.0,
        })
    }
}

fn trimmed_mean(counts: &Histogram<u32>) -> f64 {
    let kept = (counts.len() - counts.len() / 20).max(1);
    let (mut left, mut sum) = (kept, 0_u128);
    for step in counts.iter_recorded() {
        let taken = u64::from(step.count_at_value()).min(left);
        let middle = counts.median_equivalent(step.value_iterated_to()).min(counts.max());
        sum += u128::from(taken) * u128::from(middle);
        left -= taken;
        if left == 0 {
            break;
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "three digits were kept")]
    let mean = sum as f64 / kept as f64;
    mean
}

fn micros(nanos: u64) -> f64 {
    ratio(nanos, 1000)
}

#[expect(clippy::cast_precision_loss, reason = "far fewer digits are known than a float holds")]
fn ratio(sum: u64, parts: u64) -> f64 {
    if parts == 0 { 0.0 } else { sum as f64 / parts as f64 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn summary(nanos: impl IntoIterator<Item = u64>) -> Option<Summary> {
        let mut trips = RoundTrips::default();
        for one in nanos {
            trips.record(one);
        }
        trips.summary()
    }

    fn close(got: f64, expected: f64) -> bool {
        (got - expected).abs() <= expected * 0.001
    }

    /// E7
    #[test]
    fn percentiles_of_a_known_series() {
        let all = summary((1..=1000).map(|n| n * 10_000)).unwrap();
        assert_eq!(all.n, 1000);
        for (got, expected) in [
            (all.min_us, 10.0),
            (all.p50_us, 5000.0),
            (all.p90_us, 9000.0),
            (all.p95_us, 9500.0),
            (all.p99_us, 9900.0),
            (all.p99_9_us, 9990.0),
            (all.max_us, 10_000.0),
            (all.mean_us, 5005.0),
            (all.trimmed_mean_us, 4755.0),
            (all.jitter_us, 10.0),
        ] {
            assert!(close(got, expected), "{got} is not {expected}: {all:?}");
        }
    }

    #[test]
    fn nothing_measured_is_nothing_and_the_range_has_ends() {
        assert_eq!(summary([]), None);
        let ends = summary([0, u64::MAX]).unwrap();
        assert!(close(ends.min_us, 1.0) && close(ends.max_us, 60_000_000.0), "{ends:?}");
        assert!(summary([5_000_000]).unwrap().jitter_us.abs() < f64::EPSILON);
    }

    proptest! {
        #[test]
        fn three_digits_hold_at_every_size(nanos in SHORTEST_NS..LONGEST_NS) {
            let one = summary([nanos]).unwrap();
            for got in [one.min_us, one.p50_us, one.p99_9_us, one.max_us, one.trimmed_mean_us] {
                prop_assert!(close(got, micros(nanos)), "{} is not {}", got, micros(nanos));
            }
        }
    }
}
