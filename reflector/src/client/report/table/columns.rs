//! Lines and columns, painted or not. Pure.

use std::fmt::Write as _;

use anstyle::Style;

pub(super) const HEAD: Style = Style::new().bold();

/// Whether to paint.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint(pub(super) bool);

impl Paint {
    pub(super) fn with(self, style: Style, text: &str) -> String {
        if self.0 { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

/// Columns: the first is aligned to the left, numbers to the right, and the last, a word, to the left again when it is
/// no number.
pub(super) fn table(out: &mut String, rows: &[Vec<String>], paint: Paint) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let is_word =
        |column: usize| {
            column == 0
                || rows.iter().skip(1).filter_map(|row| row.get(column)).any(|cell| {
                    cell.contains('_') || !cell.contains(|c: char| c.is_ascii_digit() || c == '–')
                })
        };
    let words: Vec<bool> = (0..columns).map(is_word).collect();
    for (index, row) in rows.iter().enumerate() {
        let cells = row.iter().zip(widths.iter().zip(&words)).map(|(cell, (width, word))| {
            if *word { format!("{cell:width$}") } else { format!("{cell:>width$}") }
        });
        let text = cells.collect::<Vec<_>>().join("  ");
        line(out, &if index == 0 { paint.with(HEAD, text.trim_end()) } else { text });
    }
}

pub(super) fn line(out: &mut String, text: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{}", text.trim_end());
}
