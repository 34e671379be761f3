//! Data connections on their way to the session they belong to: a place that strangers cannot take, then the engine's door.
//!
//! From here on the engine owns the connection, and the place goes along: dropping the one frees the other.

use std::net::SocketAddr;
use std::time::Instant;

use tokio::net::TcpStream;

use crate::engine::door::{Doors, Knock, Pass};
use crate::engine::tunnel::{self, accept};
use crate::metrics::Handshake;
use crate::reason::RefuseReason;

use super::floor::Seat;
use super::gate::{self, Refused, ToTunnel};
use super::shared::Services;

/// An iperf3 client of a live grant.
pub(super) fn plain(
    stream: TcpStream,
    from: SocketAddr,
    seat: Seat,
    pass: Pass,
    doors: &Doors,
) -> Result<(), Refused> {
    let carried = seat.carry(pass.peer);
    let knock = Knock { stream, from, number: seat.number(), place: Box::new((seat, pass)) };
    let (knock, reason) = match carried {
        Err(_) => (knock, RefuseReason::TooManyConnections),
        Ok(()) => match doors.knock(knock) {
            Ok(()) => return Ok(()),
            // The session ended this moment.
            Err(knock) => (knock, RefuseReason::UnexpectedCookie),
        },
    };
    gate::reset(knock.stream);
    Err(Refused::because(reason))
}

/// A stream in a tunnel. Handshake and first frame have their deadlines in there.
pub(super) async fn tunneled(to: ToTunnel, seat: Seat, services: &Services) -> Result<(), Refused> {
    let ToTunnel { stream, received, tls } = to;
    let began = now();
    let accepted = tokio::select! {
        biased;
        () = seat.evicted.cancelled() => return Err(Refused::because(RefuseReason::Crowded)),
        accepted = accept(stream, &received, tls, &services.tunnels) => accepted,
    };
    // Whoever proved a key got through the handshake, whatever came of it.
    let handshake = match &accepted {
        Err(refused) if refused.key.is_none() => gate::outcome(refused.reason),
        _ => Handshake::Ok,
    };
    services.metrics.handshake(handshake, began.elapsed());
    let welcome = accepted?;
    if seat.carry(welcome.peer()).is_err() {
        let key = Some(welcome.peer());
        welcome.refuse(RefuseReason::TooManyConnections).await;
        return Err(Refused { key, ..Refused::because(RefuseReason::TooManyConnections) });
    }
    Ok(welcome.hand_over(Box::new(seat)).await?)
}

impl From<tunnel::Refused> for Refused {
    fn from(refused: tunnel::Refused) -> Self {
        let tunnel::Refused { reason, key, detail } = refused;
        Self { reason, key, detail }
    }
}

#[expect(clippy::disallowed_methods, reason = "measures a handshake for the metrics")]
fn now() -> Instant {
    Instant::now()
}
