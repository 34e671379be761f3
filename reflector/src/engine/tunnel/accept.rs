//! The server's side of opening a stream: handshake, first frame, the session it belongs to.
//!
//! Every wait has a deadline, every way out has a reason of the one table. Who calls this counts and audits it.

use std::sync::Arc;

use crds::EndpointId;
use rustls::ServerConfig;
use tokio::net::TcpStream;

use crate::link::tls;
use crate::reason::RefuseReason;

use super::desk::{Arrived, Tunnels, Way};
use super::hello::{Answer, Hello};
use super::stream::{OpenError, TunnelStream};
use super::tls::Fault;

/// Why no stream came of a connection. It is closed, and its other end was told if it could be.
#[derive(Debug)]
pub struct Refused {
    /// Typed reason.
    pub reason: RefuseReason,
    /// The key it proved, if it got that far.
    pub key: Option<EndpointId>,
    /// The ID a forged certificate claimed, or the error in words. Bounded.
    pub detail: Option<String>,
}

/// A stream that may come in and does not know yet. Dropping it closes the connection without a word.
#[derive(Debug)]
pub struct Welcome {
    stream: TunnelStream,
    way: Way,
}

/// Takes a connection from its `ClientHello` to a session. `received` is what was read of it already: nothing when it
/// was only peeked at. `config` offers [`tls::Alpn::Data`] alone or among others.
pub async fn accept(
    tcp: TcpStream,
    received: &[u8],
    config: Arc<ServerConfig>,
    tunnels: &Tunnels,
) -> Result<Welcome, Refused> {
    let mut stream =
        TunnelStream::accept(tcp, received, config).await.map_err(|error| refused(&error, None))?;
    stream.count_fruitless(tunnels.count_of_fruitless());
    let peer = stream.peer();
    let hello = match stream.frame().await.and_then(|payload| Ok(Hello::read(&payload)?)) {
        Ok(hello) => hello,
        Err(error) => {
            let refused = refused(&error, Some(peer));
            // A connection that broke is told nothing.
            if matches!(refused.reason, RefuseReason::BadFirstFrame | RefuseReason::FirstFrameTimeout) {
                turn_away(stream, refused.reason).await;
            }
            return Err(refused);
        }
    };
    match tunnels.admit(&peer, &hello) {
        Ok(way) => Ok(Welcome { stream, way }),
        Err(reason) => {
            turn_away(stream, reason).await;
            let detail = Some(format!("stream {} of test {}", hello.stream, hello.test_id));
            Err(Refused { reason, key: Some(peer), detail })
        }
    }
}

impl Welcome {
    /// Whose stream it is: the peer of the session.
    pub const fn peer(&self) -> EndpointId {
        self.stream.peer()
    }

    /// Lets it in. `place` is what the connection holds among all connections; the engine drops it with the stream.
    pub async fn hand_over(self, place: Box<dyn Send>) -> Result<(), Refused> {
        let Self { mut stream, way: Way { number, kind, arrivals } } = self;
        let peer = stream.peer();
        let welcome = Answer::welcome().map_err(OpenError::from);
        let said = match welcome {
            Ok(frame) => stream.say(&frame).await,
            Err(error) => Err(error),
        };
        said.map_err(|error| refused(&error, Some(peer)))?;
        let arrived = Arrived { number, kind, stream, place };
        // There is room for every number; so the session has ended meanwhile.
        arrivals.try_send(arrived).map_err(|_| Refused {
            reason: RefuseReason::UnknownTest,
            key: Some(peer),
            detail: Some("the session has ended".to_owned()),
        })
    }

    /// Turns it away after all: there is no place for it.
    pub async fn refuse(self, reason: RefuseReason) {
        turn_away(self.stream, reason).await;
    }
}

async fn turn_away(mut stream: TunnelStream, reason: RefuseReason) {
    if let Ok(frame) = Answer::refusal(reason)
        && stream.say(&frame).await.is_ok()
    {
        stream.close().await;
    }
}

fn refused(error: &OpenError, key: Option<EndpointId>) -> Refused {
    let with = |reason| Refused { reason, key, detail: Some(error.to_string()) };
    match error {
        OpenError::Timeout { .. } if key.is_none() => with(RefuseReason::HandshakeTimeout),
        OpenError::Timeout { .. } => with(RefuseReason::FirstFrameTimeout),
        OpenError::Fault(Fault::Tls(cause)) => {
            let tls::Refusal { reason, key: proven, claimed } = tls::refusal(cause);
            Refused { reason, key: proven.or(key), detail: claimed.or_else(|| Some(cause.to_string())) }
        }
        OpenError::Hello(_) => with(RefuseReason::BadFirstFrame),
        _ if key.is_none() => with(RefuseReason::HandshakeFailed),
        _ => with(RefuseReason::BadFirstFrame),
    }
}
