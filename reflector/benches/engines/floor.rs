//! How far a run may fall short of a target before the gate shuts. Pure, so that a test of the crate can include it.

use serde_json::Value;

/// Of the ratio of ours to the peer's, or of ours alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Bound {
    Least(f64),
    Most(f64),
}

/// The share of a target that a machine which is not ours alone may cost, and the saved table: a target that it misses, and
/// owns up to, is no floor, but what it reached is.
pub(crate) struct Floor {
    slack: f64,
    saved: Value,
}

impl Floor {
    /// Without slack the targets themselves.
    pub(crate) fn new(slack: f64, saved: &str) -> serde_json::Result<Self> {
        Ok(Self { slack, saved: serde_json::from_str(saved)? })
    }

    /// Whether this value is below the floor.
    pub(crate) fn is_missed(&self, row: [&str; 2], quantity: &str, target: Bound, value: f64) -> bool {
        let reached = (self.slack > 0.0).then(|| self.reached(row, quantity)).flatten();
        match target {
            Bound::Least(least) => value < reached.map_or(least, |it| it.min(least)) * (1.0 - self.slack),
            Bound::Most(most) => value > reached.map_or(most, |it| it.max(most)) / (1.0 - self.slack),
        }
    }

    fn reached(&self, [case, peer]: [&str; 2], quantity: &str) -> Option<f64> {
        let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
        let row = list(&self.saved, "rows").into_iter().find(|row| {
            let is_wanted = |result: &Value| result["quantity"] == quantity;
            row["case"] == case && row["peer"] == peer && list(row, "results").iter().any(is_wanted)
        })?;
        list(&row, "results").iter().find(|result| result["quantity"] == quantity)?["ratio"].as_f64()
    }
}
