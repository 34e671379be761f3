//! From a key and an address to a TLS connection, honest or hostile.
//!
//! In: an [`Appliance`] with its knobs. Out: a [`Connection`] or a [`ConnectError`] that carries the server's TLS alert. One
//! appliance connects as often as one likes; every connection does a full handshake.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::Value;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::certificate::{Names, san};
use super::connection::Connection;
use super::ending::alert;
use super::error::Error;
use super::key::Key;
use super::{WAIT, tls};

/// The server name every appliance asks for.
const SERVER_NAME: &str = "reflector";

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No TCP connection.
    #[error("connect to {addr}")]
    Tcp {
        /// Where to.
        addr: SocketAddr,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The server refused the handshake.
    #[error("the server refused the handshake with TLS alert {0}")]
    Alert(u8),
    /// The handshake failed without an alert: closed, reset, or not TLS.
    #[error("TLS handshake")]
    Tls(#[source] io::Error),
    /// TCP or TLS took too long.
    #[error("no TLS connection within {0:?}")]
    Deadline(Duration),
    /// Our side could not be set up.
    #[error("make the certificate")]
    Certificate(#[from] rcgen::Error),
    /// Our side could not be set up.
    #[error("configure TLS")]
    Config(#[from] rustls::Error),
}

impl ConnectError {
    /// The server's TLS alert, when that is how it said no.
    pub const fn alert(&self) -> Option<u8> {
        match self {
            Self::Alert(number) => Some(*number),
            _ => None,
        }
    }
}

/// What is presented in the handshake.
#[derive(Debug, Clone)]
enum Presented {
    Own(Names),
    Stolen(CertificateDer<'static>),
    Nothing,
}

/// A client with one identity. Cheap to clone; a clone with another knob is another behaviour.
#[derive(Debug, Clone)]
pub struct Appliance {
    key: Key,
    presented: Presented,
    alpn: Option<Vec<u8>>,
    source: Option<IpAddr>,
    receive_buffer: Option<u32>,
    wait: Duration,
}

impl Appliance {
    /// An honest appliance; every knob below returns it changed.
    pub fn builder(key: Key) -> Self {
        let presented = Presented::Own(Names::of(&key));
        Self { key, presented, alpn: None, source: None, receive_buffer: None, wait: WAIT }
    }

    /// Offers this ALPN protocol. Real appliances offer none.
    #[must_use]
    pub fn alpn(mut self, protocol: Option<&[u8]>) -> Self {
        self.alpn = protocol.map(<[u8]>::to_vec);
        self
    }

    /// Hostile: own key, SAN of a victim.
    #[must_use]
    pub fn forged_san(self, victim_id: &str) -> Self {
        let names = Names { dns: vec![san(victim_id)], ..Names::of(&self.key) };
        self.names(names)
    }

    /// Hostile: own key and SAN, CN of a victim.
    #[must_use]
    pub fn forged_common_name(self, victim_id: &str) -> Self {
        let names = Names { common_name: victim_id.to_owned(), ..Names::of(&self.key) };
        self.names(names)
    }

    /// Any names at all in a certificate of the own key.
    #[must_use]
    pub fn names(mut self, names: Names) -> Self {
        self.presented = Presented::Own(names);
        self
    }

    /// Hostile: the public certificate of somebody whose key we do not have.
    #[must_use]
    pub fn stolen_certificate(mut self, certificate: CertificateDer<'static>) -> Self {
        self.presented = Presented::Stolen(certificate);
        self
    }

    /// Hostile: answers the server's request for a certificate with none.
    #[must_use]
    pub fn no_client_certificate(mut self) -> Self {
        self.presented = Presented::Nothing;
        self
    }

    /// Comes from this address; on Linux all of 127.0.0.0/8 is ours.
    #[must_use]
    pub fn bind(mut self, source: IpAddr) -> Self {
        self.source = Some(source);
        self
    }

    /// A small receive buffer, for tests in which the server cannot get rid of its answers.
    #[must_use]
    pub fn receive_buffer(mut self, bytes: u32) -> Self {
        self.receive_buffer = Some(bytes);
        self
    }

    /// How long connecting, and each wait on the connection, may last. Ten seconds unless set.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// The identity.
    pub const fn key(&self) -> &Key {
        &self.key
    }

    /// TCP and TLS. In TLS 1.3 a client is done before the server has judged its certificate, so a refusal of
    /// it appears in the first read: use [`Appliance::open`], or expect it from [`Connection::hello`].
    pub async fn connect(&self, addr: SocketAddr) -> Result<Connection, ConnectError> {
        match timeout(self.wait, self.handshake(addr)).await {
            Ok(done) => done,
            Err(_) => Err(ConnectError::Deadline(self.wait)),
        }
    }

    /// Connects and says hello; returns the `server_hello` beside the connection.
    pub async fn open(&self, addr: SocketAddr) -> Result<(Connection, Value), Error> {
        let mut connection = self.connect(addr).await?;
        let hello = connection.hello().await?;
        Ok((connection, hello))
    }

    async fn handshake(&self, addr: SocketAddr) -> Result<Connection, ConnectError> {
        let certificate = match &self.presented {
            Presented::Own(names) => Some(self.key.certificate_naming(names)?),
            Presented::Stolen(certificate) => Some(certificate.clone()),
            Presented::Nothing => None,
        };
        let config = tls::client_config(&self.key, certificate, self.alpn.clone())?;
        let name = ServerName::try_from(SERVER_NAME)
            .map_err(|error| ConnectError::Tls(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
        let tcp = dial(addr, self.source, self.receive_buffer)
            .await
            .map_err(|source| ConnectError::Tcp { addr, source })?;
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector.connect(name, tcp).await.map_err(|error| match alert(&error) {
            Some(number) => ConnectError::Alert(number),
            None => ConnectError::Tls(error),
        })?;
        Connection::new(stream, self.wait).map_err(ConnectError::Tls)
    }
}

/// TCP from a given address. No deadline of its own.
pub(crate) async fn dial(
    addr: SocketAddr,
    source: Option<IpAddr>,
    receive_buffer: Option<u32>,
) -> io::Result<TcpStream> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(bytes) = receive_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    if let Some(source) = source {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    let stream = socket.connect(addr).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
