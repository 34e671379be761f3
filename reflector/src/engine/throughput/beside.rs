//! Keyed echo beside the streams: the same datagrams as an echo session, on the port of the throughput test, so that the
//! delay under load is measured on the path that is loaded.
//!
//! Nothing runs before the first request. Then a thread of the echo room answers, from the same budget, until the test
//! ends.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::sync::mpsc;

use crate::engine::Prepare;
use crate::engine::door::{Datagram, Doors, MAX_DATAGRAM};
use crate::engine::echo::calm::Calm;
use crate::engine::echo::channel::Framed;
use crate::engine::echo::lobby::{Connected, Lobby};
use crate::engine::echo::responder::{Intake, Responder, Schedule, Setup};
use crate::engine::echo::terms;
use crate::engine::tunnel::Carried;
use crate::link::features::Feature;
use crate::session::Meter;

use super::arrivals::{Connection, Place};
use super::listen;

/// Requests that may wait until the thread has a socket for them; the rest is lost like any datagram.
const WAITING: usize = 64;

/// Where a socket for echo can be had.
#[derive(Clone)]
pub(super) enum Sockets {
    /// Beside the one of a data port.
    DataPort(SocketAddr),
    /// Beside the one of the control port.
    ControlPort(Doors, SocketAddr),
    /// Nowhere: it comes in a tunnel.
    None,
}

/// Echo of one test, running or not.
pub(super) struct Beside {
    what: Prepare,
    calm: Calm,
    meter: Meter,
    sockets: Sockets,
    running: Option<Running>,
}

struct Running {
    responder: Responder,
    inbox: Option<mpsc::Sender<Datagram>>,
    _place: Option<Place>,
}

impl Beside {
    /// For a peer that may have it and knows the keys; else there is none.
    pub(super) fn new(what: &Prepare, calm: Calm, meter: Meter, sockets: Sockets) -> Option<Self> {
        let wanted = what.echo_allowed && what.features.has(Feature::EchoToken);
        wanted.then(|| Self { what: what.clone(), calm, meter, sockets, running: None })
    }

    /// A request that found no socket of its own.
    pub(super) fn datagram(&mut self, datagram: Datagram) {
        if self.running.is_none() {
            let (inbox, datagrams) = mpsc::channel(WAITING);
            let lobby = Inbox { datagrams, sockets: self.sockets.clone() };
            self.start(Intake::Lobby(Box::new(lobby)), Some(inbox), None);
        }
        if let Some(inbox) = self.running.as_ref().and_then(|running| running.inbox.as_ref()) {
            // Full: lost.
            let _ = inbox.try_send(datagram);
        }
    }

    /// The one tunnelled stream of echo.
    pub(super) fn stream(&mut self, connection: Connection) {
        let Connection { stream: Carried::Tunneled(stream), place, .. } = connection else { return };
        match stream.into_blocking().and_then(Framed::new) {
            Ok(framed) if self.running.is_none() => {
                let from = SocketAddr::new(self.what.peer_addr, 0);
                self.start(Intake::Channel(Box::new(framed), from), None, place);
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "take a tunnelled stream of echo"),
        }
    }

    /// Requests that got no answer, by cause.
    pub(super) fn dropped(&self) -> Vec<(String, u64)> {
        self.running.as_ref().map(|running| running.responder.drops().report()).unwrap_or_default()
    }

    fn start(&mut self, intake: Intake, inbox: Option<mpsc::Sender<Datagram>>, place: Option<Place>) {
        let setup = Setup {
            terms: terms(&self.what),
            intake,
            purse: Arc::new(self.meter.clone()),
            calm: self.calm.clone(),
            schedule: Schedule::Beside,
        };
        match Responder::start(setup) {
            Ok(responder) => self.running = Some(Running { responder, inbox, _place: place }),
            Err(error) => tracing::warn!(%error, "start echo beside a throughput test"),
        }
    }
}

/// Requests on their way from the test's task to the thread that answers.
struct Inbox {
    datagrams: mpsc::Receiver<Datagram>,
    sockets: Sockets,
}

impl Lobby for Inbox {
    fn next(&mut self, waker: &Waker) -> Option<Datagram> {
        match self.datagrams.poll_recv(&mut Context::from_waker(waker)) {
            Poll::Ready(datagram) => datagram,
            Poll::Pending => None,
        }
    }

    fn connect(&mut self, remote: SocketAddr) -> io::Result<Connected> {
        match &self.sockets {
            Sockets::DataPort(local) => connect_beside(*local, remote),
            Sockets::ControlPort(doors, local) => doors.connect(*local, remote),
            Sockets::None => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

/// Between bind and connect it may catch what is not its own; of that nothing is kept. A hello of a stream could be among
/// it, in the few microseconds in which echo begins.
fn connect_beside(local: SocketAddr, remote: SocketAddr) -> io::Result<Connected> {
    let socket: UdpSocket = listen::beside(local)?;
    socket.connect(remote)?;
    let mut early = Vec::new();
    let mut buffer = vec![0; MAX_DATAGRAM + 1];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        let whole = buffer.get(..length).filter(|_| from == remote && length <= MAX_DATAGRAM);
        early.extend(whole.map(<[u8]>::to_vec));
    }
    Ok(Connected { socket, early })
}
