//! What was measured beside what is allowed. Pure.

use std::fmt;

/// A number and its judgement.
pub(super) struct Row {
    what: String,
    measured: String,
    limit: String,
    is_good: bool,
}

impl Row {
    /// Must stay below, or reach, a limit.
    pub(super) fn below(what: &str, measured: u64, limit: u64, unit: &str) -> Self {
        Self {
            what: what.to_owned(),
            measured: quantity(measured, unit),
            limit: format!("≤ {}", quantity(limit, unit)),
            is_good: measured <= limit,
        }
    }

    /// Must be what is expected.
    pub(super) fn exactly(what: &str, measured: u64, expected: u64, unit: &str) -> Self {
        Self {
            what: what.to_owned(),
            measured: quantity(measured, unit),
            limit: format!("= {}", quantity(expected, unit)),
            is_good: measured == expected,
        }
    }

    /// So often a second, at most.
    pub(super) fn rate(what: &str, measured: f64, limit: f64) -> Self {
        Self {
            what: what.to_owned(),
            measured: format!("{measured:.2} /s"),
            limit: format!("≤ {limit:.2} /s"),
            is_good: measured <= limit,
        }
    }

    /// Worth knowing, without a limit.
    pub(super) fn told(what: &str, measured: u64, unit: &str) -> Self {
        Self {
            what: what.to_owned(),
            measured: quantity(measured, unit),
            limit: String::new(),
            is_good: true,
        }
    }
}

fn quantity(number: u64, unit: &str) -> String {
    format!("{number} {unit}").trim_end().to_owned()
}

/// All rows; displayed as Markdown.
pub(super) struct Table {
    rows: Vec<Row>,
}

impl FromIterator<Row> for Table {
    fn from_iter<I: IntoIterator<Item = Row>>(rows: I) -> Self {
        Self { rows: rows.into_iter().collect() }
    }
}

impl Table {
    /// No limit is missed.
    pub(super) fn is_good(&self) -> bool {
        self.rows.iter().all(|row| row.is_good)
    }

    /// One line: what is missed, or how much was looked at.
    pub(super) fn summary(&self) -> String {
        let missed: Vec<&str> =
            self.rows.iter().filter(|row| !row.is_good).map(|row| row.what.as_str()).collect();
        if !missed.is_empty() {
            return format!("missed: {}", missed.join(", "));
        }
        let with_limit = self.rows.iter().filter(|row| !row.limit.is_empty()).count();
        format!("{with_limit} limits kept")
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| what | measured | limit | |\n|---|---:|---:|---|")?;
        for Row { what, measured, limit, is_good } in &self.rows {
            let mark = match (limit.is_empty(), is_good) {
                (true, _) => "",
                (false, true) => "ok",
                (false, false) => "MISSED",
            };
            write!(f, "\n| {what} | {measured} | {limit} | {mark} |")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: impl IntoIterator<Item = Row>) -> Table {
        rows.into_iter().collect()
    }

    #[test]
    fn a_limit_may_be_reached_and_not_passed() {
        assert!(table([Row::below("memory", 15, 15, "KiB"), Row::rate("wake-ups", 1.0, 1.0)]).is_good());
        for missed in [
            Row::below("memory", 16, 15, "KiB"),
            Row::rate("wake-ups", 1.01, 1.0),
            Row::exactly("descriptors", 11, 12, ""),
        ] {
            let what = missed.what.clone();
            let table = table([Row::told("threads", 7, ""), missed]);
            assert!(!table.is_good());
            assert_eq!(table.summary(), format!("missed: {what}"));
        }
    }

    #[test]
    fn every_row_shows_its_number_its_limit_and_its_judgement() {
        let table = table([
            Row::told("threads", 7, ""),
            Row::below("memory", 9, 8, "KiB"),
            Row::rate("wake-ups", 0.5, 1.0),
        ]);
        let text = table.to_string();
        let rows: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            rows,
            [
                "| threads | 7 |  |  |",
                "| memory | 9 KiB | ≤ 8 KiB | MISSED |",
                "| wake-ups | 0.50 /s | ≤ 1.00 /s | ok |"
            ]
        );
    }

    #[test]
    fn rows_without_a_limit_do_not_count_as_kept() {
        assert_eq!(table([Row::told("a", 1, ""), Row::exactly("b", 2, 2, "")]).summary(), "1 limits kept");
    }
}
