//! UDP echo as sessions run it: on a data port, on the control port, or through a tunnel.

use std::io;
use std::net::SocketAddr;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::accept::{Proof, Terms};
use super::calm::Calm;
use super::drops::Drops;
use super::lobby::AtDoor;
use super::responder::{End, Finished, Intake, Responder, Schedule, Setup};
use super::socket;
use super::tunnelled::Tunnelled;
use super::wire::Keys;
use crate::engine::door::Door;
use crate::engine::measured::Measured;
use crate::engine::site::Site;
use crate::engine::tunnel::hello::Kind;
use crate::engine::tunnel::{Blocking, Tunnel};
use crate::engine::{BoxFuture, Ended, Engine, Placement, Prepare, PrepareError, Prepared, path};
use crate::link::features::Feature;
use crate::link::message::{Mode, TestType};
use crate::reason::EndReason;
use crate::session::SessionControl;

/// No accepted request after this: `no_start`.
pub const START_WITHIN: Duration = Duration::from_secs(10);

/// Streams of a session that is echo alone.
const STREAMS: u32 = 1;

/// Runs UDP echo. Lives as long as the process.
#[derive(Debug, Clone)]
pub struct EchoEngine {
    site: Site,
    calm: Calm,
}

impl EchoEngine {
    /// `calm` is shared with whatever else burns cores: the throughput engine.
    pub fn new(site: Site, calm: Calm) -> Self {
        Self { site, calm }
    }

    fn place(&self, what: &Prepare) -> Result<(u16, Way), PrepareError> {
        let control = self.site.control_port;
        match what.placement {
            Placement::DataPort => {
                let socket = self
                    .data_port(what)
                    .map_err(|error| PrepareError::Exhausted(format!("no port for echo is free: {error}")))?;
                let port = socket.local_addr().map_err(|error| PrepareError::Exhausted(error.to_string()))?;
                Ok((port.port(), Way::Port(socket)))
            }
            Placement::ControlPort => {
                let door = self.site.doors.open(what.peer_addr, what.peer, STREAMS);
                let door = door.map_err(|occupied| PrepareError::Occupied(occupied.to_string()))?;
                Ok((control, Way::Door(door, path::at(what.local_addr, control))))
            }
            Placement::Tunneled => Ok((control, Way::Tunnel(self.site.tunnels.open(what)))),
        }
    }

    /// The first port of the range that nobody has.
    fn data_port(&self, what: &Prepare) -> io::Result<UdpSocket> {
        let Some((first, last)) = self.site.data_ports else {
            return socket::open(path::at(what.local_addr, 0), what.peer_addr);
        };
        let mut refused = io::Error::from(io::ErrorKind::AddrInUse);
        for port in first..=last {
            match socket::open(path::at(what.local_addr, port), what.peer_addr) {
                Ok(socket) => return Ok(socket),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }
}

impl Engine for EchoEngine {
    fn test_type(&self) -> TestType {
        TestType::UdpEcho
    }

    fn prepare(&self, what: Prepare) -> BoxFuture<Result<Box<dyn Prepared>, PrepareError>> {
        let placed = self.place(&what);
        let calm = self.calm.clone();
        Box::pin(async move {
            let (port, way) = placed?;
            Ok(Box::new(Session { what, calm, port, way }) as Box<dyn Prepared>)
        })
    }
}

/// How its requests come in.
enum Way {
    Port(UdpSocket),
    Door(Door, SocketAddr),
    Tunnel(Tunnel),
}

struct Session {
    what: Prepare,
    calm: Calm,
    port: u16,
    way: Way,
}

impl Prepared for Session {
    fn port(&self) -> u16 {
        self.port
    }

    fn mode(&self) -> Mode {
        self.what.placement.mode()
    }

    fn run(self: Box<Self>, control: SessionControl) -> BoxFuture<Ended> {
        Box::pin(async move {
            let Self { what, calm, way, .. } = *self;
            // Held to the end: while it is open its address is ours.
            let mut tunnel = None;
            let (intake, place) = match way {
                Way::Port(socket) => (Intake::Port(socket), None),
                Way::Door(door, local) => (Intake::Lobby(Box::new(AtDoor::new(door, local))), None),
                Way::Tunnel(open) => match first_stream(tunnel.insert(open), &control).await {
                    Ok((tunnelled, place)) => {
                        (Intake::Tunnel(Box::new(tunnelled), SocketAddr::new(what.peer_addr, 0)), Some(place))
                    }
                    Err(reason) => return Ended::plain(reason, Duration::ZERO),
                },
            };
            let schedule = Schedule::Alone { start_within: START_WITHIN, runs_for: what.duration };
            let purse = Arc::new(control.meter());
            let drops = Arc::<Drops>::default();
            let setup = Setup { terms: terms(&what), intake, purse, calm, schedule, drops };
            let ended = answer(setup, &control).await;
            drop((place, tunnel));
            ended
        })
    }
}

/// Whom a session answers: by keys when the peer knows of them, else by its address. A throughput test that also answers
/// echo asks for the same.
pub fn terms(what: &Prepare) -> Terms {
    let proof = if what.features.has(Feature::EchoToken) {
        Proof::Keyed(Box::new(Keys::new(&what.secrets.echo, what.test_id)))
    } else {
        Proof::Address
    };
    Terms { proof, peer: what.peer_addr, max_pps: what.max_echo_pps }
}

/// The session's one stream; others cannot come.
async fn first_stream(
    tunnel: &mut Tunnel,
    control: &SessionControl,
) -> Result<(Tunnelled, Box<dyn Send>), EndReason> {
    let until = Instant::now() + START_WITHIN;
    let arrived = tokio::select! {
        arrived = timeout_at(until, tunnel.stream()) => arrived.ok().flatten().ok_or(EndReason::NoStart)?,
        // The session knows why.
        () = control.stopped() => return Err(EndReason::Shutdown),
    };
    if arrived.kind != Kind::Echo {
        return Err(EndReason::ProtocolError);
    }
    let link = arrived.stream.into_blocking().map(Blocking::into_datagrams);
    let tunnelled = link.and_then(Tunnelled::new);
    tunnelled.map(|tunnelled| (tunnelled, arrived.place)).map_err(|_| EndReason::ClientVanished)
}

async fn answer(setup: Setup, control: &SessionControl) -> Ended {
    let drops = Arc::clone(&setup.drops);
    let mut responder = match Responder::start(setup) {
        Ok(responder) => responder,
        Err(error) => {
            tracing::error!(%error, "start an echo thread");
            return Ended::plain(EndReason::Internal, Duration::ZERO);
        }
    };
    let finished = tokio::select! {
        finished = responder.finished() => finished,
        () = control.stopped() => {
            responder.stop();
            responder.finished().await
        }
    };
    let Finished { end, duration } = finished;
    let echo_dropped = drops.report();
    let measured = Measured { echo_dropped, ..Measured::default() };
    Ended { reason: reason(end), duration, measured: Some(Arc::new(measured)) }
}

const fn reason(end: End) -> EndReason {
    match end {
        // The session knows better why it told us to stop.
        End::Stopped => EndReason::Shutdown,
        End::Completed => EndReason::Completed,
        End::NeverStarted => EndReason::NoStart,
        End::Dry => EndReason::QuotaExceeded,
        End::Closed => EndReason::ClientTerminated,
        End::Failed => EndReason::Internal,
    }
}
