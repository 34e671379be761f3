//! Many measurements of one thing: least, median, p99, most. Pure.

use std::fmt;
use std::time::Duration;

/// A row of the table.
#[derive(Debug)]
pub(super) struct Row {
    what: String,
    unit: &'static str,
    values: Vec<f64>,
}

impl Row {
    pub(super) const HEAD: &str =
        "| what | unit | n | min | **median** | p99 | max |\n|---|---|---:|---:|---:|---:|---:|";

    /// Times.
    pub(super) fn times(what: impl Into<String>, times: &[Duration]) -> Self {
        let ms = times.iter().map(|time| time.as_secs_f64() * 1000.0).collect();
        Self::new(what, "ms", ms)
    }

    /// Resident memory.
    pub(super) fn memory(what: impl Into<String>, kib: &[u64]) -> Self {
        let mib = kib.iter().map(|kib| u32::try_from(*kib).map_or(f64::MAX, f64::from) / 1024.0);
        Self::new(what, "MiB", mib.collect())
    }

    /// Anything else.
    pub(super) fn new(what: impl Into<String>, unit: &'static str, mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        Self { what: what.into(), unit, values }
    }

    /// By nearest rank: of ten the p99 is the largest.
    fn rank(&self, percent: usize) -> f64 {
        let rank = (self.values.len() * percent).div_ceil(100).max(1) - 1;
        self.values.get(rank).copied().unwrap_or(f64::NAN)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [min, median, p99, max] = [0, 50, 99, 100].map(|percent| short(self.rank(percent)));
        let Self { what, unit, values } = self;
        write!(f, "| {what} | {unit} | {} | {min} | **{median}** | {p99} | {max} |", values.len())
    }
}

/// Three digits that mean something.
fn short(value: f64) -> String {
    match value {
        value if value >= 100.0 || value == 0.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_of_values_that_were_measured() {
        let times: Vec<Duration> = (1..=150).rev().map(Duration::from_millis).collect();
        assert_eq!(Row::times("cut", &times).to_string(), "| cut | ms | 150 | 1.00 | **75.0** | 149 | 150 |");
        assert_eq!(
            Row::memory("pod", &[11_264]).to_string(),
            "| pod | MiB | 1 | 11.0 | **11.0** | 11.0 | 11.0 |"
        );
        assert_eq!(Row::new("writes", "", vec![0.0]).to_string(), "| writes |  | 1 | 0 | **0** | 0 | 0 |");
    }
}
