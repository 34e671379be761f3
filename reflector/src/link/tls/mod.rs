//! TLS 1.3 with both sides proving an Ed25519 key, as rustls configurations.
//!
//! In come our key and certificate; out come configurations for either side, the peer's Endpoint ID after a handshake
//! and a typed reason when there was none. The provider is named here and nowhere else: never the process default.
//! Every handshake is a full one (no tickets, no early data), so an identity is proven each time and a revoked peer
//! has nothing to resume.

mod client;
mod proof;
mod provider;
mod refusal;
mod server;
#[cfg(test)]
pub(crate) mod sides;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crds::EndpointId;
use rustls::CommonState;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

use super::cert;
pub use client::{ServerRefused, client_config, server_name};
pub use refusal::{Refusal, refusal, tls_error};
pub use server::{NO_APPLICATION_PROTOCOL, offers_no_alpn, server_config};

/// What a connection is for; chosen by ALPN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alpn {
    /// Control connection. Appliances name no protocol at all and mean this one.
    Link,
    /// One data stream of a tunneled session.
    Data,
}

impl Alpn {
    /// The protocol name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Link => "pp-link/1",
            Self::Data => "pp-data/1",
        }
    }

    fn wire(self) -> Vec<u8> {
        self.as_str().as_bytes().to_vec()
    }

    /// What a finished handshake agreed on; no protocol means [`Self::Link`].
    pub fn of(connection: &CommonState) -> Self {
        match connection.alpn_protocol() {
            Some(name) if name == Self::Data.as_str().as_bytes() => Self::Data,
            _ => Self::Link,
        }
    }
}

/// Our key and certificate, parsed once and shared by every configuration made from it.
#[derive(Debug, Clone)]
pub struct LinkIdentity {
    key: Arc<CertifiedKey>,
    provider: Arc<CryptoProvider>,
}

/// Why no configuration could be made: a bug or a mismatched pair, never a peer's doing.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Key unreadable, or the certificate is for another key.
    #[error("load key and certificate of this endpoint")]
    Identity(#[source] rustls::Error),
    /// The provider lacks something TLS 1.3 needs.
    #[error("set up TLS 1.3")]
    Config(#[source] rustls::Error),
}

impl LinkIdentity {
    /// Pairs a PKCS#8 key ([`cert::pkcs8_of_seed`]) with its certificate ([`cert::make_own`]). rustls erases its copy of
    /// the key bytes; the key itself lives until the last configuration made from this is dropped.
    pub fn new(pkcs8_der: &[u8], certificate: CertificateDer<'static>) -> Result<Self, TlsError> {
        let provider = Arc::new(provider::provider(provider::has_aes()));
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8_der.to_vec()));
        let key = CertifiedKey::from_der(vec![certificate], key, &provider).map_err(TlsError::Identity)?;
        Ok(Self { key: Arc::new(key), provider })
    }
}

/// The Endpoint ID of the peer, proven by the handshake. `None` while the handshake is not complete.
pub fn peer_id_of(connection: &CommonState) -> Option<EndpointId> {
    if connection.is_handshaking() {
        return None;
    }
    cert::key_of(connection.peer_certificates()?.first()?).ok()
}
