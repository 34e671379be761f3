//! The accepting side.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage};
use rustls::sign::SingleCertAndKey;
use rustls::{DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme, version};

use super::proof::{self, Refused};
use super::refusal::certificate_error;
use super::{Alpn, LinkIdentity, TlsError};
use crate::link::cert;

/// The record to send before closing when a client that names no protocol is not wanted: fatal alert 120
/// (`no_application_protocol`, RFC 7301), in the clear because no keys exist yet. A client that names only foreign
/// protocols gets the same alert from rustls itself, encrypted.
pub const NO_APPLICATION_PROTOCOL: [u8; 7] = [21, 3, 3, 0, 2, 2, 120];

/// Whether this client names no protocol, as appliances do. The accept code asks when configuration says such clients
/// are to be refused, and answers with [`NO_APPLICATION_PROTOCOL`].
pub fn offers_no_alpn(hello: &ClientHello<'_>) -> bool {
    hello.alpn().is_none()
}

/// TLS 1.3 only (else alert 70), client certificate mandatory (else 116), one of `protocols` or none named (else
/// 120), names that agree with the key (else 42). Make one per identity and share it: the key is parsed once.
pub fn server_config(identity: &LinkIdentity, protocols: &[Alpn]) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = &identity.provider;
    let verifier = AnyEndpoint { algorithms: provider.signature_verification_algorithms };
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&version::TLS13])
        .map_err(TlsError::Config)?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&identity.key))));
    config.alpn_protocols = protocols.iter().map(|p| p.wire()).collect();
    // With AES in hardware the client's order stands: one without AES asks for ChaCha20 and gets it. Without AES ours
    // stands, because most clients put AES first for their own sake.
    config.ignore_client_order = !super::provider::has_aes();
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.max_early_data_size = 0;
    // Data connections seal their records themselves.
    config.enable_secret_extraction = protocols.contains(&Alpn::Data);
    Ok(Arc::new(config))
}

/// Accepts any Ed25519 key that proves itself: who that is allowed to do what is decided after the handshake.
#[derive(Debug)]
struct AnyEndpoint {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for AnyEndpoint {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    /// Refuses early what can have no Endpoint ID. Chains and dates mean nothing here; names are judged together with
    /// the signature.
    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        cert::key_of(end_entity).map(|_| ClientCertVerified::assertion()).map_err(|e| certificate_error(&e))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        proof::no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match proof::prove(message, cert, dss, &self.algorithms) {
            Ok((_, valid)) => Ok(valid),
            Err(Refused::Tls(error)) => Err(error),
            Err(Refused::Certificate(error)) => Err(certificate_error(&error)),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        proof::SCHEMES.to_vec()
    }
}
