//! Moments as people write them: what the CEL rule of `schema::typed_time` takes, and nothing else.

use jiff::Timestamp;

/// A digit stands for any.
const DATE_AND_TIME: &str = "0000-00-00T00:00:00";
const OFFSET: &str = "00:00";

/// RFC 3339 in capitals, to the second or with up to nine digits of it, in the years 1000 to 9998. jiff alone would read
/// more: a leap second, a space in place of the `T`, offsets of a day and more.
pub(super) fn read(text: &str) -> Option<Timestamp> {
    let (head, tail) = text.split_at_checked(DATE_AND_TIME.len())?;
    let (year, seconds) = (head.get(..4)?, head.get(17..)?);
    let fits = is_like(head, DATE_AND_TIME)
        && ("1000"..="9998").contains(&year)
        && seconds < "60"
        && is_zone(after_fraction(tail)?);
    fits.then(|| text.parse().ok()).flatten()
}

/// What follows the digits of a second, when there are one to nine, or none and no point.
fn after_fraction(tail: &str) -> Option<&str> {
    let Some(fraction) = tail.strip_prefix('.') else { return Some(tail) };
    let rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
    (1..=9).contains(&(fraction.len() - rest.len())).then_some(rest)
}

fn is_zone(text: &str) -> bool {
    let offset = text.strip_prefix(['+', '-']);
    let is_offset = |text: &str| is_like(text, OFFSET) && text < "24" && text.get(3..) < Some("60");
    text == "Z" || offset.is_some_and(is_offset)
}

fn is_like(text: &str, pattern: &str) -> bool {
    let same = |(one, other): (u8, u8)| if other == b'0' { one.is_ascii_digit() } else { one == other };
    text.len() == pattern.len() && text.bytes().zip(pattern.bytes()).all(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rest of what is read and refused stands in `tests/objects.yaml`, to which an API server is held, too.
    #[test]
    fn a_moment_is_read_to_the_nanosecond_whatever_its_offset() {
        let at = |text: &str| read(text).unwrap().as_nanosecond();
        assert_eq!(at("2026-12-31T01:00:00.000000001+01:00"), at("2026-12-31T00:00:00Z") + 1);
        assert_eq!(at("2026-12-31T00:00:00-00:00"), at("2026-12-31T00:00:00Z"));
        assert_eq!(read("2026-12-31T00:00:0\u{e9}"), None);
    }
}
