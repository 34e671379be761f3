//! Reading a peer's certificate. The ID comes from the key; names may only agree with it.

use crds::EndpointId;
use ed25519_dalek::VerifyingKey;
use x509_parser::certificate::{X509Certificate, X509CertificateParser};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::nom::Parser;
use x509_parser::oid_registry::{OID_SIG_ED25519, OID_X509_EXT_SUBJECT_ALT_NAME};

use super::SAN_PREFIX;

/// Longest claimed name kept for audit, in characters; a true one has 75.
const MAX_CLAIM: usize = 100;

/// Longest CN looked at, in bytes. An Endpoint ID has 69 symbols, at most four bytes each.
const MAX_CN: usize = 4 * 69;

/// What a peer's certificate says about its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerCert {
    /// Computed from the public key. Proven only once the handshake signature is.
    pub id: EndpointId,
}

/// Why a certificate is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertError {
    /// Not one whole X.509 certificate in DER.
    #[error("the certificate cannot be read: send one self-signed X.509 certificate in DER")]
    Malformed,
    /// The key is of another kind.
    #[error("the certificate's key is not Ed25519, and an Endpoint ID is an Ed25519 key")]
    KeyType,
    /// Anyone can sign for this key (a point of small order, or none at all), so it identifies nobody.
    #[error("the certificate's key is not a usable Ed25519 key: create a new identity")]
    WeakKey,
    /// A name claims to be someone else.
    #[error("the certificate names {claimed} but its key is {key}: names must match the key")]
    Forged {
        /// Whose key it is.
        key: EndpointId,
        /// What the name said: bounded and escaped.
        claimed: String,
    },
}

/// Reads a certificate of any age, with over-long names, with or without basicConstraints.
pub fn parse_peer(der: &[u8]) -> Result<PeerCert, CertError> {
    let certificate = parse(der, true)?;
    let key = id_in(&certificate)?;
    match names(&certificate)?.into_iter().find_map(|name| name.contradicts(key)) {
        None => Ok(PeerCert { id: key }),
        Some(claimed) => Err(CertError::Forged { key, claimed }),
    }
}

/// The ID of a certificate's key, with no look at names: for certificates [`parse_peer`] accepted before.
pub fn key_of(der: &[u8]) -> Result<EndpointId, CertError> {
    id_in(&parse(der, false)?)
}

fn parse(der: &[u8], extensions: bool) -> Result<X509Certificate<'_>, CertError> {
    let mut parser = X509CertificateParser::new().with_deep_parse_extensions(extensions);
    match parser.parse(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) | Err(_) => Err(CertError::Malformed),
    }
}

fn id_in(certificate: &X509Certificate<'_>) -> Result<EndpointId, CertError> {
    let info = certificate.public_key();
    if info.algorithm.algorithm != OID_SIG_ED25519 || info.algorithm.parameters.is_some() {
        return Err(CertError::KeyType);
    }
    if info.subject_public_key.unused_bits != 0 {
        return Err(CertError::Malformed);
    }
    let key: [u8; 32] = info.subject_public_key.data.as_ref().try_into().map_err(|_| CertError::Malformed)?;
    match VerifyingKey::from_bytes(&key) {
        Ok(point) if !point.is_weak() => Ok(EndpointId::from_public_key(key)),
        _ => Err(CertError::WeakKey),
    }
}

/// A name that may claim an identity.
enum Name {
    /// What follows `pp-id-` in a DNS SAN.
    San(String),
    /// A CN.
    Cn(String),
}

impl Name {
    /// The claim, when it is someone else's. A `pp-id-` that is no Endpoint ID names nobody, so not the key either.
    fn contradicts(self, key: EndpointId) -> Option<String> {
        let (text, claims) = match &self {
            Self::San(rest) => (rest, rest.parse() != Ok(key)),
            Self::Cn(text) => (text, text.parse().is_ok_and(|id: EndpointId| id != key)),
        };
        claims.then(|| text.chars().flat_map(char::escape_debug).take(MAX_CLAIM).collect())
    }
}

fn names(certificate: &X509Certificate<'_>) -> Result<Vec<Name>, CertError> {
    let mut names = Vec::new();
    for attribute in certificate.subject().iter_common_name() {
        // BMPString and UniversalString spell ASCII with zero bytes between: without them every string type reads alike.
        let text: String = attribute
            .attr_value()
            .data
            .iter()
            .filter(|b| **b != 0)
            .take(MAX_CN)
            .map(|b| char::from(*b))
            .collect();
        names.push(Name::Cn(text));
    }
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(alternatives) => {
                names.extend(alternatives.general_names.iter().filter_map(san));
            }
            // A name hidden in a broken list must not pass as "no name".
            ParsedExtension::ParseError { .. } if extension.oid == OID_X509_EXT_SUBJECT_ALT_NAME => {
                return Err(CertError::Malformed);
            }
            _ => {}
        }
    }
    Ok(names)
}

/// The tag of a dNSName in a SAN (RFC 5280 section 4.2.1.6).
const DNS_NAME: u32 = 2;

/// DNS names are compared without case (RFC 4343).
fn san(name: &GeneralName<'_>) -> Option<Name> {
    let bytes = match name {
        GeneralName::DNSName(name) => name.as_bytes(),
        GeneralName::Invalid(tag, bytes) if tag.0 == DNS_NAME => bytes,
        _ => return None,
    };
    let (prefix, rest) = bytes.split_at_checked(SAN_PREFIX.len())?;
    prefix
        .eq_ignore_ascii_case(SAN_PREFIX.as_bytes())
        .then(|| Name::San(String::from_utf8_lossy(rest).into_owned()))
}
