//! Our own certificate: the ecosystem's SAN, a CN short enough for OpenSSL, ten years.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use crds::EndpointId;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use rcgen::{CertificateParams, DistinguishedName, DnType, PublicKeyData, SigningKey};
use rustls::pki_types::CertificateDer;
use zeroize::Zeroizing;

use super::SAN_PREFIX;

/// PKCS#8 v1 of an Ed25519 key is this and the seed (RFC 8410 section 7).
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// Length of what [`pkcs8_of_seed`] returns.
pub const PKCS8_LEN: usize = 48;

/// As long as the ecosystem's certificates; peers look at the key only.
const VALIDITY_YEARS: i64 = 10;

/// Why no certificate could be made.
#[derive(Debug, thiserror::Error)]
pub enum OwnCertError {
    /// Not PKCS#8 of an Ed25519 key.
    #[error("read the identity key: not PKCS#8 of an Ed25519 seed")]
    Key,
    /// The clock shows a date no certificate can carry.
    #[error("set the validity of our certificate: the clock shows {now}, correct it")]
    Clock {
        /// What the clock shows.
        now: Timestamp,
    },
    /// The encoder refused.
    #[error("encode our certificate")]
    Encode(#[source] rcgen::Error),
}

/// The form of a seed that rustls and [`make_own`] read; erased on drop.
pub fn pkcs8_of_seed(seed: &[u8; 32]) -> Zeroizing<[u8; PKCS8_LEN]> {
    let mut der = Zeroizing::new([0; PKCS8_LEN]);
    for (to, from) in der.iter_mut().zip(PKCS8_PREFIX.iter().chain(seed)) {
        *to = *from;
    }
    der
}

/// A self-signed certificate for the key in `pkcs8_der`: CN is the label form of the Endpoint ID (the canonical form
/// has 69 characters, X.509 allows 64), the SAN is what appliances know. Valid from the day before `now`, so a peer
/// whose clock is a little behind and that does look at dates is not turned away.
pub fn make_own(pkcs8_der: &[u8], now: Timestamp) -> Result<CertificateDer<'static>, OwnCertError> {
    let key = Key(Ed25519KeyPair::from_pkcs8(pkcs8_der).map_err(|_| OwnCertError::Key)?);
    let public = key.der_bytes().try_into().map_err(|_| OwnCertError::Key)?;
    let id = EndpointId::from_public_key(public);

    let clock = |_| OwnCertError::Clock { now };
    let today = now.to_zoned(TimeZone::UTC).date();
    let first = today.checked_sub(1.day()).map_err(clock)?;
    let last = today.checked_add(VALIDITY_YEARS.years()).map_err(clock)?;
    // X.509 has no date before 1950, and years have four digits.
    if first.year() < 1950 {
        return Err(OwnCertError::Clock { now });
    }

    let mut params = CertificateParams::new([format!("{SAN_PREFIX}{id}")]).map_err(OwnCertError::Encode)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, id.label());
    let date = |day: Date| {
        rcgen::date_time_ymd(i32::from(day.year()), day.month().unsigned_abs(), day.day().unsigned_abs())
    };
    params.not_before = date(first);
    params.not_after = date(last);
    let certificate = params.self_signed(&key).map_err(OwnCertError::Encode)?;
    Ok(certificate.der().clone())
}

/// The key stays inside aws-lc, which erases it; rcgen's own key pair would keep a copy of the seed.
struct Key(Ed25519KeyPair);

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ED25519
    }
}

impl SigningKey for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(self.0.sign(message).as_ref().to_vec())
    }
}
