//! Both sides of a handshake in memory, for tests: whatever one writes the other reads, no sockets.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{ServerName, UnixTime};
use rustls::sign::SingleCertAndKey;
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, DigitallySignedStruct, Error, ServerConfig,
    ServerConnection, SignatureScheme,
};

use super::*;
use crate::link::cert::samples::{self, Sample};

pub(super) const SERVER: u8 = 9;
pub(super) const CLIENT: u8 = 1;

pub(super) fn identity(sample: &Sample) -> LinkIdentity {
    LinkIdentity::new(&sample.pkcs8, sample.cert.clone()).unwrap()
}

pub(super) fn server() -> Arc<ServerConfig> {
    server_config(&identity(&samples::ours(SERVER)), &[Alpn::Link]).unwrap()
}

/// What an appliance does: no ALPN, two signature schemes, any server certificate.
#[derive(Debug)]
struct AnyServer(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        proof::no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519, SignatureScheme::RSA_PSS_SHA256]
    }
}

pub(crate) fn appliance_with(provider: CryptoProvider, key: Option<Arc<CertifiedKey>>) -> ClientConfig {
    let algorithms = provider.signature_verification_algorithms;
    let builder = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer(algorithms)));
    match key {
        Some(key) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key))),
        None => builder.with_no_client_auth(),
    }
}

/// Key and certificate need not belong together: a thief has one of them only.
pub(crate) fn certified(pkcs8: &[u8], cert: &CertificateDer<'static>) -> Arc<CertifiedKey> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8.to_vec()));
    let key = default_provider().key_provider.load_private_key(key).unwrap();
    Arc::new(CertifiedKey::new(vec![cert.clone()], key))
}

pub(super) fn appliance(sample: &Sample) -> ClientConfig {
    appliance_with(default_provider(), Some(certified(&sample.pkcs8, &sample.cert)))
}

pub(super) struct Outcome {
    pub(super) client: ClientConnection,
    pub(super) server: ServerConnection,
    /// What the side that failed first says, and what the other one hears.
    pub(super) client_error: Option<Error>,
    pub(super) server_error: Option<Error>,
}

pub(super) fn shake(client: impl Into<Arc<ClientConfig>>, server: &Arc<ServerConfig>) -> Outcome {
    let mut client = ClientConnection::new(client.into(), server_name()).unwrap();
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    let (mut client_error, mut server_error) = (None, None);
    loop {
        let mut sent = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut sent).unwrap();
        }
        let up = sent.len();
        let mut arriving = sent.as_slice();
        while !arriving.is_empty() && server_error.is_none() {
            server.read_tls(&mut arriving).unwrap();
            server_error = server.process_new_packets().err();
        }
        let mut answered = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut answered).unwrap();
        }
        let mut arriving = answered.as_slice();
        while !arriving.is_empty() && client_error.is_none() {
            client.read_tls(&mut arriving).unwrap();
            client_error = client.process_new_packets().err();
        }
        if up == 0 && answered.is_empty() {
            return Outcome { client, server, client_error, server_error };
        }
    }
}

pub(super) fn succeeds(client: impl Into<Arc<ClientConfig>>, server: &Arc<ServerConfig>) -> Outcome {
    let outcome = shake(client, server);
    assert_eq!((&outcome.client_error, &outcome.server_error), (&None, &None));
    assert!(!outcome.client.is_handshaking() && !outcome.server.is_handshaking());
    outcome
}

/// The reason on our side and the alert on theirs.
pub(super) fn refused(
    client: impl Into<Arc<ClientConfig>>,
    server: &Arc<ServerConfig>,
) -> (Refusal, AlertDescription) {
    let outcome = shake(client, server);
    assert_eq!(peer_id_of(&outcome.server), None, "a refused peer has no ID");
    let Some(Error::AlertReceived(alert)) = outcome.client_error else {
        panic!("{:?}", outcome.client_error)
    };
    (refusal(&outcome.server_error.expect("the server refused")), alert)
}
