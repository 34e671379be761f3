//! JSON as iperf3 writes it: numbers may be anything a C program printed, objects are flat, text is any bytes.

use serde_json::{Map, Value};

/// Objects and arrays inside each other. iperf3 needs 3; the limit keeps a parser's stack and time bounded (test
/// `nesting_is_bounded`).
const MAX_DEPTH: usize = 8;

/// 2^64 - 1: what iperf3 3.12 writes for -1.
const MINUS_ONE_OF_3_12: f64 = 18_446_744_073_709_551_615.0;

/// The object in these bytes. `None`: no JSON, no object, or too deep.
pub(super) fn object(bytes: &[u8]) -> Option<Map<String, Value>> {
    if depth(bytes) > MAX_DEPTH {
        return None;
    }
    // A title may be in any encoding.
    match serde_json::from_str(&String::from_utf8_lossy(bytes)) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    }
}

/// How deep brackets nest outside strings, whether or not they match.
fn depth(bytes: &[u8]) -> usize {
    let (mut now, mut most) = (0_usize, 0_usize);
    let (mut in_string, mut escaped) = (false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                now = now.saturating_add(1);
                most = most.max(now);
            }
            b'}' | b']' if !in_string => now = now.saturating_sub(1),
            _ => {}
        }
    }
    most
}

/// A number under this key; every other type is as if it were not there, as from 3.18.
pub(super) fn number(object: &Map<String, Value>, key: &str) -> Option<f64> {
    let number = object.get(key)?.as_f64()?;
    // Exact: both are the same power of two.
    Some(if number == MINUS_ONE_OF_3_12 { -1.0 } else { number })
}

/// Literal `true`, nothing else.
pub(super) fn is_true(object: &Map<String, Value>, key: &str) -> bool {
    object.get(key) == Some(&Value::Bool(true))
}

/// A flag that is written as a number.
pub(super) fn is_set(object: &Map<String, Value>, key: &str) -> bool {
    number(object, key).is_some_and(|number| number != 0.0)
}

/// A string under this key, cut at `most` bytes.
pub(super) fn text(object: &Map<String, Value>, key: &str, most: usize) -> Option<String> {
    let text = object.get(key)?.as_str()?;
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    Some(text.get(..end?)?.to_owned())
}

/// A whole number from `0` to `most`; `None`: negative, fractional or larger.
pub(super) fn whole(number: f64, most: u64) -> Option<u64> {
    if number.fract() != 0.0 || number.is_sign_negative() && number != 0.0 {
        return None;
    }
    clamped(number).filter(|whole| *whole <= most)
}

/// As a counter: what is below 0 is 0, fractions are cut. `None`: above 2^64.
pub(super) fn clamped(number: f64) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates at both ends"
    )]
    let whole = number as u64;
    (number.is_finite() && whole < u64::MAX).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_bounded() {
        let nested = |n: usize| format!("{}{}{}", r#"{"a":"#.repeat(n), 1, "}".repeat(n));
        assert!(object(nested(MAX_DEPTH).as_bytes()).is_some());
        assert!(object(nested(MAX_DEPTH + 1).as_bytes()).is_none());
        assert!(object(br#"{"title":"[[[[[[[[[[ \"[[[["}"#).is_some(), "brackets in text do not nest");
    }

    #[test]
    fn bytes_that_are_no_utf8_are_only_odd_text() {
        assert!(object(b"{\"title\":\"caf\xe9\"}").is_some());
    }

    #[test]
    fn what_3_12_writes_for_minus_one_is_minus_one() {
        let object = object(br#"{"a":18446744073709551615,"b":"1","c":7}"#).unwrap();
        assert_eq!(number(&object, "a"), Some(-1.0));
        assert_eq!((number(&object, "b"), number(&object, "c")), (None, Some(7.0)));
    }

    #[test]
    fn whole_numbers_are_neither_negative_nor_fractional_nor_too_large() {
        assert_eq!(whole(9.0, 9), Some(9));
        for bad in [-1.0, 0.5, 10.0, 1e300] {
            assert_eq!(whole(bad, 9), None, "{bad}");
        }
        assert_eq!((clamped(-3.0), clamped(2.9), clamped(1e20)), (Some(0), Some(2), None));
    }

    #[test]
    fn text_is_cut_between_characters() {
        let object = object("{\"t\":\"aéé\"}".as_bytes()).unwrap();
        assert_eq!(text(&object, "t", 4).as_deref(), Some("aé"));
    }
}
