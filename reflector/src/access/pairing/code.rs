//! Eight Crockford symbols, 40 bits: read out over the phone, typed with a thumb, compared in constant time.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Symbols of a code; five bits each.
const SYMBOLS: usize = 8;
/// Longest text looked at: eight symbols with a dash or space between each.
const MAX_TEXT: usize = 2 * SYMBOLS;

/// A pairing code. Never in logs: `Debug` hides it, `Display` is for the one person who asked for it.
#[derive(Clone, PartialEq, Eq)]
pub struct Code([u8; SYMBOLS]);

impl Code {
    /// A new code from the system's random numbers, each of the 2^40 equally likely.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0u8; SYMBOLS];
        getrandom::fill(&mut bytes)?;
        // 32 divides 256, so taking five bits of each byte favours no symbol.
        for byte in &mut bytes {
            *byte &= 31;
        }
        Ok(Self(bytes))
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
}

fn value_of(symbol: char) -> Option<u8> {
    let canonical = match symbol.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    ALPHABET.iter().position(|a| char::from(*a) == canonical).and_then(|p| u8::try_from(p).ok())
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|value| {
            let symbol = ALPHABET.get(usize::from(*value)).copied().unwrap_or(b'?');
            fmt::Write::write_char(f, char::from(symbol))
        })
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
    fn generated_codes_use_every_symbol_and_do_not_repeat() {
        let codes: Vec<String> = (0..500).map(|_| Code::generate().unwrap().to_string()).collect();
        let symbols: std::collections::BTreeSet<char> = codes.iter().flat_map(|c| c.chars()).collect();
        assert_eq!(symbols.len(), 32);
        let distinct: std::collections::BTreeSet<&String> = codes.iter().collect();
        assert_eq!(distinct.len(), codes.len());
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
