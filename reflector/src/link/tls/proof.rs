//! Proof that the peer holds the key its certificate shows, and that its names agree with that key.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use rustls::{DigitallySignedStruct, Error, PeerIncompatible, SignatureScheme};

use crate::link::cert::{self, CertError};
use crds::EndpointId;

/// The only signature a peer may prove itself with: its Endpoint ID is an Ed25519 key.
pub(super) const SCHEMES: [SignatureScheme; 1] = [SignatureScheme::ED25519];

/// `SubjectPublicKeyInfo` of an Ed25519 key is this and the key (RFC 8410 section 4).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// What went wrong: TLS itself, or the certificate.
pub(super) enum Refused {
    Tls(Error),
    Certificate(CertError),
}

/// Checks the signature first and the names after it, so that a forgery is reported with a key its holder has proven:
/// nobody can put someone else's ID into our audit log by copying a certificate.
pub(super) fn prove(
    transcript: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<(EndpointId, HandshakeSignatureValid), Refused> {
    let (key, names) = match cert::parse_peer(certificate) {
        Ok(peer) => (peer.id, Ok(())),
        Err(CertError::Forged { key, claimed }) => (key, Err(CertError::Forged { key, claimed })),
        Err(other) => return Err(Refused::Certificate(other)),
    };
    // Another scheme than Ed25519 does not fit this kind of key, so it fails here too.
    let spki = SubjectPublicKeyInfoDer::from([&SPKI_PREFIX[..], key.public_key()].concat());
    let valid = verify_tls13_signature_with_raw_key(transcript, &spki, signature, algorithms)
        .map_err(Refused::Tls)?;
    names.map_err(Refused::Certificate)?;
    Ok((key, valid))
}

/// TLS 1.2 is not negotiated, so rustls never asks; should it ever, the answer is no.
pub(super) fn no_tls12() -> Result<HandshakeSignatureValid, Error> {
    Err(PeerIncompatible::Tls12NotOfferedOrEnabled.into())
}
