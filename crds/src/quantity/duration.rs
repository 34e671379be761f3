//! `60s`, `10m`, `24h`, `7d`; a bare number counts seconds.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::text::{self, Typed};

/// A duration as typed. [`DurationText::value`] reads it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DurationText(Typed);

/// Why a text is not a duration, and what to write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DurationError {
    /// Nothing there.
    #[error("a duration is missing: write a number and a unit, such as 60s, 10m, 24h or 7d")]
    Empty,
    /// Does not start with digits, or is negative or fractional.
    #[error(
        "\"{text}\" is not a duration: write a whole number and one unit (s, m, h, d), such as 60s, 10m, 24h or 7d"
    )]
    Number {
        /// As typed.
        text: String,
    },
    /// The unit is none of ours.
    #[error("\"{unit}\" in \"{text}\" is not a unit of time: {hint}")]
    Unit {
        /// As typed.
        text: String,
        /// The part that is wrong.
        unit: String,
        /// What to write.
        hint: &'static str,
    },
    /// More seconds than fit.
    #[error("\"{text}\" is too long: write fewer days")]
    Overflow {
        /// As typed.
        text: String,
    },
}

impl DurationText {
    /// Keeps a text for later reading.
    pub fn new(text: &str) -> Self {
        Self(Typed::text(text))
    }

    /// As typed.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// What it means.
    pub fn value(&self) -> Result<Duration, DurationError> {
        let text = self.0.as_str();
        let owned = || text.to_owned();
        if text.trim().is_empty() {
            return Err(DurationError::Empty);
        }
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        if number.is_empty() || unit.starts_with(['.', ',']) || self.0.too_long() {
            return Err(DurationError::Number { text: owned() });
        }
        let seconds_each: u64 = match unit {
            "" | "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            other => {
                return Err(DurationError::Unit {
                    text: owned(),
                    unit: other.trim_start().to_owned(),
                    hint: hint(other),
                });
            }
        };
        number
            .parse::<u64>()
            .ok()
            .and_then(|n| n.checked_mul(seconds_each))
            .map(Duration::from_secs)
            .ok_or_else(|| DurationError::Overflow { text: owned() })
    }
}

fn hint(unit: &str) -> &'static str {
    match unit {
        "ms" | "us" | "ns" => "the smallest unit is the second, write 1s",
        u if u.starts_with(' ') => "leave the space out and write s, m, h or d",
        "S" | "M" | "H" | "D" => "units are lower case: s, m, h, d",
        "w" => "there are no weeks, write 7d",
        u if u.contains(|c: char| c.is_ascii_digit()) => {
            "write one number with one unit, such as 90m instead of 1h30m"
        }
        _ => "write s, m, h or d",
    }
}

impl FromStr for DurationText {
    type Err = DurationError;

    /// For command lines: fails at once when the value would.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let typed = Self::new(text);
        typed.value().map(|_| typed)
    }
}

impl fmt::Display for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl JsonSchema for DurationText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        text::schema("A duration: 60s, 10m, 24h, 7d. A bare number counts seconds.", "^[0-9]+[smhd]?$")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(text: &str) -> Result<u64, String> {
        DurationText::new(text).value().map(|d| d.as_secs()).map_err(|e| e.to_string())
    }

    #[test]
    fn durations_read_as_one_expects() {
        for (text, expected) in
            [("60s", 60), ("10m", 600), ("24h", 86_400), ("7d", 604_800), ("90", 90), ("0s", 0)]
        {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn wrong_durations_say_what_to_write() {
        for (text, says) in [
            ("", "missing"),
            ("ten minutes", "whole number and one unit"),
            ("-5s", "whole number"),
            (" 60s", "whole number"),
            ("60 s", "leave the space out"),
            ("1.5h", "whole number"),
            ("500ms", "smallest unit is the second"),
            ("1h30m", "90m instead of 1h30m"),
            ("5M", "lower case"),
            ("2w", "write 7d"),
            ("99999999999999999999d", "fewer days"),
            ("9999999999999999999d", "fewer days"),
            ("000000000000000000000000000000000060s", "whole number"),
        ] {
            let message = seconds(text).unwrap_err();
            assert!(message.contains(says), "{text}: {message}");
        }
    }

    #[test]
    fn duration_returns_as_typed() {
        for json in ["\"60s\"", "\"1440m\"", "90", "\"90\""] {
            let typed: DurationText = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&typed).unwrap(), json);
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics_and_never_changes_the_text(text in ".{0,32}") {
            let typed = DurationText::new(&text);
            let _ = typed.value();
            prop_assert_eq!(typed.as_str(), text);
        }

        #[test]
        fn every_whole_number_with_a_unit_is_a_duration(n in 0u64..1_000_000, unit in 0usize..4) {
            let (name, each) = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)][unit];
            prop_assert_eq!(seconds(&format!("{n}{name}")), Ok(n * each));
        }
    }
}
