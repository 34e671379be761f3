//! From a failed handshake to the reason that is audited and counted.

use std::io;

use crds::EndpointId;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, Error, PeerIncompatible};

use crate::link::cert::CertError;
use crate::reason::RefuseReason;

/// Why a client did not get through the handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// For audit and metrics.
    pub reason: RefuseReason,
    /// The key the client has proven to hold, when it got that far.
    pub key: Option<EndpointId>,
    /// Whom its certificate named instead: bounded and escaped.
    pub claimed: Option<String>,
}

/// Reads the error of a server-side handshake.
pub fn refusal(error: &Error) -> Refusal {
    let plain = |reason| Refusal { reason, key: None, claimed: None };
    match error {
        Error::NoCertificatesPresented => plain(RefuseReason::NoClientCertificate),
        Error::NoApplicationProtocol => plain(RefuseReason::WrongAlpn),
        Error::PeerIncompatible(
            PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::SupportedVersionsExtensionRequired
            // Only clients older than TLS 1.2 leave that extension out, and rustls looks for it before the version.
            | PeerIncompatible::SignatureAlgorithmsExtensionRequired,
        ) => plain(RefuseReason::TlsVersion),
        Error::InvalidCertificate(CertificateError::NotValidForNameContext { expected, presented }) => Refusal {
            reason: RefuseReason::IdentityForged,
            key: id_in(expected),
            claimed: presented.first().cloned(),
        },
        Error::InvalidCertificate(_) => plain(RefuseReason::BadCertificate),
        _ => plain(RefuseReason::HandshakeFailed),
    }
}

/// The TLS error inside an IO error, as tokio-rustls reports it. `None`: the transport failed, or time ran out.
pub fn tls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

/// As rustls carries it: every kind here becomes alert 42, `bad_certificate`.
pub(super) fn certificate_error(error: &CertError) -> Error {
    let CertError::Forged { key, claimed } = error else { return CertificateError::BadEncoding.into() };
    match ServerName::try_from(key.label()) {
        Ok(expected) => {
            CertificateError::NotValidForNameContext { expected, presented: vec![claimed.clone()] }.into()
        }
        // A label form is always a DNS name; should it not be, the refusal stands without its detail.
        Err(_) => CertificateError::NotValidForName.into(),
    }
}

fn id_in(name: &ServerName<'_>) -> Option<EndpointId> {
    match name {
        ServerName::DnsName(label) => label.as_ref().parse().ok(),
        _ => None,
    }
}
