//! Eight Crockford symbols, 40 bits: read out over the phone, typed with a thumb, compared in constant time.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::crockford::{symbol_of, value_of};

/// Symbols of a code; five bits each.
const SYMBOLS: usize = 8;
/// Longest text looked at: eight symbols with a dash or space between each.
const MAX_TEXT: usize = 2 * SYMBOLS;

/// A pairing code. Never in logs: `Debug` hides it, `Display` is for the one person who asked for it.
#[derive(Clone, PartialEq, Eq)]
pub struct Code([u8; SYMBOLS]);

impl Code {
    /// The code that these random bytes make, each of the 2^40 equally likely.
    pub fn from_random(mut bytes: [u8; SYMBOLS]) -> Self {
        // 32 divides 256, so taking five bits of each byte favours no symbol.
        for byte in &mut bytes {
            *byte &= 31;
        }
        let code = Self(bytes);
        bytes.zeroize();
        code
    }

    /// Reads a code as forgivingly as an Endpoint ID: any case, `O` as 0, `I` and `L` as 1, dashes and spaces ignored.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_TEXT {
            return None;
        }
        let mut symbols = text.chars().filter(|c| !matches!(c, '-' | ' ')).map(value_of);
        let mut code = Self([0; SYMBOLS]);
        for value in &mut code.0 {
            *value = symbols.next()??;
        }
        symbols.next().is_none().then_some(code)
    }

    /// Whether a text is this code. Takes the same time for every eight symbols.
    pub fn matches(&self, text: &str) -> bool {
        Self::parse(text).is_some_and(|given| bool::from(self.0.ct_eq(&given.0)))
    }

    /// The eight symbols in their one form, as they are hashed.
    pub(super) fn symbols(&self) -> [u8; SYMBOLS] {
        self.0.map(symbol_of)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|value| fmt::Write::write_char(f, char::from(symbol_of(*value))))
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(hidden)")
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_code_is_read_as_forgivingly_as_an_id() {
        let code = Code::parse("AB10-2345").unwrap();
        for text in ["ab102345", "ABIO2345", "ablo2345", "a-b-1-0-2-3-4-5", "AB10 2345"] {
            assert!(code.matches(text), "{text}");
        }
        for text in
            ["", "AB10234", "AB1023455", "UB102345", "AB102346", "AB102345\u{0}", "a---------------b102345"]
        {
            assert!(!code.matches(text), "{text}");
        }
    }

    #[test]
    fn a_code_shows_only_where_it_must() {
        let code = Code::parse("AB102345").unwrap();
        assert_eq!((code.to_string().as_str(), format!("{code:?}").as_str()), ("AB102345", "Code(hidden)"));
    }

    #[test]
    fn random_bytes_become_every_symbol() {
        let all: Vec<[u8; SYMBOLS]> = (0..=255_u8).map(|byte| [byte; SYMBOLS]).collect();
        let codes: Vec<String> = all.into_iter().map(|bytes| Code::from_random(bytes).to_string()).collect();
        let distinct: std::collections::BTreeSet<&String> = codes.iter().collect();
        assert_eq!(distinct.len(), 32);
        assert!(distinct.iter().all(|one| codes.iter().filter(|code| *code == *one).count() == 8), "evenly");
    }

    proptest! {
        #[test]
        fn a_code_reads_back(values in prop::array::uniform8(0u8..32)) {
            let code = Code(values);
            prop_assert_eq!(Code::parse(&code.to_string()), Some(code));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            Code::parse(&text);
        }
    }
}
