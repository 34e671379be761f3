//! Minimum, median and maximum of some numbers.

/// Of one quantity over the rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// `None` of nothing.
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        Some(Self { min, median: *sorted.get(sorted.len() / 2)?, max })
    }

    /// For a cell of a table.
    pub(crate) fn cell(&self) -> String {
        format!("{} / **{}** / {}", short(self.min), short(self.median), short(self.max))
    }
}

/// Three digits, whatever the size.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        size if size < f64::EPSILON => "0".to_owned(),
        _ => format!("{value:.3}"),
    }
}
