//! Endpoint IDs: an Ed25519 public key as text a person can read out over the phone.
//!
//! `PP-` + 52 Crockford base32 symbols in groups of four + one Luhn mod 32 check symbol, 69 characters in all.
//! Reading forgives case, `O`/`I`/`L` and missing dashes; writing is canonical.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Symbols that carry the 256 bits of the key: 51 full ones and one that carries a single bit.
const BODY: usize = 52;
/// Body and check symbol.
const SYMBOLS: usize = BODY + 1;

/// An endpoint's identity: its Ed25519 public key. Displayed canonically (`PP-7DN2-…-K`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId([u8; 32]);

/// Why a text is not an Endpoint ID. Positions count from 1 in the text as it was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointIdError {
    /// Does not start with `PP`.
    #[error("an Endpoint ID starts with \"PP-\"; this one does not")]
    Prefix,
    /// Too few or too many symbols.
    #[error("an Endpoint ID has {SYMBOLS} symbols after \"PP-\"; this one has {found}: copy it again, whole")]
    Length {
        /// Symbols counted, dashes left out.
        found: usize,
    },
    /// A character that no Endpoint ID contains.
    #[error("'{symbol}' at position {position} cannot be in an Endpoint ID ({hint})")]
    Symbol {
        /// The offending character, escaped for display.
        symbol: String,
        /// Where it stands.
        position: usize,
        /// What to look for instead.
        hint: &'static str,
    },
    /// The last body symbol carries one bit, so only two values exist.
    #[error(
        "'{symbol}' at position {position} must be '0' or 'G': the last symbol before the check symbol carries a single bit"
    )]
    LastSymbol {
        /// The offending symbol.
        symbol: char,
        /// Where it stands.
        position: usize,
    },
    /// The check symbol does not fit the body.
    #[error(
        "check symbol '{found}' at position {position} does not fit (expected '{expected}'): a symbol before it was mistyped, or two were swapped"
    )]
    Check {
        /// The symbol given.
        found: char,
        /// The symbol that would fit the body as given.
        expected: char,
        /// Where it stands.
        position: usize,
    },
}

impl EndpointId {
    /// The ID of a public key. Every 32-byte value has one; whether it is a valid curve point is the
    /// handshake's business.
    pub const fn from_public_key(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The public key this ID stands for.
    pub const fn public_key(&self) -> &[u8; 32] {
        &self.0
    }

    /// Lower case without dashes, 55 characters: fits a Kubernetes label, a DNS label and an X.509 CN.
    /// `FromStr` reads it back.
    pub fn label(&self) -> String {
        let mut out = String::with_capacity(2 + SYMBOLS);
        out.push_str("pp");
        out.extend(self.symbols().iter().map(|s| s.to_ascii_lowercase() as char));
        out
    }

    /// The first two groups (`7DN2-FF6E`): for columns and logs, never for decisions.
    pub fn short(&self) -> String {
        self.groups(2)
    }

    /// The first four groups (`7DN2-FF6E-PTJ2-TRN3`): what two people compare to confirm a pairing.
    pub fn confirm(&self) -> String {
        self.groups(4)
    }

    fn groups(&self, count: usize) -> String {
        let symbols = self.symbols();
        let groups: Vec<String> =
            symbols.chunks(4).take(count).map(|g| g.iter().map(|b| *b as char).collect()).collect();
        groups.join("-")
    }

    fn symbols(&self) -> [u8; SYMBOLS] {
        let mut out = [b'0'; SYMBOLS];
        let mut values = [0u8; BODY];
        let (mut buffer, mut bits, mut at) = (0u16, 0u8, 0usize);
        for byte in self.0 {
            buffer = (buffer << 8) | u16::from(byte);
            bits += 8;
            while bits >= 5 {
                bits -= 5;
                values[at] = ((buffer >> bits) & 31) as u8;
                at += 1;
            }
        }
        values[at] = ((buffer << (5 - bits)) & 31) as u8;
        for (symbol, value) in out.iter_mut().zip(values) {
            *symbol = ALPHABET[usize::from(value)];
        }
        out[BODY] = ALPHABET[usize::from(check_value(&values))];
        out
    }
}

/// Luhn mod 32: from the right, weights 2, 1, 2, 1, …; a product is folded to its two base-32 digits.
fn check_value(values: &[u8; BODY]) -> u8 {
    let sum: u32 = values
        .iter()
        .rev()
        .enumerate()
        .map(|(i, v)| {
            let product = u32::from(*v) * if i % 2 == 0 { 2 } else { 1 };
            product / 32 + product % 32
        })
        .sum();
    ((32 - sum % 32) % 32) as u8
}

fn value_of(symbol: char) -> Option<u8> {
    let canonical = match symbol.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    ALPHABET.iter().position(|a| char::from(*a) == canonical).and_then(|p| u8::try_from(p).ok())
}

impl FromStr for EndpointId {
    type Err = EndpointIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut chars = text.trim().chars().enumerate().filter(|(_, c)| *c != '-');
        for expected in ['P', 'P'] {
            match chars.next() {
                Some((_, c)) if c.eq_ignore_ascii_case(&expected) => {}
                _ => return Err(EndpointIdError::Prefix),
            }
        }
        let mut values = [0u8; SYMBOLS];
        let mut positions = [0usize; SYMBOLS];
        let mut found = 0usize;
        for (index, symbol) in chars {
            let Some(value) = value_of(symbol) else {
                return Err(EndpointIdError::Symbol {
                    symbol: symbol.escape_debug().to_string(),
                    position: index + 1,
                    hint: if symbol.eq_ignore_ascii_case(&'u') {
                        "the alphabet has no U; look for V"
                    } else {
                        "only 0-9 and A-Z without I, L, O, U"
                    },
                });
            };
            if let (Some(v), Some(p)) = (values.get_mut(found), positions.get_mut(found)) {
                *v = value;
                *p = index + 1;
            }
            found += 1;
        }
        if found != SYMBOLS {
            return Err(EndpointIdError::Length { found });
        }
        let mut body = [0u8; BODY];
        body.copy_from_slice(&values[..BODY]);
        let last = body[BODY - 1];
        if last & 0b0_1111 != 0 {
            return Err(EndpointIdError::LastSymbol {
                symbol: char::from(ALPHABET[usize::from(last)]),
                position: positions[BODY - 1],
            });
        }
        let expected = check_value(&body);
        if values[BODY] != expected {
            return Err(EndpointIdError::Check {
                found: char::from(ALPHABET[usize::from(values[BODY])]),
                expected: char::from(ALPHABET[usize::from(expected)]),
                position: positions[BODY],
            });
        }
        let mut key = [0u8; 32];
        let (mut buffer, mut bits, mut at) = (0u16, 0u8, 0usize);
        for value in body {
            buffer = (buffer << 5) | u16::from(value);
            bits += 5;
            if bits >= 8 {
                bits -= 8;
                if let Some(byte) = key.get_mut(at) {
                    *byte = ((buffer >> bits) & 0xff) as u8;
                }
                at += 1;
            }
        }
        Ok(Self(key))
    }
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let symbols = self.symbols();
        f.write_str("PP")?;
        for group in symbols.chunks(4) {
            f.write_str("-")?;
            for symbol in group {
                fmt::Write::write_char(f, char::from(*symbol))?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for EndpointId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EndpointId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VECTORS: [(&str, &str); 4] = [
        (
            "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29",
            "PP-7DN2-FF6E-PTJ2-TRN3-N382-MVRD-EDJK-45BQ-3QH4-79HT-R14A-32TS-V8MG-K",
        ),
        (
            "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8",
            "PP-0EGG-FFZK-SR8B-W7BG-VMCE-EJY0-K5KY-9NHG-KEJG-TQRX-VJ36-84JN-66W0-A",
        ),
        (
            "76a1592044a6e4f511265bca73a604d90b0529d1df602be30a19a9257660d1f5",
            "PP-ETGN-J824-MVJF-A496-BF57-79G4-V45G-AAEH-VXG2-QRRA-36MJ-AXK0-T7TG-E",
        ),
        (
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "PP-TXD9-G0C2-P45B-FNAB-ZV9W-JS07-787E-2WQK-VAK2-69DF-08D6-HXR7-A4D0-R",
        ),
    ];

    fn key(hex: &str) -> [u8; 32] {
        let mut out = [0u8; 32];
        for (i, byte) in out.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap();
        }
        out
    }

    /// I2
    #[test]
    fn the_four_vectors_read_and_write() {
        for (hex, text) in VECTORS {
            let id = EndpointId::from_public_key(key(hex));
            assert_eq!(id.to_string(), text);
            assert_eq!(text.len(), 69);
            assert_eq!(text.parse::<EndpointId>().unwrap(), id);
        }
    }

    /// I2
    #[test]
    fn reading_forgives_case_look_alikes_and_missing_dashes() {
        let (hex, text) = VECTORS[1];
        let id = EndpointId::from_public_key(key(hex));
        assert_eq!(text.to_lowercase().parse::<EndpointId>().unwrap(), id);
        assert_eq!(text.replace('-', "").parse::<EndpointId>().unwrap(), id);
        assert_eq!(text.replace('0', "O").parse::<EndpointId>().unwrap(), id);
        let (hex, text) = VECTORS[0];
        let id = EndpointId::from_public_key(key(hex));
        assert_eq!(text.replace('1', "I").parse::<EndpointId>().unwrap(), id);
        assert_eq!(text.replace('1', "l").parse::<EndpointId>().unwrap(), id);
    }

    /// I2, I9
    #[test]
    fn a_refusal_names_the_offending_symbol() {
        let text = VECTORS[0].1;
        let parse = |t: &str| t.parse::<EndpointId>().unwrap_err();
        assert_eq!(
            parse(&format!("{}M", &text[..68])),
            EndpointIdError::Check { found: 'M', expected: 'K', position: 69 }
        );
        assert!(matches!(
            parse(&text.replacen("7DN2", "UDN2", 1)),
            EndpointIdError::Symbol { symbol, position: 4, .. } if symbol == "U"
        ));
        assert_eq!(parse(&text[..68]), EndpointIdError::Length { found: 52 });
        assert_eq!(parse(&format!("{text}0")), EndpointIdError::Length { found: 54 });
        assert_eq!(parse("QQ-7DN2"), EndpointIdError::Prefix);
        assert_eq!(parse(""), EndpointIdError::Prefix);
        let last = format!("{}H-K", &text[..66]);
        assert_eq!(parse(&last), EndpointIdError::LastSymbol { symbol: 'H', position: 67 });
    }

    /// I9
    #[test]
    fn the_label_form_fits_a_label_and_converts_back() {
        for (hex, _) in VECTORS {
            let id = EndpointId::from_public_key(key(hex));
            assert_eq!(id.label().len(), 55);
            assert!(id.label().chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()));
            assert_eq!(id.label().parse::<EndpointId>().unwrap(), id);
        }
    }

    #[test]
    fn short_and_confirm_are_prefixes_a_person_can_compare() {
        let id = EndpointId::from_public_key(key(VECTORS[0].0));
        assert_eq!(id.short(), "7DN2-FF6E");
        assert_eq!(id.confirm(), "7DN2-FF6E-PTJ2-TRN3");
    }

    proptest! {
        /// I2, I9
        #[test]
        fn every_key_round_trips(bytes in any::<[u8; 32]>()) {
            let id = EndpointId::from_public_key(bytes);
            prop_assert_eq!(id.to_string().parse::<EndpointId>().unwrap(), id);
            prop_assert_eq!(id.label().parse::<EndpointId>().unwrap(), id);
        }

        /// I2: any single wrong symbol is caught.
        #[test]
        fn one_mistyped_symbol_is_always_refused(bytes in any::<[u8; 32]>(), at in 0usize..53, to in 0usize..32) {
            let text = EndpointId::from_public_key(bytes).to_string();
            let places: Vec<usize> = text.char_indices().skip(3).filter(|(_, c)| *c != '-').map(|(i, _)| i).collect();
            let mut wrong = text.clone().into_bytes();
            let new = ALPHABET[to];
            prop_assume!(wrong[places[at]] != new);
            wrong[places[at]] = new;
            prop_assert!(String::from_utf8(wrong).unwrap().parse::<EndpointId>().is_err());
        }

        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = text.parse::<EndpointId>();
        }
    }
}
