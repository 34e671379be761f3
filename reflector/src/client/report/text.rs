//! Numbers and foreign words as people read them. Pure.

use crate::engine::evidence::{Real, float};

/// Foreign text on one line, without escape sequences, and without the marks that turn the order of what follows.
pub(super) fn plain(text: &str) -> String {
    let turns = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}');
    text.chars().map(|c| if c.is_control() || turns(c) { '\u{fffd}' } else { c }).collect()
}

/// Mbit/s in the unit that fits, three digits.
pub(super) fn rate(mbps: f64) -> String {
    let (number, unit) = match mbps {
        _ if mbps >= 999.5 => (mbps / 1000.0, "Gbit/s"),
        _ if mbps >= 0.9995 || mbps == 0.0 => (mbps, "Mbit/s"),
        _ => (mbps * 1000.0, "kbit/s"),
    };
    format!("{} {unit}", digits(number))
}

/// Microseconds in the unit that fits.
pub(super) fn time(us: f64) -> String {
    let (number, unit) = match us.abs() {
        size if size >= 999_500.0 => (us / 1e6, "s"),
        size if size >= 999.5 => (us / 1000.0, "ms"),
        _ => (us, "µs"),
    };
    format!("{} {unit}", digits(number))
}

/// By how much a time grew: `round trip +12 ms`. A path does not get quicker under load: less than nothing is the noise
/// of two measurements, and a negative number would read as a fault of ours. The JSON has it.
pub(super) fn grew(what: &str, us: f64) -> String {
    if us > 0.0 { format!("{what} +{}", time(us)) } else { format!("{what}: no measurable increase") }
}

/// Bytes in the decimal unit that fits.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let mut number = float(count);
    let mut unit = 0;
    while number >= 999.5 && unit + 1 < UNITS.len() {
        number /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{} {}", digits(number), UNITS[unit]) }
}

/// Seconds of a run.
pub(super) fn seconds(seconds: f64) -> String {
    format!("{seconds:.1} s")
}

/// A count with thin groups, as eyes count digits in threes.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A measured number without decimals, in the groups of [`count`].
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float saturates")]
pub(super) fn whole(number: f64) -> String {
    count(number.round() as u64)
}

/// Three digits, as many as a measurement is worth.
fn digits(number: f64) -> String {
    match number.abs() {
        size if size >= 99.95 => format!("{number:.0}"),
        size if size >= 9.995 => format!("{number:.1}"),
        _ if number == 0.0 => "0".to_owned(),
        _ => format!("{number:.2}"),
    }
}

/// A measured number said by `say`, or a dash.
pub(super) fn or_dash(number: Option<Real>, say: fn(f64) -> String) -> String {
    number.map_or_else(|| "–".to_owned(), |number| say(number.value()))
}

/// A count, or a dash.
pub(super) fn count_or_dash(number: Option<u64>) -> String {
    number.map_or_else(|| "–".to_owned(), count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_the_unit_that_fits() {
        let rates =
            [0.0, 0.0123, 0.9994, 0.9996, 38.64, 99.96, 487.2, 999.4, 999.6, 9412.0, 123_456.0].map(rate);
        assert_eq!(
            rates,
            [
                "0 Mbit/s",
                "12.3 kbit/s",
                "999 kbit/s",
                "1.00 Mbit/s",
                "38.6 Mbit/s",
                "100 Mbit/s",
                "487 Mbit/s",
                "999 Mbit/s",
                "1.00 Gbit/s",
                "9.41 Gbit/s",
                "123 Gbit/s"
            ]
        );
        let times = [0.0, 3.7, 84.0, 999.6, 12_600.0, 1_999_999.0, -310.5].map(time);
        assert_eq!(times, ["0 µs", "3.70 µs", "84.0 µs", "1.00 ms", "12.6 ms", "2.00 s", "-310 µs"]);
        let sizes = [0, 999, 1000, 999_499, 999_500, 5_000_000_000, u64::MAX].map(bytes);
        assert_eq!(sizes, ["0 B", "999 B", "1.00 kB", "999 kB", "1.00 MB", "5.00 GB", "18447 PB"]);
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
    }

    /// E11
    #[test]
    fn a_time_that_did_not_grow_is_said_in_words_and_not_as_a_negative_number() {
        let said = [0.4, 126_000.0, 0.0, -20.0].map(|us| grew("it", us));
        let none = "it: no measurable increase";
        assert_eq!(said, ["it +0.40 µs", "it +126 ms", none, none]);
    }

    #[test]
    fn foreign_text_moves_no_cursor_and_turns_no_line() {
        assert_eq!(plain("a\u{1b}[2Jb\nc\td"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d");
        assert_eq!(plain("gpj\u{202e}exe.ü–"), "gpj\u{fffd}exe.ü–");
    }
}
