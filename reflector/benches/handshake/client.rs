//! A client that costs as little as a TLS client can, so that what is measured is the server.
//!
//! It proves its own key but checks nothing about the server's: that alone makes it cheaper than either server, which
//! signs and verifies.

use std::io::{self, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use reflector::identity::Identity;
use reflector::link::cert::make_own;
use reflector::link::tls::{Alpn, server_name};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{
    CipherSuite, ClientConfig, ClientConnection, DigitallySignedStruct, NamedGroup, SignatureScheme, version,
};

/// A server that says nothing for so long hangs, and the benchmark with it.
const PATIENCE: Duration = Duration::from_secs(10);
const SEED: [u8; 32] = [12; 32];

/// What a handshake agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Agreed {
    pub(crate) suite: Option<CipherSuite>,
    pub(crate) group: Option<NamedGroup>,
}

/// Shared by all client threads.
pub(crate) struct Client {
    config: Arc<ClientConfig>,
}

impl Client {
    pub(crate) fn new() -> Result<Self> {
        let pkcs8 = Identity::from_seed(&SEED).pkcs8();
        let certificate = make_own(&pkcs8, reflector::clock::now().wall)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8.to_vec()));
        let provider = CryptoProvider {
            cipher_suites: vec![cipher_suite::TLS13_AES_128_GCM_SHA256],
            kx_groups: vec![kx_group::X25519],
            ..default_provider()
        };
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Careless))
            .with_client_auth_cert(vec![certificate], key)?;
        config.alpn_protocols = vec![Alpn::Link.as_str().into()];
        config.resumption = Resumption::disabled();
        Ok(Self { config: Arc::new(config) })
    }

    /// One full handshake up to the end of the connection: only a server that has accepted the client's certificate
    /// ends it without an alert.
    pub(crate) fn handshake(&self, address: SocketAddr) -> Result<Agreed> {
        let mut socket = TcpStream::connect(address).context("connect")?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut tls = ClientConnection::new(Arc::clone(&self.config), server_name())?;
        while tls.is_handshaking() {
            write(&mut tls, &mut socket)?;
            if tls.read_tls(&mut socket).context("read")? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof))
                    .context("read the server's flight");
            }
            tls.process_new_packets()?;
        }
        tls.send_close_notify();
        write(&mut tls, &mut socket)?;
        socket.shutdown(Shutdown::Write)?;
        // s_server may reset instead of saying goodbye; an alert arrives before either.
        while tls.read_tls(&mut socket).is_ok_and(|count| count > 0) {
            tls.process_new_packets()?;
        }
        Ok(Agreed {
            suite: tls.negotiated_cipher_suite().map(|suite| suite.suite()),
            group: tls.negotiated_key_exchange_group().map(rustls::crypto::SupportedKxGroup::name),
        })
    }
}

fn write(tls: &mut ClientConnection, socket: &mut TcpStream) -> Result<()> {
    while tls.wants_write() {
        tls.write_tls(socket).context("write")?;
    }
    socket.flush().context("write")
}

/// Checks nothing.
#[derive(Debug)]
struct Careless;

impl ServerCertVerifier for Careless {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}
