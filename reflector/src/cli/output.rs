//! What a command answers and how it reaches standard output: for people, or as JSON. Nothing else writes
//! there but `audit export`, whose answer may be longer than memory.

use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style as Paint};
use serde::Serialize;

use super::args::Colour;
use super::exit::Exit;
pub(super) use crate::said::bytes;

/// How to write for the reader at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Colours may be used.
    pub colour: bool,
    /// Columns are aligned; a program wants one tab between them instead.
    pub aligned: bool,
}

/// The answer of a command.
pub trait Answer {
    /// For programs: a stable structure, which only gains keys.
    fn json(&self) -> serde_json::Result<String>;
    /// For people; ends with a newline unless it is empty.
    fn text(&self, style: Style) -> String;
    /// How the command ends when this is its answer.
    fn exit(&self) -> Exit {
        Exit::Done
    }
}

/// Something that was done and has nothing more to say than this.
#[derive(Debug, Serialize)]
pub struct Said {
    /// What was done.
    pub message: String,
}

impl Answer for Said {
    fn json(&self) -> serde_json::Result<String> {
        pretty(self)
    }

    fn text(&self, _: Style) -> String {
        if self.message.is_empty() || self.message.ends_with('\n') {
            self.message.clone()
        } else {
            format!("{}\n", self.message)
        }
    }
}

/// JSON as a person can read it too.
pub fn pretty<T: Serialize>(value: &T) -> serde_json::Result<String> {
    serde_json::to_string_pretty(value)
}

/// For what is as it should be.
pub(super) const GOOD: Paint = AnsiColor::Green.on_default();
/// For what needs somebody.
pub(super) const BAD: Paint = AnsiColor::Red.on_default();
/// For headings.
pub(super) const HEAD: Paint = Paint::new().bold();

impl Style {
    /// For the standard output of this process.
    pub(super) fn stdout(wanted: Colour) -> Self {
        Self { colour: is_coloured(wanted, &io::stdout()), aligned: io::stdout().is_terminal() }
    }

    /// Paints `text` where allowed.
    pub fn paint(self, paint: Paint, text: &str) -> String {
        if self.colour { format!("{paint}{text}{paint:#}") } else { text.to_owned() }
    }

    /// A table. The first row is its heading; the last column is not padded.
    pub fn table(self, rows: &[Vec<String>]) -> String {
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(|cell| plain(cell)).collect()).collect();
        let mut widths: Vec<usize> = Vec::new();
        for row in &rows {
            widths.resize(widths.len().max(row.len()), 0);
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let mut out = String::new();
        for (index, row) in rows.iter().enumerate() {
            let last = row.len().saturating_sub(1);
            let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
                let padded =
                    if self.aligned && column < last { format!("{cell:width$}") } else { cell.clone() };
                if index == 0 { self.paint(HEAD, &padded) } else { padded }
            });
            out.push_str(&cells.collect::<Vec<_>>().join(if self.aligned { "  " } else { "\t" }));
            out.push('\n');
        }
        out
    }
}

/// Foreign text on one line and without escape sequences: file names and the names in manifests may hold either.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Whether to colour a stream: `--color`, and for `auto` a terminal, `NO_COLOR` and its kin.
pub(super) fn is_coloured(wanted: Colour, stream: &impl anstream::stream::RawStream) -> bool {
    match wanted {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => anstream::AutoStream::choice(stream) != anstream::ColorChoice::Never,
    }
}

/// Writes an answer and says how the command ends. A reader that hung up (`| head -1`) has what it wanted.
pub(super) fn emit(
    answer: &dyn Answer,
    json: bool,
    style: Style,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let mut text = if json { answer.json()? } else { answer.text(style) };
    if json {
        text.push('\n');
    }
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            Err(anyhow::Error::new(e).context("write the answer"))
        }
        _ => Ok(answer.exit()),
    }
}

/// `1 test`, `2 tests`
pub(super) fn count(number: u32, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMINAL: Style = Style { colour: true, aligned: true };
    const PIPE: Style = Style { colour: false, aligned: false };

    #[test]
    fn a_table_is_aligned_for_people_and_tabbed_for_programs() {
        let rows = [["NAME", "STATE"], ["attic", "authorized"]].map(|r| r.map(str::to_owned).to_vec());
        assert_eq!(PIPE.table(&rows), "NAME\tSTATE\nattic\tauthorized\n");
        assert_eq!(
            TERMINAL.table(&rows),
            "\u{1b}[1mNAME \u{1b}[0m  \u{1b}[1mSTATE\u{1b}[0m\nattic  authorized\n"
        );
    }

    #[test]
    fn foreign_text_moves_no_cursor_and_forges_no_row() {
        let rows = [vec!["a\u{1b}[2Jb".to_owned(), "c\nd\te".to_owned()]];
        assert_eq!(PIPE.table(&rows), "a\u{fffd}[2Jb\tc\u{fffd}d\u{fffd}e\n");
    }

    #[test]
    fn one_of_a_thing_is_not_said_in_the_plural() {
        let said = [0, 1, 2].map(|number| count(number, "test"));
        assert_eq!(said, ["0 tests", "1 test", "2 tests"]);
    }

    /// A reader that hung up.
    struct Gone(io::ErrorKind);

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_hung_up_is_no_error_and_a_full_disk_is() {
        let said = Said { message: "x".to_owned() };
        assert_eq!(emit(&said, false, PIPE, &mut Gone(io::ErrorKind::BrokenPipe)).unwrap(), Exit::Done);
        assert!(emit(&said, false, PIPE, &mut Gone(io::ErrorKind::StorageFull)).is_err());
    }
}
