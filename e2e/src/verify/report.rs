//! What a person reads: one line per step, the tail of a failure, the summary. Pure text.

use std::fmt::Write as _;
use std::time::Duration;

use anstyle::{AnsiColor, Style};

use super::steps::{Step, When};

/// Lines of a failed step's output that are shown; the rest is in its log.
const TAIL_LINES: usize = 40;
/// A line of output is cut here, so that one minified line cannot fill the screen.
const TAIL_COLUMNS: usize = 300;
/// What fits on the narrowest usual terminal: the progress line must not wrap, or it cannot be redrawn.
const PROGRESS_COLUMNS: usize = 78;
const SPINNER: [char; 4] = ['|', '/', '-', '\\'];

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// With a note worth reading, or none.
    Passed(String),
    /// With the last lines of its output.
    Failed { tail: String, again: Vec<String> },
    /// Could not run; says what is missing.
    Skipped(String),
}

/// Counts verdicts.
#[derive(Debug, Default)]
pub(super) struct Tally {
    passed: usize,
    failed: Vec<&'static str>,
    skipped: usize,
}

impl Tally {
    /// Adds a step.
    pub(super) fn add(&mut self, name: &'static str, verdict: &Verdict) {
        match verdict {
            Verdict::Passed(_) => self.passed += 1,
            Verdict::Failed { .. } => self.failed.push(name),
            Verdict::Skipped(_) => self.skipped += 1,
        }
    }

    /// Whether the run as a whole is good.
    pub(super) fn is_good(&self) -> bool {
        self.failed.is_empty()
    }

    /// The last lines of a run; the very last one is for machines too and keeps its form.
    pub(super) fn summary(&self, took: Duration) -> String {
        let mut out = format!("\ntook {}\n", seconds(took));
        if !self.failed.is_empty() {
            let _ = writeln!(out, "failed: {}", self.failed.join(", "));
        }
        let _ = write!(out, "{} passed, {} failed", self.passed, self.failed.len());
        if self.skipped > 0 {
            let _ = write!(out, ", {} skipped", self.skipped);
        }
        out
    }
}

/// The lines of a finished step.
pub(super) fn finished(name: &str, took: Duration, verdict: &Verdict) -> String {
    match verdict {
        Verdict::Passed(note) => line("ok", AnsiColor::Green.on_default(), name, took, note),
        Verdict::Skipped(why) => {
            line("SKIP", AnsiColor::Yellow.on_default(), name, took, &format!("SKIPPED: {why}"))
        }
        Verdict::Failed { tail, again } => {
            let mut out = line("FAIL", AnsiColor::Red.on_default().bold(), name, took, "");
            for text in tail.lines() {
                let _ = write!(out, "\n     | {text}");
            }
            for command in again {
                let _ = write!(out, "\n     again: {command}");
            }
            out
        }
    }
}

fn line(mark: &str, style: Style, name: &str, took: Duration, note: &str) -> String {
    let text = format!("{style}{mark:<4}{style:#} {name:<12} {:>9}  {note}", seconds(took));
    text.trim_end().to_owned()
}

/// What is printed while a step runs and there is no terminal to redraw.
pub(super) fn running(name: &str, took: Duration) -> String {
    if took.is_zero() { format!("...  {name}") } else { format!("...  {name:<12} {:>9}", seconds(took)) }
}

/// The progress line on a terminal, without line end.
pub(super) fn progress(name: &str, stage: &str, took: Duration, frame: usize) -> String {
    let spinner = SPINNER.get(frame % SPINNER.len()).unwrap_or(&' ');
    let text = format!("{spinner}    {name:<12} {:>9}  {stage}", seconds(took));
    text.chars().take(PROGRESS_COLUMNS).collect()
}

/// A line of `--list`.
pub(super) fn listed(step: &Step) -> String {
    let when = match step.when {
        When::Always => "",
        When::Long => " (with --long, and in CI)",
        When::Named => " (when named)",
    };
    format!("{:<12} {}{when}", step.name, step.what)
}

/// The end of a log, bounded in lines and columns.
pub(super) fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.trim_end().lines().collect();
    let from = lines.len().saturating_sub(TAIL_LINES);
    let short: Vec<String> =
        lines.iter().skip(from).map(|line| line.chars().take(TAIL_COLUMNS).collect()).collect();
    short.join("\n")
}

fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    fn failed() -> Verdict {
        Verdict::Failed {
            tail: "error: no\nhelp: yes".into(),
            again: vec!["cargo verify --only clippy".into()],
        }
    }

    #[test]
    fn a_passed_step_is_one_line_with_its_time() {
        let text = finished("fmt", Duration::from_millis(1240), &Verdict::Passed(String::new()));
        assert_eq!(plain(&text), "ok   fmt              1.2 s");
    }

    #[test]
    fn a_failure_shows_its_output_and_the_command_to_repeat_it() {
        let text = plain(&finished("clippy", Duration::from_secs(12), &failed()));
        assert_eq!(
            text,
            "FAIL clippy          12.0 s\n     | error: no\n     | help: yes\n     again: cargo verify --only clippy"
        );
    }

    #[test]
    fn a_skip_is_said_aloud_with_its_reason() {
        let text = plain(&finished("fuzz", Duration::ZERO, &Verdict::Skipped("no compiler".into())));
        assert!(text.starts_with("SKIP fuzz") && text.ends_with("SKIPPED: no compiler"), "{text}");
    }

    #[test]
    fn the_last_line_counts_and_nothing_follows_it() {
        let mut tally = Tally::default();
        tally.add("fmt", &Verdict::Passed(String::new()));
        assert!(tally.is_good());
        assert_eq!(tally.summary(Duration::ZERO).lines().last(), Some("1 passed, 0 failed"));
        tally.add("clippy", &failed());
        tally.add("fuzz", &Verdict::Skipped("x".into()));
        assert!(!tally.is_good());
        let summary = tally.summary(Duration::ZERO);
        assert!(summary.contains("failed: clippy\n"));
        assert!(summary.ends_with("\n1 passed, 1 failed, 1 skipped"), "{summary}");
    }

    #[test]
    fn a_long_log_is_cut_in_lines_and_columns() {
        let log: String = (0..100).fold(String::new(), |log, n| log + &format!("{n} {}\n", "x".repeat(1000)));
        let tail = tail(&log);
        assert_eq!(tail.lines().count(), TAIL_LINES);
        assert!(tail.lines().all(|line| line.chars().count() <= TAIL_COLUMNS));
        assert!(tail.lines().last().is_some_and(|line| line.starts_with("99 ")));
        assert!(
            progress("fuzz", &"y".repeat(200), Duration::from_secs(1), 7).chars().count() <= PROGRESS_COLUMNS
        );
    }
}
