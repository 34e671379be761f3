//! Endpoint IDs: an Ed25519 public key as text a person can read out over the phone.
//!
//! `PP-` + 52 Crockford base32 symbols in groups of four + one Luhn mod 32 check symbol, 69 characters in all.
//! Reading forgives case, `O`/`I`/`L` and missing dashes; writing is canonical.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::crockford::{symbol_of, value_of};

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
            *symbol = symbol_of(value);
        }
        out[BODY] = symbol_of(check_value(&values));
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
                symbol: char::from(symbol_of(last)),
                position: positions[BODY - 1],
            });
        }
        let expected = check_value(&body);
        if values[BODY] != expected {
            return Err(EndpointIdError::Check {
                found: char::from(symbol_of(values[BODY])),
                expected: char::from(symbol_of(expected)),
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
mod tests;
