//! How lines hang together: a line's hash covers the hash before it and the line itself.
//!
//! `hash = SHA-256(prev ‖ line)`, where `prev` is the 64 hex digits of the line before (64 zeros for the first) and
//! `line` is this line as written, without its last field `,"hash":"…"`. Bytes are hashed as they stand in the file,
//! so nothing depends on how a JSON library orders or escapes.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// `,"hash":"` + 64 digits + `"}`
const SUFFIX_START: &str = ",\"hash\":\"";
const SUFFIX_END: &str = "\"}";

/// A SHA-256 value; lower-case hex as text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hash([u8; 32]);

impl Hash {
    /// What stands before the first line.
    pub const ZERO: Self = Self([0; 32]);

    fn of(prev: Self, line: &[u8]) -> Self {
        let mut input = prev.to_string().into_bytes();
        input.extend_from_slice(line);
        let mut out = [0; 32];
        out.copy_from_slice(digest(&SHA256, &input).as_ref());
        Self(out)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Not 64 lower-case hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a hash is 64 lower-case hex digits")]
pub struct NotAHash;

impl FromStr for Hash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let mut out = [0; 32];
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != out.len() || !rest.is_empty() {
            return Err(NotAHash);
        }
        for (byte, [high, low]) in out.iter_mut().zip(pairs) {
            *byte = nibble(*high)? << 4 | nibble(*low)?;
        }
        Ok(Self(out))
    }
}

fn nibble(digit: u8) -> Result<u8, NotAHash> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(NotAHash),
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// The end of a chain: number and hash of its last line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Number of the last line; 0 before the first.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
}

impl Head {
    /// Before the first line.
    pub const GENESIS: Self = Self { seq: 0, hash: Hash::ZERO };
}

/// What a line says about its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Link {
    pub(crate) seq: u64,
    pub(crate) prev: Hash,
    pub(crate) hash: Hash,
    /// Why this line is the first of its file, if it is.
    #[serde(default)]
    pub(crate) opens: Option<String>,
    /// Events that could not be written before this one.
    #[serde(default)]
    pub(crate) lost: u64,
    /// Denials that were counted instead of written.
    #[serde(default)]
    pub(crate) suppressed: u64,
}

/// Why a line is not what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Broken {
    /// Not a line of ours at all.
    Unreadable,
    /// Reads well, but its hash says something else was written.
    Changed {
        link: Box<Link>,
        /// The hash the line would need.
        computed: Hash,
    },
}

/// Appends the hash to a line `{…}` that names its `prev`. Returns the line and the hash it now ends with.
pub(crate) fn seal(mut line: String, prev: Hash) -> (String, Hash) {
    let hash = Hash::of(prev, line.as_bytes());
    if line.ends_with('}') {
        line.pop();
    }
    line.push_str(SUFFIX_START);
    line.push_str(&hash.to_string());
    line.push_str(SUFFIX_END);
    (line, hash)
}

/// Reads a line (without its newline) and checks it against its own hash.
pub(crate) fn open(bytes: &[u8]) -> Result<Link, Broken> {
    let link: Link = serde_json::from_slice(bytes).map_err(|_| Broken::Unreadable)?;
    let suffix = format!("{SUFFIX_START}{}{SUFFIX_END}", link.hash);
    let Some(body) = bytes.strip_suffix(suffix.as_bytes()) else { return Err(Broken::Unreadable) };
    let mut body = body.to_vec();
    body.push(b'}');
    let computed = Hash::of(link.prev, &body);
    if computed == link.hash { Ok(link) } else { Err(Broken::Changed { link: link.into(), computed }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The recipe of the documentation, worked out with sha256sum: red when the format on disk changes.
    #[test]
    fn hash_covers_the_hash_before_and_the_line_as_it_stands() {
        let body = format!("{{\"seq\":1,\"prev\":\"{}\"}}", Hash::ZERO);
        let (line, hash) = seal(body, Hash::ZERO);
        assert_eq!(hash.to_string(), "a176bf50ae19407efaf74e278dfb612bb69837ac0b8bcdea0a73d3e7293cd401");
        assert!(line.ends_with(&format!(",\"hash\":\"{hash}\"}}")));
        assert_eq!(open(line.as_bytes()).unwrap().hash, hash);
    }

    #[test]
    fn another_byte_anywhere_makes_the_line_broken() {
        let (line, _) = seal(format!("{{\"seq\":7,\"prev\":\"{}\"}}", Hash::ZERO), Hash::ZERO);
        for position in 0..line.len() {
            let mut changed = line.clone().into_bytes();
            changed[position] ^= 1;
            assert!(open(&changed).is_err(), "byte {position} was changed and nobody saw it");
        }
    }

    #[test]
    fn only_64_lower_case_hex_digits_are_a_hash() {
        let text = Hash::of(Hash::ZERO, b"x").to_string();
        assert_eq!(text.parse::<Hash>().unwrap().to_string(), text);
        for bad in [&text[1..], &format!("{text}0"), &text.to_uppercase(), &text.replace(&text[..1], "g")] {
            assert_eq!(bad.parse::<Hash>(), Err(NotAHash), "{bad}");
        }
    }
}
