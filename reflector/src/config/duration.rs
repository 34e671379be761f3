//! Durations as people type them in the file and on the command line: `90`, `90s`, `10m`, `1h30m`, `7d`.

use std::time::Duration;

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{reason}; write a number and a unit, s, m, h or d, such as 90s, 10m or 24h (a bare number is seconds)"
)]
pub struct DurationError {
    reason: String,
}

/// Units, longest first.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// Reads a duration. A bare number is seconds; pieces add up (`1h30m`).
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let text = text.trim();
    let refuse = |reason: String| DurationError { reason };
    if text.is_empty() {
        return Err(refuse("no duration given".to_owned()));
    }
    let shown = || format!("\"{}\"", text.chars().take(24).collect::<String>().escape_debug());
    let too_long = || refuse(format!("{} is too long", shown()));
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().map(Duration::from_secs).map_err(|_| too_long());
    }
    let (mut total, mut number) = (0u64, None::<u64>);
    for c in text.chars() {
        if let Some(digit) = c.to_digit(10) {
            let so_far = number.unwrap_or(0);
            number = so_far.checked_mul(10).and_then(|n| n.checked_add(u64::from(digit)));
            if number.is_none() {
                return Err(too_long());
            }
        } else {
            let unit = UNITS.iter().find(|(name, _)| *name == c).map(|(_, seconds)| *seconds);
            let (Some(unit), Some(count)) = (unit, number.take()) else {
                return Err(refuse(format!("{} is not a duration", shown())));
            };
            total = count.checked_mul(unit).and_then(|s| total.checked_add(s)).ok_or_else(too_long)?;
        }
    }
    match number {
        None => Ok(Duration::from_secs(total)),
        Some(_) => Err(refuse(format!("{} ends without a unit", shown()))),
    }
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
    fn bare_numbers_units_and_sums_are_read() {
        for (text, seconds) in [
            ("0", 0),
            ("90", 90),
            ("90s", 90),
            ("10m", 600),
            ("24h", 86_400),
            ("7d", 604_800),
            (" 1h30m ", 5_400),
        ] {
            assert_eq!(parse(text).unwrap(), Duration::from_secs(seconds), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_an_example() {
        for text in
            ["", "h", "10x", "500ms", "1h30", "-5s", "1.5h", "99999999999999999999", "300000000000000d"]
        {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains("such as 90s"), "{text}: {error}");
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
