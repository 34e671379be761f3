//! What the reader sees: numbered steps, the command one would type, its output, what it means. Colours only on a terminal.

use std::io::Write as _;
use std::time::Duration;

use anstyle::{AnsiColor, Style};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// What is true of everything that the stories show.
pub(super) const STANDALONE: [&str; 2] = [
    "Everything runs on this machine and talks over loopback: the programs, commands, keys and bytes",
    "are the real ones. A rate below is what this machine moves between two processes, not a network.",
];
pub(super) const CLUSTER: [&str; 3] = [
    "A real Kubernetes runs on this machine; its nodes and the appliance have networks of their own. Programs,",
    "commands, keys and bytes are the real ones. A rate below is what this machine moves, not a network.",
    "The first time, Kubernetes and the programs are built, which takes up to half an hour.",
];
pub(super) const OWN: [&str; 2] = [
    "Everything below is typed into your cluster as you would type it: a release in the namespace",
    "reflector-system, and a Reflector and an appliance in the namespace reflectors. They stay at the end.",
];
pub(super) const SEEN_ON_ONE_HOST: [&str; 3] = [
    "Seen: identity from a key, pairing by a code that works once, a test each way with its bottleneck, a",
    "stock iperf3, a limit that cuts a running test and survives kill -9, revocation of a live test, and",
    "an audit log in which a single changed byte is found.",
];
pub(super) const NEXT_ON_ONE_HOST: [&str; 5] = [
    "README.md                    the same by hand, on a host of yours",
    "reflector COMMAND --help     each command, with examples and exit codes",
    "docs/features.md             what works, row by row, and what proves it",
    "docs/architecture.md         how it is made",
    "cargo verify                 prove everything",
];
pub(super) const SEEN_IN_A_CLUSTER: [&str; 3] = [
    "Seen: an operator from its chart, an endpoint from one file, pairing by a code that works once, a test each",
    "way with its bottleneck, a stock iperf3, use that one reads in `kubectl get`, a quota that cuts a running",
    "test while one edits it, and a revocation. All of it runs on.",
];

/// The story so far. Writing is best effort: a reader that went away changes nothing about the result.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    step: usize,
}

impl Screen {
    pub(super) fn title(&self, title: &str, about: &[&str]) {
        write(&format!("\n{BOLD}{title}{BOLD:#}\n\n"));
        for line in about {
            self.say(line);
        }
        write("\n");
    }

    /// A new step.
    pub(super) fn step(&mut self, title: &str) {
        self.step += 1;
        write(&format!("\n{BOLD}{:>2}  {title}{BOLD:#}\n", self.step));
    }

    /// The number of the step at hand.
    pub(super) const fn number(&self) -> usize {
        self.step
    }

    /// A sentence.
    #[expect(clippy::unused_self, reason = "whoever writes holds the screen")]
    pub(super) fn say(&self, text: &str) {
        write(&format!("    {text}\n"));
    }

    /// What a user would type.
    #[expect(clippy::unused_self, reason = "whoever writes holds the screen")]
    pub(super) fn command(&self, text: &str) {
        write(&format!("    {BOLD}$ {text}{BOLD:#}\n"));
    }

    /// What a command or a file says.
    #[expect(clippy::unused_self, reason = "whoever writes holds the screen")]
    pub(super) fn output(&self, text: &str) {
        for line in aligned(text).lines() {
            write(&format!("      {DIM}{line}{DIM:#}\n"));
        }
    }

    /// Something that had to be so, and is.
    #[expect(clippy::unused_self, reason = "whoever writes holds the screen")]
    pub(super) fn good(&self, text: &str) {
        write(&format!("    {GOOD}ok{GOOD:#}  {text}\n"));
    }

    /// What was seen, and where to go next.
    pub(super) fn summary(&self, took: Duration, seen: &[&str], next: &[&str]) {
        let steps = self.step;
        write(&format!(
            "\n{BOLD}All {steps} steps went as expected, in {:.0} s.{BOLD:#}\n\n",
            took.as_secs_f64()
        ));
        for line in seen {
            self.say(line);
        }
        write("\n");
        self.say("Where to go next:");
        for line in next {
            self.say(&format!("  {line}"));
        }
    }
}

/// The last words when something did not hold.
pub(super) fn failed(why: &str) {
    // Standard error may be closed; the exit code says it, too.
    let _ = writeln!(anstream::stderr(), "\n{BAD}the demo failed:{BAD:#} {why}");
}

fn write(text: &str) {
    let mut out = anstream::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// The CLI puts tabs between columns when its reader is no terminal; our reader is a person.
fn aligned(text: &str) -> String {
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    let mut widths: Vec<usize> = Vec::new();
    for row in rows.iter().filter(|row| row.len() > 1) {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &Vec<&str>| {
        let last = row.len().saturating_sub(1);
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells
            .map(|(at, (cell, width))| if at < last { format!("{cell:width$}") } else { (*cell).to_owned() });
        if row.len() > 1 { cells.collect::<Vec<_>>().join("  ") } else { row.concat() }
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// 12345678 → `12 345 678`
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tabs_become_columns_and_sentences_stay_as_they_are() {
        let text = "serving, and a long sentence\nNAME\tSTATE\npeer-1\tauthorized";
        assert_eq!(aligned(text), "serving, and a long sentence\nNAME    STATE\npeer-1  authorized");
        assert_eq!(aligned(""), "");
    }

    #[test]
    fn numbers_are_grouped_by_three() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1 000"), (12_345_678, "12 345 678")] {
            assert_eq!(grouped(number), text);
        }
    }
}
