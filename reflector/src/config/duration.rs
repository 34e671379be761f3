//! Durations in the file and on the command line, written as in the objects: `90`, `90s`, `10m`, `24h`, `7d`.

use std::time::Duration;

use crds::quantity::{DurationError, DurationText};

/// Units, longest first.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// Reads a duration. A bare number is seconds.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    DurationText::new(text.trim()).value()
}

/// Writes whole seconds in the largest unit that fits exactly; up to two days in hours, as people do.
pub fn show(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds == 0 {
        return "0s".to_owned();
    }
    for (name, unit) in UNITS {
        if seconds.is_multiple_of(unit) && (name != 'd' || seconds >= 2 * unit) {
            return format!("{}{name}", seconds / unit);
        }
    }
    format!("{seconds}s")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bare_numbers_and_units_are_read() {
        for (text, seconds) in [
            ("0", 0),
            ("90", 90),
            ("90s", 90),
            ("10m", 600),
            ("24h", 86_400),
            ("7d", 604_800),
            (" 90m ", 5_400),
        ] {
            assert_eq!(parse(text).unwrap(), Duration::from_secs(seconds), "{text}");
        }
    }

    #[test]
    fn what_an_object_refuses_is_refused_here_with_the_same_words() {
        for (text, says) in [
            ("", "such as 60s"),
            ("500ms", "write 1s"),
            ("1h30m", "90m instead of 1h30m"),
            ("-5s", "whole number"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn durations_are_written_as_people_write_them() {
        for (seconds, text) in [(0, "0s"), (61, "61s"), (600, "10m"), (86_400, "24h"), (172_800, "2d")] {
            assert_eq!(show(Duration::from_secs(seconds)), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(seconds in 0u64..100_000_000) {
            let duration = Duration::from_secs(seconds);
            prop_assert_eq!(parse(&show(duration)).unwrap(), duration);
        }

        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = parse(&text);
        }
    }
}
