//! Bytes and bits: `5G`, `500M`, `5Gi`, `1.5G`, plain whole numbers; what Kubernetes calls a quantity.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::text::{self, Typed};

/// An amount of bytes or bits as typed. [`Amount::value`] reads it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Amount(Typed);

/// Why a text is not an amount, and what to write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AmountError {
    /// Nothing there.
    #[error("an amount is missing: write a number and a suffix, such as 500M, 5G or 5Gi")]
    Empty,
    /// No number, a negative one, or separators in it.
    #[error("\"{text}\" is not an amount: write digits and a suffix, such as 500M, 1.5G or 5Gi")]
    Number {
        /// As typed.
        text: String,
    },
    /// The suffix is none of ours.
    #[error("\"{suffix}\" in \"{text}\" is not a suffix: {hint}")]
    Suffix {
        /// As typed.
        text: String,
        /// The part that is wrong.
        suffix: String,
        /// What to write.
        hint: &'static str,
    },
    /// A fraction of a byte or bit is left over.
    #[error("\"{text}\" is not a whole number: write fewer decimals")]
    Fraction {
        /// As typed.
        text: String,
    },
    /// More than 2^63 - 1, the largest number an object can hold.
    #[error("\"{text}\" is too large: the largest amount is 9.2E")]
    Overflow {
        /// As typed.
        text: String,
    },
}

const SUFFIXES: [(&str, u64); 13] = [
    ("", 1),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("P", 1_000_000_000_000_000),
    ("E", 1_000_000_000_000_000_000),
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("Pi", 1 << 50),
    ("Ei", 1 << 60),
];

/// Objects hold signed 64-bit numbers.
const MAX: u128 = i64::MAX as u128;
/// Decimals read exactly; more cannot be whole with any suffix anyway.
const MAX_DECIMALS: usize = 18;

impl Amount {
    /// Keeps a text for later reading.
    pub fn new(text: &str) -> Self {
        Self(Typed::text(text))
    }

    /// As typed.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// What it means, exactly.
    pub fn value(&self) -> Result<u64, AmountError> {
        let text = self.0.as_str();
        let owned = || text.to_owned();
        if text.trim().is_empty() {
            return Err(AmountError::Empty);
        }
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty()
            || decimals.contains('.')
            || (number.contains('.') && decimals.is_empty())
            || suffix.starts_with([',', '_', '\''])
            || self.0.too_long()
        {
            return Err(AmountError::Number { text: owned() });
        }
        let Some((_, unit)) = SUFFIXES.iter().find(|(name, _)| *name == suffix) else {
            return Err(AmountError::Suffix {
                text: owned(),
                suffix: suffix.trim_start().to_owned(),
                hint: hint(suffix),
            });
        };
        let unit = u128::from(*unit);
        let overflow = || AmountError::Overflow { text: owned() };
        let whole: u128 = whole.parse().map_err(|_| overflow())?;
        let mut total = whole.checked_mul(unit).ok_or_else(overflow)?;
        let decimals = decimals.trim_end_matches('0');
        if !decimals.is_empty() {
            if decimals.len() > MAX_DECIMALS {
                return Err(AmountError::Fraction { text: owned() });
            }
            let places = u32::try_from(decimals.len()).map_err(|_| overflow())?;
            let scale = 10u128.checked_pow(places).ok_or_else(overflow)?;
            let numerator: u128 = decimals.parse().map_err(|_| overflow())?;
            let part = numerator.checked_mul(unit).ok_or_else(overflow)?;
            if part % scale != 0 {
                return Err(AmountError::Fraction { text: owned() });
            }
            total = total.checked_add(part / scale).ok_or_else(overflow)?;
        }
        if total > MAX {
            return Err(overflow());
        }
        u64::try_from(total).map_err(|_| overflow())
    }
}

fn hint(suffix: &str) -> &'static str {
    match suffix {
        s if s.starts_with(' ') => "leave the space out, write 5G instead of 5 G",
        "K" => "write k for thousands or Ki for 1024",
        "m" | "g" | "t" | "p" | "e" => "large suffixes are upper case: M, G, T, P, E",
        s if s.ends_with(['B', 'b']) => "leave the unit out, write 5G instead of 5GB",
        s if s.contains("bit") || s.contains("ps") => "leave the unit out, write 500M instead of 500Mbit/s",
        _ => "write k, M, G, T, P, E or Ki, Mi, Gi, Ti, Pi, Ei",
    }
}

impl FromStr for Amount {
    type Err = AmountError;

    /// For command lines: fails at once when the value would.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let typed = Self::new(text);
        typed.value().map(|_| typed)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl JsonSchema for Amount {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        text::schema(
            "An amount: 500M, 5G, 1.5G, 5Gi, or a whole number.",
            r"^[0-9]+(\.[0-9]+)?([kMGTPE]|[KMGTPE]i)?$",
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(text: &str) -> Result<u64, String> {
        Amount::new(text).value().map_err(|e| e.to_string())
    }

    #[test]
    fn amounts_read_as_one_expects() {
        for (text, expected) in [
            ("5G", 5_000_000_000),
            ("500M", 500_000_000),
            ("5Gi", 5_368_709_120),
            ("1.5G", 1_500_000_000),
            ("0.5Ki", 512),
            ("1.50k", 1500),
            ("12345", 12_345),
            ("3.0", 3),
            ("0", 0),
            ("9.2E", 9_200_000_000_000_000_000),
        ] {
            assert_eq!(value(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn wrong_amounts_say_what_to_write() {
        for (text, says) in [
            ("", "missing"),
            ("lots", "write digits and a suffix"),
            ("-1G", "write digits"),
            (" 1G", "write digits"),
            ("1 G", "leave the space out"),
            (".5G", "write digits"),
            ("5.G", "write digits"),
            ("1.2.3G", "write digits"),
            ("1_000", "write digits"),
            ("5GB", "5G instead of 5GB"),
            ("5g", "upper case"),
            ("5K", "k for thousands"),
            ("500Mbit/s", "500M instead of 500Mbit/s"),
            ("5Q", "k, M, G"),
            ("1.5", "whole number"),
            ("0.0001k", "whole number"),
            ("9.3E", "too large"),
            ("16Ei", "too large"),
            ("99999999999999999999999999999", "too large"),
        ] {
            let message = value(text).unwrap_err();
            assert!(message.contains(says), "{text}: {message}");
        }
    }

    #[test]
    fn amount_returns_as_typed() {
        for json in ["\"5G\"", "\"5000M\"", "5000000000", "\"1.50G\""] {
            let typed: Amount = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&typed).unwrap(), json);
        }
        let float: Amount = serde_json::from_str("5e9").unwrap();
        assert_eq!(float.value(), Ok(5_000_000_000));
    }

    proptest! {
        #[test]
        fn reading_never_panics_and_never_changes_the_text(text in "[0-9.kMGTPEi_+e-]{0,32}") {
            let typed = Amount::new(&text);
            let _ = typed.value();
            prop_assert_eq!(typed.as_str(), text);
        }

        #[test]
        fn a_suffix_multiplies(n in 0u64..9, at in 0usize..13) {
            let (suffix, unit) = SUFFIXES[at];
            let expected = u128::from(n) * u128::from(unit);
            let read = value(&format!("{n}{suffix}"));
            if expected <= MAX { prop_assert_eq!(u128::from(read.unwrap()), expected) } else { prop_assert!(read.is_err()) }
        }
    }
}
