//! Ed25519 as a TLS handshake uses it, from the same library: one signature, one verification.

use std::time::{Duration, Instant};

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use super::host::{Error, Measured};

/// Thousands of rounds on any machine we run on.
pub(super) const FULL: Duration = Duration::from_millis(500);
/// Enough to see that it works.
pub(super) const QUICK: Duration = Duration::from_millis(30);

/// RFC 8032, section 7.1, test 1: the seed …
const SEED: [u8; 32] = [
    0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44,
    0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
];
/// … and the first half of the signature of the empty message: a processor that miscomputes is found out.
const SIGNATURE_STARTS: [u8; 32] = [
    0xe5, 0x56, 0x43, 0x00, 0xc3, 0x60, 0xac, 0x72, 0x90, 0x86, 0xe2, 0xcc, 0x80, 0x6e, 0x82, 0x8a, 0x84,
    0x87, 0x7f, 0x1e, 0xb8, 0xe5, 0xd9, 0x74, 0xd8, 0x73, 0xe0, 0x65, 0x22, 0x49, 0x01, 0x55,
];

/// Rounds of signing and verifying per second.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock around what it measures")]
pub(super) fn measure(duration: Duration) -> Measured<f64> {
    let key = Ed25519KeyPair::from_seed_unchecked(&SEED)
        .map_err(|_| Error::Crypto("Ed25519 refuses a good key"))?;
    if !key.sign(b"").as_ref().starts_with(&SIGNATURE_STARTS) {
        return Err(Error::Crypto("Ed25519 gives a signature that differs from RFC 8032's"));
    }
    let public = UnparsedPublicKey::new(&ED25519, key.public_key().as_ref().to_vec());
    let (mut rounds, start) = (0_u32, Instant::now());
    while rounds == 0 || start.elapsed() < duration {
        let message = rounds.to_be_bytes();
        let signature = key.sign(&message);
        public
            .verify(&message, signature.as_ref())
            .map_err(|_| Error::Crypto("Ed25519 refuses a good signature"))?;
        rounds = rounds.saturating_add(1);
    }
    Ok(f64::from(rounds) / start.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_works_and_is_counted() {
        assert!(measure(Duration::from_millis(5)).unwrap() > 0.0);
    }
}
