//! From a fresh socket to a proven identity, or to the session that waits for it: first byte, TLS, Endpoint ID. Knows
//! nothing of policy.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crds::EndpointId;
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::StartHandshake;
use tokio_rustls::server::TlsStream;

use crate::engine::door::{Doors, Pass, Shut};
use crate::link::tls;
use crate::metrics::Handshake;
use crate::reason::RefuseReason;

use super::greeting::{Greeting, greet, refuse_without_alpn};
use super::limits::{COOKIE, FIRST_BYTE, GOODBYE, HANDSHAKE};
use super::shared::{Phase, Shared};

/// First byte of a TLS handshake record.
const TLS_HANDSHAKE: u8 = 0x16;
/// An iperf3 cookie: 36 symbols and a NUL.
const COOKIE_BYTES: usize = 37;

/// What a socket turned out to be.
pub(super) enum Arrival {
    /// A TLS client whose key is proven.
    Proven(Box<TlsStream<TcpStream>>, EndpointId),
    /// An iperf3 client from the address of a live grant; nothing of it was read.
    Plain(TcpStream, Pass),
    /// A TLS client that wants to carry a stream of a session; what was read of it.
    Tunneled(ToTunnel),
    /// Anything else; the socket is closed or reset already.
    Refused(Refused),
}

/// A data connection behind its `ClientHello`, unanswered.
pub(super) struct ToTunnel {
    pub(super) stream: TcpStream,
    pub(super) received: Vec<u8>,
    pub(super) tls: Arc<ServerConfig>,
}

/// Why nobody came in.
#[derive(Debug)]
pub(super) struct Refused {
    /// Typed reason.
    pub(super) reason: RefuseReason,
    /// The key presented, if the handshake got that far.
    pub(super) key: Option<EndpointId>,
    /// The ID a forged certificate claimed, or the TLS error in words. Bounded by the parser.
    pub(super) detail: Option<String>,
}

impl Refused {
    pub(super) fn by_tls(error: &rustls::Error) -> Self {
        let tls::Refusal { reason, key, claimed } = tls::refusal(error);
        Self { reason, key, detail: claimed.or_else(|| Some(error.to_string())) }
    }

    pub(super) fn because(reason: RefuseReason) -> Self {
        Self { reason, key: None, detail: None }
    }
}

impl Arrival {
    /// Refused, with nothing known but the reason.
    pub(super) fn refused(reason: RefuseReason) -> Self {
        Self::Refused(Refused::because(reason))
    }
}

/// What the gate needs to know.
pub(super) struct GateConfig {
    /// Presents our identity.
    pub(super) tls: Arc<ServerConfig>,
    /// Refuse clients that offer no ALPN.
    pub(super) require_alpn: bool,
    /// For streams of sessions in a tunnel, where there are such.
    pub(super) data: Option<Arc<ServerConfig>>,
}

/// Takes a socket through the gate. Never longer than first byte plus handshake deadlines.
pub(super) async fn enter(stream: TcpStream, from: IpAddr, config: &GateConfig, shared: &Shared) -> Arrival {
    let services = &shared.services;
    // Streams of what still runs may come; nobody new.
    let draining = *shared.phase.borrow() != Phase::Serving;
    match first_byte(&stream).await {
        Ok(TLS_HANDSHAKE) => {}
        Ok(byte) if is_cookie(byte) => return plain(stream, from, &services.doors).await,
        Ok(_) => {
            reset(stream);
            return Arrival::refused(RefuseReason::NotTls);
        }
        Err(reason) => return Arrival::refused(reason),
    }
    let began = now();
    let arrival = timeout(HANDSHAKE, handshake(stream, config, draining))
        .await
        .unwrap_or_else(|_| Arrival::refused(RefuseReason::HandshakeTimeout));
    match &arrival {
        Arrival::Proven(..) => services.metrics.handshake(Handshake::Ok, began.elapsed()),
        Arrival::Refused(refused) => services.metrics.handshake(outcome(refused.reason), began.elapsed()),
        // The tunnel shakes hands.
        Arrival::Plain(..) | Arrival::Tunneled(..) => {}
    }
    arrival
}

pub(super) const fn outcome(reason: RefuseReason) -> Handshake {
    match reason {
        RefuseReason::HandshakeTimeout => Handshake::Timeout,
        RefuseReason::NoClientCertificate => Handshake::NoClientCertificate,
        RefuseReason::TlsVersion => Handshake::TlsVersion,
        RefuseReason::WrongAlpn => Handshake::WrongAlpn,
        RefuseReason::BadCertificate => Handshake::BadCertificate,
        RefuseReason::IdentityForged => Handshake::IdentityForged,
        _ => Handshake::Failed,
    }
}

fn now() -> Instant {
    Instant::now()
}

async fn first_byte(stream: &TcpStream) -> Result<u8, RefuseReason> {
    let mut byte = [0u8; 1];
    match timeout(FIRST_BYTE, stream.peek(&mut byte)).await {
        Ok(Ok(1..)) => Ok(byte[0]),
        Ok(Ok(0) | Err(_)) | Err(_) => Err(RefuseReason::NoFirstByte),
    }
}

/// iperf3 cookies are made of `a-z2-7`.
const fn is_cookie(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'2'..=b'7')
}

/// An iperf3 client. It belongs to a live grant of its address, whose engine reads the cookie, or to nobody.
async fn plain(stream: TcpStream, from: IpAddr, doors: &Doors) -> Arrival {
    match doors.pass(from) {
        Ok(pass) => Arrival::Plain(stream, pass),
        Err(Shut::Nobody) => Arrival::Refused(stray_cookie(stream).await),
        Err(Shut::Full) => {
            reset(stream);
            Arrival::refused(RefuseReason::TooManyConnections)
        }
    }
}

/// It may finish its cookie, so that what it sees is one clean reset and not a race.
async fn stray_cookie(mut stream: TcpStream) -> Refused {
    let mut cookie = [0u8; COOKIE_BYTES];
    let _whole = timeout(COOKIE, stream.read_exact(&mut cookie)).await;
    reset(stream);
    Refused::because(RefuseReason::UnexpectedCookie)
}

/// Closes with RST: nothing lingers in our kernel for a stranger.
pub(super) fn reset(stream: TcpStream) {
    if let Err(error) = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)) {
        tracing::trace!(%error, "set linger on a stray connection");
    }
    drop(stream);
}

async fn handshake(stream: TcpStream, config: &GateConfig, draining: bool) -> Arrival {
    let greeting = match greet(stream).await {
        Ok(greeting) => greeting,
        Err(refused) => return Arrival::Refused(refused),
    };
    // Where no session has streams in a tunnel, this ends with the alert for a protocol nobody speaks.
    if let Some(data) = config.data.as_ref().filter(|_| greeting.is_data()) {
        let Greeting { stream, received, .. } = greeting;
        return Arrival::Tunneled(ToTunnel { stream, received, tls: Arc::clone(data) });
    }
    let Greeting { accepted, stream, .. } = greeting;
    if draining {
        reset(stream);
        return Arrival::refused(RefuseReason::Draining);
    }
    if config.require_alpn && tls::offers_no_alpn(&accepted.client_hello()) {
        refuse_without_alpn(stream).await;
        return Arrival::Refused(Refused {
            detail: Some("no ALPN offered, and network.require_alpn is set".into()),
            ..Refused::because(RefuseReason::WrongAlpn)
        });
    }
    let start = StartHandshake::from_parts(accepted, stream);
    // The stream comes back on failure so that the alert can be read before the socket goes.
    match start.into_stream(Arc::clone(&config.tls)).into_fallible().await {
        Ok(stream) => match tls::peer_id_of(stream.get_ref().1) {
            Some(id) => Arrival::Proven(Box::new(stream), id),
            None => Arrival::refused(RefuseReason::NoClientCertificate),
        },
        Err((error, mut stream)) => {
            let _ = timeout(GOODBYE, stream.shutdown()).await;
            Arrival::Refused(refused_by(&error))
        }
    }
}

fn refused_by(error: &io::Error) -> Refused {
    match tls::tls_error(error) {
        Some(cause) => Refused::by_tls(cause),
        None => Refused {
            detail: Some(error.kind().to_string()),
            ..Refused::because(RefuseReason::HandshakeFailed)
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookie_bytes_and_tls_never_overlap() {
        assert!(!is_cookie(TLS_HANDSHAKE));
        let symbols: Vec<u8> = (0..=255).filter(|b| is_cookie(*b)).collect();
        assert_eq!(symbols, b"234567abcdefghijklmnopqrstuvwxyz");
    }
}
