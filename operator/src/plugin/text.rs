//! Words for tables and trees. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// What stands for nothing.
pub(super) const NONE: &str = "-";

/// Adds a line.
pub(super) fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

/// A table with aligned columns; the first row is its heading.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| plain(cell)).collect()).collect();
    let mut widths: Vec<usize> = Vec::new();
    for row in &rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let drawn = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("   ").trim_end())
    };
    rows.iter().map(drawn).collect()
}

/// A line and what hangs on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Branch {
    pub(super) line: String,
    pub(super) below: Vec<Branch>,
}

impl Branch {
    pub(super) fn new(line: impl Into<String>) -> Self {
        Self { line: line.into(), below: vec![] }
    }

    pub(super) fn draw(&self) -> String {
        let mut out = format!("{}\n", plain(&self.line));
        self.draw_below("", &mut out);
        out
    }

    fn draw_below(&self, before: &str, out: &mut String) {
        for (index, branch) in self.below.iter().enumerate() {
            let last = index + 1 == self.below.len();
            let (here, further) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            line(out, &format!("{before}{here}{}", plain(&branch.line)));
            branch.draw_below(&format!("{before}{further}"), out);
        }
    }
}

/// Foreign text on one line and without escape sequences: messages may quote what a stranger sent.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// How long ago, as kubectl says it: the largest unit alone.
pub(super) fn ago(then: Option<&Time>, now: Timestamp) -> String {
    let Some(then) = then else { return NONE.to_owned() };
    let seconds = now.as_second().saturating_sub(then.0.as_second()).max(0);
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7_199 => format!("{}m", seconds / 60),
        7_200..=172_799 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Bytes with a decimal unit.
pub(super) fn bytes(number: i64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut unit = 0;
    let mut rest = number.max(0);
    let mut tenth = 0;
    while rest >= 1_000 && unit + 1 < UNITS.len() {
        tenth = rest % 1_000 / 100;
        rest /= 1_000;
        unit += 1;
    }
    let name = UNITS[unit];
    if unit == 0 || rest >= 100 { format!("{rest} {name}") } else { format!("{rest}.{tenth} {name}") }
}

/// `1 test`, `2 tests`
pub(super) fn count(number: i64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

pub(super) fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Whether a condition is as it should be: those that are there only while something is the matter, the other way
/// round, and advice never is the matter.
pub(super) fn is_fine(condition: &Condition) -> bool {
    match condition.type_.as_str() {
        "Stalled" | "Reconciling" | "Revoked" => condition.status != "True",
        "HardwareReady" => true,
        _ => condition.status == "True",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_shows_what_hangs_on_what() {
        let leaf = Branch::new;
        let tree = Branch {
            line: "root".into(),
            below: vec![Branch { line: "a".into(), below: vec![leaf("b"), leaf("c")] }, leaf("d")],
        };
        assert_eq!(tree.draw(), "root\n├─ a\n│  ├─ b\n│  └─ c\n└─ d\n");
    }

    #[test]
    fn foreign_text_moves_no_cursor_and_forges_no_row() {
        let rows = [vec!["a\u{1b}[2Jb".to_owned(), "c\nd".to_owned()]];
        assert_eq!(table(&rows), "a\u{fffd}[2Jb   c\u{fffd}d\n");
        assert_eq!(Branch::new("a\nb").draw(), "a\u{fffd}b\n");
    }

    #[test]
    fn amounts_and_ages_are_short() {
        let said = [0, 999, 1_000, 1_550, 123_456, 5_000_000_000, i64::MAX].map(bytes);
        assert_eq!(said, ["0 B", "999 B", "1.0 kB", "1.5 kB", "123 kB", "5.0 GB", "9223372 TB"]);
        let then = Time(Timestamp::from_second(0).unwrap());
        let ages =
            [5, 119, 120, 7_200, 200_000].map(|s| ago(Some(&then), Timestamp::from_second(s).unwrap()));
        assert_eq!(ages, ["5s", "119s", "2m", "2h", "2d"]);
        assert_eq!(ago(None, Timestamp::UNIX_EPOCH), "-");
    }
}
