//! HMAC-SHA-256 (RFC 2104) of short messages under one key, as every echo packet needs it twice.
//!
//! A key fills a block of its own before the message and one before the digest. Both are hashed once, when the key comes;
//! what is left for a packet is one block of each. A general library pays more for its contexts than for those two.

use sha2::block_api::compress256;
use zeroize::Zeroizing;

/// Length of a key: shorter than a block, so it is not hashed first.
pub(super) const KEY: usize = 32;

const BLOCK: usize = 64;
const DIGEST: usize = 32;
/// What ends the last block: a byte that marks the end, and the length of everything in bits.
const END: usize = 9;

/// Where SHA-256 begins (FIPS 180-4, 5.3.3).
const BEGINNING: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// A key, as SHA-256 stands after it. As secret as the key itself; wiped when dropped.
pub(super) struct Key {
    inner: Zeroizing<[u32; 8]>,
    outer: Zeroizing<[u32; 8]>,
}

impl Key {
    /// Takes the key in.
    pub(super) fn new(key: &[u8; KEY]) -> Self {
        Self { inner: after(key, 0x36), outer: after(key, 0x5c) }
    }

    /// The tag of a message that leaves room for the end of its block.
    pub(super) fn tag<const N: usize>(&self, message: &[u8; N]) -> [u8; DIGEST] {
        finish(&self.outer, &finish(&self.inner, message))
    }
}

/// SHA-256 after the block that a key fills.
fn after(key: &[u8; KEY], pad: u8) -> Zeroizing<[u32; 8]> {
    let mut block = Zeroizing::new([pad; BLOCK]);
    for (byte, secret) in block.iter_mut().zip(key) {
        *byte ^= secret;
    }
    let mut state = Zeroizing::new(BEGINNING);
    compress256(&mut state, std::slice::from_ref::<[u8; BLOCK]>(&block));
    state
}

/// The digest of one block that is done, and of this last one.
fn finish<const N: usize>(state: &[u32; 8], last: &[u8; N]) -> [u8; DIGEST] {
    const { assert!(N <= BLOCK - END, "fits one block") };
    let mut block = [0; BLOCK];
    block[..N].copy_from_slice(last);
    block[N] = 0x80;
    block[BLOCK - 8..].copy_from_slice(&(8 * (BLOCK + N) as u64).to_be_bytes());
    let mut state = *state;
    compress256(&mut state, &[block]);
    let mut digest = [0; DIGEST];
    for (bytes, word) in digest.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    digest
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::hmac;
    use proptest::prelude::*;

    use super::*;

    fn key(bytes: &[u8]) -> Key {
        // HMAC itself fills a short key up with zeros.
        let mut key = [0; KEY];
        key[..bytes.len()].copy_from_slice(bytes);
        Key::new(&key)
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }

    /// X4: RFC 4231, the cases whose key and message are short enough.
    #[test]
    fn tags_are_those_of_the_standard() {
        let counting: Vec<u8> = (1..=25).collect();
        for (tag, expected) in [
            (
                key(&[0x0b; 20]).tag(b"Hi There"),
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                key(b"Jefe").tag(b"what do ya want for nothing?"),
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                key(&[0xaa; 20]).tag(&[0xdd; 50]),
                "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
            ),
            (
                key(&counting).tag(&[0xcd; 50]),
                "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
            ),
        ] {
            assert_eq!(hex(&tag), expected);
        }
    }

    proptest! {
        /// Each end may have another library.
        #[test]
        fn tags_are_those_of_the_tls_library(secret in any::<[u8; KEY]>(), message in any::<[u8; BLOCK]>()) {
            let (ours, theirs) = (Key::new(&secret), hmac::Key::new(hmac::HMAC_SHA256, &secret));
            macro_rules! lengths {
                ($($length:literal)*) => {$({
                    let part: &[u8; $length] = message.first_chunk().unwrap();
                    let tag = hmac::sign(&theirs, part);
                    prop_assert_eq!(&ours.tag(part)[..], tag.as_ref(), "{} bytes", $length);
                })*};
            }
            lengths!(0 1 2 3 4 7 8 15 16 17 31 32 33 40 47 48 49 54 55);
        }
    }
}
