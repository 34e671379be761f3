//! A number that can be written as JSON: finite, and not longer than it is precise.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize};

/// A finite number with three decimals. What cannot be one (a rate over no time) was not measured: `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Real(f64);

/// Three decimals: 1 kbit/s in a rate of Mbit/s, 1 ns in a time of µs.
const STEPS: f64 = 1000.0;

impl Real {
    /// `None` for NaN and infinities.
    pub fn of(number: f64) -> Option<Self> {
        let rounded = (number * STEPS).round() / STEPS;
        // Adding zero turns -0 into 0. Above 2^53 steps there are no decimals to round, and times 1000 may overflow.
        let exact = if rounded.is_finite() { rounded + 0.0 } else { number };
        exact.is_finite().then_some(Self(exact))
    }

    /// `part` of `whole`, times `scale`. `None` when there is no whole.
    pub fn ratio(part: f64, whole: f64, scale: f64) -> Option<Self> {
        if whole > 0.0 { Self::of(part / whole * scale) } else { None }
    }

    /// `part` in per cent of `whole`.
    pub fn percent(part: f64, whole: f64) -> Option<Self> {
        Self::ratio(part, whole, 100.0)
    }

    /// Bits per microsecond: the rate of `bytes` in `seconds`.
    pub fn mbps(bytes: u64, seconds: f64) -> Option<Self> {
        Self::ratio(float(bytes) * 8.0, seconds, 1e-6)
    }

    /// The number.
    pub const fn value(self) -> f64 {
        self.0
    }
}

/// Counters as numbers to calculate with; exact up to 2^53, 9 PB.
#[expect(clippy::cast_precision_loss, reason = "a rate of more than 9 PB may be off by a byte")]
pub(crate) const fn float(count: u64) -> f64 {
    count as f64
}

impl<'de> Deserialize<'de> for Real {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let number = f64::deserialize(from)?;
        Self::of(number).ok_or_else(|| serde::de::Error::custom("number is not finite"))
    }
}

impl JsonSchema for Real {
    fn schema_name() -> Cow<'static, str> {
        "Real".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "number" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_json_cannot_hold_was_not_measured() {
        for broken in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(Real::of(broken), None);
        }
        assert_eq!(Real::mbps(5, 0.0), None);
        assert_eq!(Real::percent(1.0, 0.0), None);
    }

    #[test]
    fn numbers_have_three_decimals_and_survive_json() {
        for (number, text) in [
            (1.0 / 3.0, "0.333"),
            (-0.0001, "0.0"),
            (941.482_511, "941.483"),
            (1e300, "1e+300"),
            (-2.5, "-2.5"),
        ] {
            let real = Real::of(number).unwrap();
            assert_eq!(serde_json::to_string(&real).unwrap(), text);
            assert_eq!(serde_json::from_str::<Real>(text).unwrap(), real);
        }
        assert_eq!(Real::mbps(125_000_000, 1.0), Real::of(1000.0));
    }
}
