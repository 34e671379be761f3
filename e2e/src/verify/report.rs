//! What a person reads: one line per step, the tail of a failure, the summary. Pure text.

use std::fmt::Write as _;
use std::time::Duration;

use anstyle::{AnsiColor, Style};

use super::steps::{Step, When};

/// Lines of a failed step's output that are shown; the rest is in its log.
const TAIL_LINES: usize = 40;
/// Lines before them that name a failure: whoever sees only the start of a report still learns what failed.
const CULPRIT_LINES: usize = 60;
/// What a panic says below its place.
const PANIC_LINES: usize = 4;
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
    /// The same without some of its tests, and what they miss.
    Partly { note: String, tests: usize, missing: Vec<String> },
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
    /// Steps, and tests of steps: how many there were, and in words.
    skipped: usize,
    skipped_in: Vec<String>,
}

impl Tally {
    /// Adds a step.
    pub(super) fn add(&mut self, name: &'static str, verdict: &Verdict) {
        match verdict {
            Verdict::Passed(_) => self.passed += 1,
            Verdict::Failed { .. } => self.failed.push(name),
            Verdict::Partly { tests, .. } => {
                self.passed += 1;
                self.skipped += tests;
                self.skipped_in.push(format!("{name} ({tests} of its tests)"));
            }
            Verdict::Skipped(_) => {
                self.skipped += 1;
                self.skipped_in.push(name.to_owned());
            }
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
        if !self.skipped_in.is_empty() {
            let _ = writeln!(out, "skipped: {}", self.skipped_in.join(", "));
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
        Verdict::Partly { note, tests, missing } => {
            let note = format!("{note}, {tests} skipped");
            let mut out =
                line("ok", AnsiColor::Green.on_default(), name, took, note.trim_start_matches(", "));
            let yellow = AnsiColor::Yellow.on_default();
            for what in missing {
                let _ = write!(out, "\n     {yellow}SKIPPED{yellow:#}: {what}");
            }
            out
        }
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

/// What `--list` prints: each step, and which runs have it.
pub(super) fn list(steps: &[Step]) -> String {
    let mut out = String::new();
    for step in steps {
        let when = match step.when {
            When::Quick => "quick",
            When::Always => "",
            When::Long => "long",
        };
        let _ = writeln!(out, "{:<12} {when:<6} {}", step.name, step.what);
    }
    out.push_str(
        "\ncargo verify runs all but `long`, cargo verify --quick only `quick`, cargo verify --long and CI=true all.",
    );
    out
}

/// What failed, as far as a line of the log names it, then its end; bounded in lines and columns.
pub(super) fn excerpt(log: &str) -> String {
    let lines: Vec<&str> = log.trim_end().lines().collect();
    let (before, end) = lines.split_at(lines.len().saturating_sub(TAIL_LINES));
    let named = culprits(before);
    let gap = (!named.is_empty()).then_some("...");
    let short = |line: &str| line.chars().take(TAIL_COLUMNS).collect::<String>();
    named.iter().copied().chain(gap).chain(end.iter().copied()).map(short).collect::<Vec<_>>().join("\n")
}

/// The lines that name a failed test or target, and what panics said.
fn culprits<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let mut named = Vec::new();
    let mut of_a_panic = 0;
    for line in lines {
        if line.contains("panicked at ") {
            of_a_panic = PANIC_LINES;
        } else if line.trim().is_empty() || line.starts_with("note: ") {
            of_a_panic = 0;
        }
        if of_a_panic > 0 || line.ends_with("... FAILED") || line.starts_with("error") {
            named.push(*line);
        }
        of_a_panic = of_a_panic.saturating_sub(1);
    }
    named.truncate(CULPRIT_LINES);
    named
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
    fn skipped_tests_of_a_step_are_shown_and_counted_in_the_closing_line() {
        let missing = vec!["iperf3 (7 tests)".to_owned()];
        let verdict = Verdict::Partly { note: "40 tests".into(), tests: 7, missing };
        let text = plain(&finished("test", Duration::ZERO, &verdict));
        assert_eq!(text, "ok   test             0.0 s  40 tests, 7 skipped\n     SKIPPED: iperf3 (7 tests)");
        let mut tally = Tally::default();
        tally.add("test", &verdict);
        tally.add("bed", &Verdict::Skipped("root".into()));
        assert!(tally.is_good());
        let summary = tally.summary(Duration::ZERO);
        assert!(
            summary.ends_with("\nskipped: test (7 of its tests), bed\n1 passed, 0 failed, 8 skipped"),
            "{summary}"
        );
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
    fn the_list_says_which_runs_have_a_step() {
        let list = list(crate::verify::steps::STEPS);
        let starts = |start: &str| list.lines().any(|line| line.starts_with(start));
        assert!(starts("fmt          quick  the code"), "{list}");
        assert!(starts("bed                 a real Kubernetes"), "{list}");
        assert!(starts("fuzz         long   each"), "{list}");
    }

    #[test]
    fn a_long_log_is_cut_in_lines_and_columns() {
        let log: String = (0..100).fold(String::new(), |log, n| log + &format!("{n} {}\n", "x".repeat(1000)));
        let shown = excerpt(&log);
        assert_eq!(shown.lines().count(), TAIL_LINES);
        assert!(shown.lines().all(|line| line.chars().count() <= TAIL_COLUMNS));
        assert!(shown.lines().last().is_some_and(|line| line.starts_with("99 ")));
        let progress = progress("fuzz", &"y".repeat(200), Duration::from_secs(1), 7);
        assert!(progress.chars().count() <= PROGRESS_COLUMNS);
    }

    #[test]
    fn what_failed_long_before_the_end_is_named_first() {
        let early = "test a::b ... ok\ntest a::c ... FAILED\n\nthread 'a::c' panicked at x.rs:1:2:\n\
                     left: 1\nright: 2\nnote: run with\n\nerror: test failed, to rerun pass `--test a`\n";
        let shown = excerpt(&format!("{early}{}", "test d ... ok\n".repeat(TAIL_LINES)));
        let named = "test a::c ... FAILED\nthread 'a::c' panicked at x.rs:1:2:\nleft: 1\nright: 2\n\
                     error: test failed, to rerun pass `--test a`\n...\ntest d ... ok";
        assert!(shown.starts_with(named), "{shown}");
        let many = excerpt(&"test a ... FAILED\n".repeat(1000));
        assert_eq!(many.lines().count(), CULPRIT_LINES + 1 + TAIL_LINES);
    }
}
