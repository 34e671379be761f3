//! The connecting side: our certificate, and a pin on the server's key.

use std::sync::Arc;

use crds::EndpointId;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::SingleCertAndKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, SignatureScheme, version,
};

use super::proof::{self, Refused};
use super::{Alpn, LinkIdentity, TlsError};
use crate::link::cert::{self, CertError};

/// The SNI of the ecosystem, to connect with; it names no one, keys do.
///
/// # Panics
/// Never: the name is a constant.
#[expect(clippy::expect_used, reason = "a constant, tested by appliances_and_we_send_the_same_name")]
pub fn server_name() -> ServerName<'static> {
    ServerName::try_from("reflector").expect("invariant: a valid DNS name")
}

/// Why our client turned a server down.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerRefused {
    /// Somebody answers with another key: a man in the middle, a wrong address, or a rotated identity.
    #[error(
        "the endpoint that answered is {found}, not {expected}: check the address; if the reflector rotated its identity, ask its owner for the new ID"
    )]
    WrongKey {
        /// The pin.
        expected: EndpointId,
        /// Whose key answered.
        found: EndpointId,
    },
    /// No usable certificate, or one that names someone else.
    #[error(transparent)]
    Certificate(#[from] CertError),
}

impl ServerRefused {
    /// The refusal inside the error of a client-side handshake.
    pub fn in_error(error: &Error) -> Option<&Self> {
        match error {
            Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) => inner.downcast_ref(),
            _ => None,
        }
    }

    fn into_error(self) -> Error {
        CertificateError::Other(OtherError(Arc::new(self))).into()
    }
}

/// TLS 1.3 as `identity`, for one purpose. With a pin only that key is accepted; without one any key is, and
/// [`super::peer_id_of`] tells whose it was. Connect with [`server_name`].
pub fn client_config(
    identity: &LinkIdentity,
    pin: Option<EndpointId>,
    protocol: Alpn,
) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = &identity.provider;
    let verifier = Pinned { pin, algorithms: provider.signature_verification_algorithms };
    let mut config = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&version::TLS13])
        .map_err(TlsError::Config)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&identity.key))));
    config.alpn_protocols = vec![protocol.wire()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    // Data connections seal their records themselves.
    config.enable_secret_extraction = protocol == Alpn::Data;
    Ok(Arc::new(config))
}

#[derive(Debug)]
struct Pinned {
    pin: Option<EndpointId>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Pinned {
    /// Refuses early what can have no Endpoint ID. The pin is compared once the key is proven, which is still before our
    /// own certificate goes out.
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match cert::key_of(end_entity) {
            Ok(_) => Ok(ServerCertVerified::assertion()),
            Err(error) => Err(ServerRefused::from(error).into_error()),
        }
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
            Ok((found, valid)) => match self.pin {
                Some(expected) if expected != found => {
                    Err(ServerRefused::WrongKey { expected, found }.into_error())
                }
                _ => Ok(valid),
            },
            Err(Refused::Tls(error)) => Err(error),
            Err(Refused::Certificate(error)) => Err(ServerRefused::from(error).into_error()),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        proof::SCHEMES.to_vec()
    }
}
