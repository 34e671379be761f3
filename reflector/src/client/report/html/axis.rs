//! Axes: where ticks are and what they are called. Pure.

/// Both axes of a plot run from 0 to this; the page stretches it to its width.
pub(super) const SIZE: f64 = 1000.0;

/// Round steps of rates.
pub(super) const OF_RATES: [f64; 5] = [1.0, 2.0, 2.5, 5.0, 10.0];
/// Round steps of time: nobody counts in two seconds and a half.
pub(super) const OF_TIME: [f64; 4] = [1.0, 2.0, 5.0, 10.0];

/// Steps of an axis from zero.
const MOST_STEPS: f64 = 5.0;

/// Ticks of an axis from zero: at most six, at round numbers, the last one not below `most`. `round` are steps between 1
/// and 10.
pub(super) fn linear(most: f64, round: &[f64]) -> Vec<f64> {
    if !(most.is_finite() && most > 0.0) {
        return vec![0.0, 1.0];
    }
    let magnitude = 10f64.powf((most / MOST_STEPS).log10().floor());
    let mut nice = round.iter().map(|step| step * magnitude);
    // A hair of tolerance: 1000 / 5 is not more than 200.
    let step = nice.find(|step| step * MOST_STEPS >= most * 0.999_999).unwrap_or(10.0 * magnitude);
    (0..=5).map(|tick| f64::from(tick) * step).take_while(|at| *at < most + step * 0.999_999).collect()
}

/// An axis whose every tenth is as wide as the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Log {
    low: f64,
    high: f64,
}

/// An axis is this wide at least, so that one value is not stretched over all of it.
const LEAST_RATIO: f64 = 4.0;
/// Ticks an axis has room for on a narrow screen.
const MOST_TICKS: usize = 7;

impl Log {
    /// From a little below `low` to a little above `high`. `None` when they are no such numbers.
    pub(super) fn new(low: f64, high: f64) -> Option<Self> {
        if !(low.is_finite() && high.is_finite() && high >= low && high > 0.0) {
            return None;
        }
        // An echo of less than a tenth of a microsecond is a rounding.
        let (low, high) = (low.max(0.1) / 1.1, high.max(0.1) * 1.1);
        let widen = (LEAST_RATIO / (high / low)).max(1.0).sqrt();
        Some(Self { low: low / widen, high: high * widen })
    }

    /// Place of a value, from 0 to [`SIZE`].
    pub(super) fn place(self, value: f64) -> f64 {
        let share = (value.max(self.low) / self.low).ln() / (self.high / self.low).ln();
        share.clamp(0.0, 1.0) * SIZE
    }

    /// 1, 2, 5, 10 … inside the axis, or powers of ten alone when those are too many.
    pub(super) fn ticks(self) -> Vec<f64> {
        let decades = |steps: &'static [f64]| {
            (-1..=9).flat_map(move |power| steps.iter().map(move |step| step * 10f64.powi(power)))
        };
        let inside = |at: &f64| *at >= self.low && *at <= self.high;
        let fine: Vec<f64> = decades(&[1.0, 2.0, 5.0]).filter(inside).collect();
        if fine.len() <= MOST_TICKS { fine } else { decades(&[1.0]).filter(inside).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_from_zero_ends_at_a_round_number_above_the_highest() {
        for (most, last) in
            [(1.0, 1.0), (487.0, 500.0), (541.0, 600.0), (1000.0, 1000.0), (43.0, 50.0), (0.03, 0.03)]
        {
            let ticks = linear(most, &OF_RATES);
            let end = *ticks.last().unwrap();
            assert!((end - last).abs() < last * 1e-6, "{most}: {ticks:?}");
            assert!(
                ticks.len() <= 6 && ticks.len() >= 3 && ticks[0].abs() < f64::EPSILON,
                "{most}: {ticks:?}"
            );
        }
        assert_eq!(linear(10.0, &OF_TIME), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        for broken in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(linear(broken, &OF_RATES), [0.0, 1.0]);
        }
    }

    #[test]
    fn a_logarithmic_axis_holds_its_values_and_few_ticks() {
        for (low, high) in [(200.0, 2200.0), (1000.0, 1000.0), (1.0, 2e6), (0.0, 5.0), (12_000.0, 180_000.0)]
        {
            let axis = Log::new(low, high).unwrap();
            let (from, to) = (axis.place(low), axis.place(high));
            assert!(from >= 0.0 && to <= SIZE && from <= to, "{low}..{high}");
            let ticks = axis.ticks();
            assert!((1..=MOST_TICKS).contains(&ticks.len()), "{low}..{high}: {ticks:?}");
        }
        for (low, high) in [(2.0, 1.0), (f64::NAN, 1.0), (0.0, 0.0), (1.0, f64::INFINITY)] {
            assert_eq!(Log::new(low, high), None);
        }
    }
}
