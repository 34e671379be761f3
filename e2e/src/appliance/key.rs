//! An Ed25519 key pair and the Endpoint ID that follows from it.
//!
//! In: 32 bytes of seed. Out: the ID as text, the public key, the PKCS#8 form for TLS. No files: a test that needs
//! a key on disk writes the seed itself.

use std::fmt;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

/// Crockford's base32 digits: no I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// 256 bits in groups of five, the last one padded.
const BODY_SYMBOLS: usize = 52;
/// Everything of RFC 8410's PKCS#8 v1 that precedes the seed: version 0, id-Ed25519, two nested octet strings.
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// An appliance's identity. Printing it shows the Endpoint ID, never the seed.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    seed: [u8; 32],
    public: [u8; 32],
}

impl Key {
    /// A fresh random key.
    #[expect(
        clippy::expect_used,
        clippy::missing_panics_doc,
        reason = "a machine without randomness runs no test at all"
    )]
    pub fn generate() -> Self {
        let mut seed = [0; 32];
        SystemRandom::new().fill(&mut seed).expect("invariant: the system has randomness");
        Self::from_seed(seed)
    }

    /// The key whose file holds these 32 bytes.
    #[expect(
        clippy::expect_used,
        clippy::missing_panics_doc,
        reason = "every 32 bytes are a valid Ed25519 seed"
    )]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect("invariant: 32 bytes are a seed");
        let mut public = [0; 32];
        public.copy_from_slice(pair.public_key().as_ref());
        Self { seed, public }
    }

    /// `PP-XXXX-…-C`, 69 characters.
    pub fn endpoint_id(&self) -> String {
        endpoint_id(&self.public)
    }

    /// The 32 bytes the ID is made of.
    pub const fn public_key(&self) -> [u8; 32] {
        self.public
    }

    /// What a key file holds, for tests that write one.
    pub const fn seed(&self) -> [u8; 32] {
        self.seed
    }

    /// The private key as TLS and certificate libraries take it.
    pub(crate) fn pkcs8(&self) -> Vec<u8> {
        [PKCS8_PREFIX.as_slice(), &self.seed].concat()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.endpoint_id())
    }
}

/// The Endpoint ID of a public key.
pub fn endpoint_id(public: &[u8; 32]) -> String {
    let body = base32(public);
    let mut text = String::from("PP");
    for group in body.chunks(4) {
        text.push('-');
        text.extend(group.iter().map(|&value| symbol(value)));
    }
    text.push('-');
    text.push(symbol(check(&body)));
    text
}

/// Five bits at a time, most significant first; the last group is padded with zeroes on the right.
fn base32(bytes: &[u8; 32]) -> Vec<u8> {
    let bit = |at: usize| bytes.get(at / 8).map_or(0, |byte| (byte >> (7 - at % 8)) & 1);
    (0..BODY_SYMBOLS).map(|group| (0..5).fold(0, |value, i| (value << 1) | bit(group * 5 + i))).collect()
}

/// Luhn modulo 32: weights 2, 1, 2, 1 … from the right, two-digit products folded.
fn check(body: &[u8]) -> u8 {
    let sum = body.iter().rev().zip([2_u8, 1].into_iter().cycle()).fold(0, |sum, (&value, weight)| {
        let product = value * weight;
        (sum + product / 32 + product % 32) % 32
    });
    (32 - sum) % 32
}

fn symbol(value: u8) -> char {
    char::from(ALPHABET[usize::from(value % 32)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }

    fn counting() -> [u8; 32] {
        std::array::from_fn(|i| u8::try_from(i).unwrap())
    }

    const RFC8032_TEST_1: [u8; 32] = [
        0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44,
        0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
    ];

    #[test]
    fn the_four_published_vectors_hold() {
        let table = [
            (
                [0; 32],
                "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29",
                "PP-7DN2-FF6E-PTJ2-TRN3-N382-MVRD-EDJK-45BQ-3QH4-79HT-R14A-32TS-V8MG-K",
            ),
            (
                counting(),
                "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8",
                "PP-0EGG-FFZK-SR8B-W7BG-VMCE-EJY0-K5KY-9NHG-KEJG-TQRX-VJ36-84JN-66W0-A",
            ),
            (
                [0xff; 32],
                "76a1592044a6e4f511265bca73a604d90b0529d1df602be30a19a9257660d1f5",
                "PP-ETGN-J824-MVJF-A496-BF57-79G4-V45G-AAEH-VXG2-QRRA-36MJ-AXK0-T7TG-E",
            ),
            (
                RFC8032_TEST_1,
                "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
                "PP-TXD9-G0C2-P45B-FNAB-ZV9W-JS07-787E-2WQK-VAK2-69DF-08D6-HXR7-A4D0-R",
            ),
        ];
        for (seed, public, id) in table {
            let key = Key::from_seed(seed);
            assert_eq!(hex(&key.public_key()), public);
            assert_eq!(key.endpoint_id(), id);
        }
    }

    #[test]
    fn an_id_has_69_characters_in_15_parts() {
        let id = Key::generate().endpoint_id();
        assert_eq!(id.len(), 69);
        assert_eq!(id.split('-').count(), 15);
    }

    #[test]
    fn generated_keys_differ_and_debug_hides_the_seed() {
        let (one, other) = (Key::generate(), Key::generate());
        assert_ne!(one, other);
        assert_eq!(format!("{one:?}"), format!("Key({})", one.endpoint_id()));
    }
}
