//! Certificates for tests: the appliance's as the Facts describe it, and forged ones.

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use super::*;
use crds::EndpointId;

/// A key and a certificate for it.
pub(crate) struct Sample {
    pub(crate) id: EndpointId,
    pub(crate) pkcs8: Vec<u8>,
    pub(crate) cert: CertificateDer<'static>,
}

/// The Endpoint ID of a test seed.
pub(crate) fn id_of(seed: u8) -> EndpointId {
    let key = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]);
    EndpointId::from_public_key(key.verifying_key().to_bytes())
}

/// What an appliance presents: 69-character CN, 75-character SAN label.
pub(crate) fn appliance(seed: u8) -> Sample {
    let id = id_of(seed).to_string();
    with_names(seed, Some(&id), &[&format!("{SAN_PREFIX}{id}")])
}

/// What this source makes for itself.
pub(crate) fn ours(seed: u8) -> Sample {
    let pkcs8 = pkcs8_of_seed(&[seed; 32]).to_vec();
    let cert = make_own(&pkcs8, "2026-03-01T12:00:00Z".parse().unwrap()).unwrap();
    Sample { id: id_of(seed), pkcs8, cert }
}

/// The seed's key under any names.
pub(crate) fn with_names(seed: u8, cn: Option<&str>, sans: &[&str]) -> Sample {
    let pkcs8 = pkcs8_of_seed(&[seed; 32]).to_vec();
    let key = KeyPair::try_from(&PrivatePkcs8KeyDer::from(pkcs8.clone())).unwrap();
    let cert = params(cn, sans).self_signed(&key).unwrap().der().clone();
    Sample { id: id_of(seed), pkcs8, cert }
}

/// An ECDSA P-256 certificate.
pub(crate) fn other_key_type() -> Sample {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let cert = params(Some("pp"), &[]).self_signed(&key).unwrap().der().clone();
    Sample { id: id_of(0), pkcs8: key.serialize_der(), cert }
}

pub(crate) fn params(cn: Option<&str>, sans: &[&str]) -> CertificateParams {
    let sans: Vec<String> = sans.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(sans).unwrap();
    params.distinguished_name = DistinguishedName::new();
    if let Some(cn) = cn {
        params.distinguished_name.push(DnType::CommonName, cn);
    }
    params
}
