//! What is wrong with a configuration, shown the way a compiler does: place, line, caret, and what to write.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Longest piece of a line that is repeated, so that one long line does not fill a screen.
const SHOWN_CHARS: usize = 120;

/// Whether the configuration can be used all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, and means something else than it seems to.
    Warning,
}

/// Where a problem stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In the file.
    File {
        /// The file; `None` for text that came from nowhere.
        path: Option<PathBuf>,
        /// Counts from 1.
        line: usize,
        /// In characters, counts from 1.
        column: usize,
        /// The line (or a piece of it), safe to print.
        text: String,
        /// Characters of `text` before the caret.
        before: usize,
        /// Carets.
        width: usize,
    },
    /// In a variable of the environment, or in an option of the command line (`--bind`).
    Variable(String),
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// `network.mode`, or what was written instead of a key.
    pub key: String,
    /// What is wrong, on one line.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
    /// Where.
    pub place: Place,
}

/// Everything that is wrong, errors and warnings in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// At least one error.
    pub problems: Vec<Problem>,
}

impl Report {
    /// How many of the problems are errors.
    pub fn errors(&self) -> usize {
        self.problems.iter().filter(|p| p.severity == Severity::Error).count()
    }
}

impl Place {
    /// The place of a piece of the file.
    pub(super) fn in_file(path: Option<&Path>, text: &str, span: &Range<usize>) -> Self {
        let start = floor(text, span.start);
        let end = floor(text, span.end).max(start);
        let line_start = text.get(..start).and_then(|t| t.rfind('\n')).map_or(0, |at| at.saturating_add(1));
        let rest = text.get(line_start..).unwrap_or_default();
        let line_text = rest.split('\n').next().unwrap_or_default().trim_end_matches('\r');
        let line_end = line_start.saturating_add(line_text.len());
        let chars = |from: usize, to: usize| text.get(from..to).map_or(0, |t| t.chars().count());
        let before = chars(line_start, start.min(line_end));
        let width = chars(start.min(line_end), end.min(line_end)).max(1);
        let skipped = if before > SHOWN_CHARS / 2 { before.saturating_sub(SHOWN_CHARS / 4) } else { 0 };
        let shown: String = line_text.chars().skip(skipped).take(SHOWN_CHARS).map(printable).collect();
        let before_shown = before.saturating_sub(skipped);
        Self::File {
            path: path.map(Path::to_path_buf),
            line: text.get(..line_start).unwrap_or_default().matches('\n').count().saturating_add(1),
            column: before.saturating_add(1),
            width: width.min(SHOWN_CHARS.saturating_sub(before_shown).max(1)),
            before: before_shown,
            text: shown,
        }
    }

    /// For the order of the report.
    pub(super) fn order(&self) -> (bool, usize, usize) {
        match self {
            Self::File { line, column, .. } => (false, *line, *column),
            Self::Variable(_) => (true, 0, 0),
        }
    }
}

/// The nearest character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at = at.saturating_sub(1);
    }
    at
}

/// A file may hold escape sequences; a terminal must not see them, and a tab must not move the caret.
fn printable(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{severity}: {}", self.message)?;
        let gutter = match &self.place {
            Place::Variable(name) => {
                let kind = if name.starts_with("--") { "option" } else { "environment variable" };
                write!(f, "\n --> {kind} {name}")?;
                0
            }
            Place::File { path, line, column, text, before, width } => {
                let gutter = line.to_string().len();
                let name =
                    path.as_ref().map_or_else(|| "configuration".to_owned(), |p| p.display().to_string());
                write!(f, "\n{:gutter$}--> {name}:{line}:{column}", "")?;
                write!(f, "\n{:gutter$} |\n{line} | {text}", "")?;
                write!(f, "\n{:gutter$} | {:before$}{}", "", "", "^".repeat(*width))?;
                gutter
            }
        };
        if let Some(help) = &self.help {
            write!(f, "\n{:gutter$} = help: {help}", "")?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            write!(f, "{problem}\n\n")?;
        }
        match self.errors() {
            1 => f.write_str("1 error in the configuration"),
            n => write!(f, "{n} errors in the configuration"),
        }
    }
}

impl std::error::Error for Report {}
