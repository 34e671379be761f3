//! Tests that cannot run on this machine: said aloud, counted by `cargo verify`, and a failure in CI.
//!
//! In: what is missing. Out: one line past the test harness, which keeps to itself what passing tests print. A test
//! returns right after it. What may be missing even in CI is a list here, each with its reason.

use std::io::Write as _;

/// How such a line begins. The test and what it misses follow, with `: ` between them.
pub const MARK: &str = "SKIPPED: ";

/// How the line of a test begins that `cargo verify` runs at another time.
pub const LEFT: &str = "LEFT: ";

/// What may be missing in CI as well: how it begins, and why it may.
pub const EVEN_IN_CI: [(&str, &str); 1] =
    [("iperf3 of version ", "a distribution has one version; that there is any is required")];

/// Says that the running test cannot run for want of this.
///
/// # Panics
///
/// In CI, unless it is one of [`EVEN_IN_CI`].
pub fn skip_test(missing: &str) {
    say(MARK, missing);
    let may = !in_ci() || may_be_missing_in_ci(missing);
    assert!(may, "CI must be able to run this test, but there is not: {missing}");
}

/// Says that the running test is left to this.
pub fn leave_test_to(whom: &str) {
    say(LEFT, &format!("to {whom}"));
}

/// Whether this is CI: `CI=true` or `CI=1`.
#[expect(clippy::disallowed_methods, reason = "CI says so in its environment")]
pub fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| is_ci(&value))
}

/// Whether it is one of [`EVEN_IN_CI`].
pub fn may_be_missing_in_ci(missing: &str) -> bool {
    EVEN_IN_CI.iter().any(|(begins, _)| missing.starts_with(begins))
}

fn is_ci(value: &str) -> bool {
    matches!(value, "true" | "1")
}

fn say(mark: &str, what: &str) {
    let this = std::thread::current();
    let line = line(mark, this.name().unwrap_or("a test"), what);
    // Best effort: a reader that went away changes nothing about the test.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// One line whatever a program has said, so that whoever counts lines counts tests.
fn line(mark: &str, test: &str, what: &str) -> String {
    let words: Vec<&str> = what.split_whitespace().collect();
    format!("{mark}{test}: {}\n", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skipped_test_is_one_line_that_names_it() {
        assert_eq!(
            line(MARK, "cable::a_cut", "a network:\n  not\tpermitted\n"),
            "SKIPPED: cable::a_cut: a network: not permitted\n"
        );
    }

    #[test]
    fn only_what_is_listed_may_be_missing_in_ci() {
        assert!(may_be_missing_in_ci("iperf3 of version 3.9; name one in REFLECTOR_IPERF3"));
        assert!(!may_be_missing_in_ci("iperf3 (Debian package iperf3)"));
        assert!(!may_be_missing_in_ci(""));
    }

    #[test]
    fn ci_is_true_or_one_and_nothing_else() {
        assert!(is_ci("true") && is_ci("1"));
        assert!(!is_ci("") && !is_ci("false") && !is_ci("0"));
    }
}
