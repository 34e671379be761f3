//! Proof that a data connection belongs to a control connection (pure).
//!
//! rustls has no exporter on unbuffered connections, so the key comes from the control connection alone, and the two
//! are bound by the Endpoint ID that both proved in their handshakes.

use std::fmt::{self, Write as _};

use aws_lc_rs::{constant_time, hmac};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::engine::secrets::Secrets;

/// What is signed begins with the protocol's name: the key signs nothing else, and never will by accident.
const CONTEXT: &[u8] = b"pp-data/1";

/// HMAC-SHA-256 over the protocol's name, the 16 bytes of the `test_id` and the stream's number (u32 big-endian).
#[derive(Clone)]
pub struct Proof([u8; 32]);

impl Proof {
    /// What whoever holds the keys of this test sends to open stream `number`.
    pub fn of(secrets: &Secrets, test_id: Uuid, number: u32) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secrets.data);
        let mut signing = hmac::Context::with_key(&key);
        signing.update(CONTEXT);
        signing.update(test_id.as_bytes());
        signing.update(&number.to_be_bytes());
        let mut proof = Self([0; 32]);
        // A tag of HMAC-SHA-256 has 32 bytes.
        for (to, from) in proof.0.iter_mut().zip(signing.sign().as_ref()) {
            *to = *from;
        }
        proof
    }

    /// A proof as it came.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// Takes equally long for every proof, so that none can be found byte by byte.
impl PartialEq for Proof {
    fn eq(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Eq for Proof {}

/// Says nothing: whoever reads a log should not be able to open the stream.
impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proof(..)")
    }
}

impl Serialize for Proof {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(64);
        for byte in self.0 {
            let _ = write!(text, "{byte:02x}");
        }
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Proof {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        unhex(&text).map(Self).ok_or_else(|| D::Error::custom("a proof is 64 hexadecimal digits"))
    }
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    let mut out = [0; 32];
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(out)
}

fn digit(symbol: u8) -> Option<u8> {
    let value = char::from(symbol).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secrets(first: u8) -> Secrets {
        let mut secrets = Secrets { data: [0; 32], echo: [0; 64] };
        for (byte, value) in secrets.data.iter_mut().zip(first..) {
            *byte = value;
        }
        secrets
    }

    fn test_id() -> Uuid {
        "00010203-0405-4607-8809-0a0b0c0d0e0f".parse().unwrap()
    }

    /// Made with another implementation of HMAC.
    #[test]
    fn proofs_are_these_bytes() {
        for (number, hex) in [
            (0, "d31d61a73b4f0b414f001e45f0b9579506dda1666fa6be097b55e29a19df2c04"),
            (1, "1abfa608b752ac03c19a5d8f1a4232a80a9e354b70319c801b614ca813e47477"),
            (u32::MAX, "23ebfaf58044d57a5d347afadcf2650b94c34813e1188d005394350cd888ece0"),
        ] {
            let proof = serde_json::to_value(Proof::of(&secrets(0), test_id(), number)).unwrap();
            assert_eq!(proof, hex, "stream {number}");
        }
    }

    #[test]
    fn a_proof_is_good_for_one_stream_of_one_test_under_one_key() {
        let proof = Proof::of(&secrets(0), test_id(), 7);
        assert_eq!(proof, Proof::of(&secrets(0), test_id(), 7));
        assert_ne!(proof, Proof::of(&secrets(1), test_id(), 7), "another control connection");
        assert_ne!(proof, Proof::of(&secrets(0), Uuid::nil(), 7), "another test");
        assert_ne!(proof, Proof::of(&secrets(0), test_id(), 8), "another stream");
        assert_eq!(format!("{proof:?}"), "Proof(..)");
    }

    proptest! {
        #[test]
        fn one_wrong_bit_is_wrong(bytes in any::<[u8; 32]>(), bit in 0usize..256) {
            let mut other = bytes;
            other[bit / 8] ^= 1 << (bit % 8);
            prop_assert_ne!(Proof::from_bytes(bytes), Proof::from_bytes(other));
        }

        #[test]
        fn hexadecimal_reads_back_in_either_case(bytes in any::<[u8; 32]>()) {
            let text = serde_json::to_string(&Proof::from_bytes(bytes)).unwrap();
            prop_assert_eq!(serde_json::from_str::<Proof>(&text).unwrap(), Proof::from_bytes(bytes));
            prop_assert_eq!(serde_json::from_str::<Proof>(&text.to_uppercase()).unwrap(), Proof::from_bytes(bytes));
        }
    }
}
