//! Echo beside a throughput test: latency under load, on the same port, in the same session, on the same account.
//!
//! The throughput engine sees what arrives on its port first and hands over what begins as an echo packet. Nothing runs
//! before the first of them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::sync::mpsc;

use super::calm::Calm;
use super::drops::{Cause, Drops};
use super::lobby::{Connected, Lobby};
use super::responder::{Intake, Responder, Schedule, Setup};
use super::terms;
use super::tunnelled::Tunnelled;
use super::wire::MAGIC;
use crate::engine::Prepare;
use crate::engine::door::Datagram;
use crate::engine::streams::DatagramLink;
use crate::link::features::Feature;
use crate::session::Meter;

/// Datagrams that may wait for the echo thread before it has a socket of its own: a flood loses its own.
const WAITING: usize = 64;

/// Makes a socket for what this address sends to the port of the test.
pub type Connect = Arc<dyn Fn(SocketAddr) -> io::Result<Connected> + Send + Sync>;

/// Echo that a throughput test answers too. Dropped, it stops.
pub struct Beside {
    what: Prepare,
    meter: Meter,
    calm: Calm,
    connect: Connect,
    running: Option<Running>,
    drops: Arc<Drops>,
}

struct Running {
    /// None: through a tunnel, where nothing arrives but by its stream.
    offers: Option<mpsc::Sender<Datagram>>,
    _responder: Responder,
    _place: Option<Box<dyn Send>>,
}

impl Beside {
    /// Ready to answer. `None`: the peer has no keys for it, or may not use echo.
    pub fn new(what: &Prepare, meter: Meter, calm: Calm, connect: Connect) -> Option<Self> {
        let wanted = what.echo_allowed && what.features.has(Feature::EchoToken);
        let drops = Arc::default();
        wanted.then(|| Self { what: what.clone(), meter, calm, connect, running: None, drops })
    }

    /// Takes a datagram of the port. False: it is no echo packet.
    pub fn datagram(&mut self, from: SocketAddr, bytes: &[u8]) -> bool {
        if !bytes.starts_with(&MAGIC) {
            return false;
        }
        if self.running.is_none() {
            let (offers, offered) = mpsc::channel(WAITING);
            let lobby = Offered { offered, connect: Arc::clone(&self.connect) };
            self.start(Intake::Lobby(Box::new(lobby)), Some(offers), None);
        }
        let offers = self.running.as_ref().and_then(|running| running.offers.as_ref());
        let datagram = Datagram { from, bytes: bytes.to_vec() };
        if offers.is_none_or(|offers| offers.try_send(datagram).is_err()) {
            self.drops.count(Cause::Queue);
        }
        true
    }

    /// Takes the stream of echo of a tunnelled test, with its place among the connections. It comes once.
    pub fn stream(&mut self, link: DatagramLink, place: Box<dyn Send>) {
        let from = SocketAddr::new(self.what.peer_addr, 0);
        match Tunnelled::new(link) {
            Ok(tunnelled) => self.start(Intake::Tunnel(Box::new(tunnelled), from), None, Some(place)),
            Err(error) => tracing::debug!(%error, "answer echo in a tunnel"),
        }
    }

    /// What got no answer so far, by cause.
    pub fn dropped(&self) -> Vec<(String, u64)> {
        self.drops.report()
    }

    fn start(
        &mut self,
        intake: Intake,
        offers: Option<mpsc::Sender<Datagram>>,
        place: Option<Box<dyn Send>>,
    ) {
        let setup = Setup {
            terms: terms(&self.what),
            intake,
            purse: Arc::new(self.meter.clone()),
            calm: self.calm.clone(),
            schedule: Schedule::Beside,
            drops: Arc::clone(&self.drops),
        };
        match Responder::start(setup) {
            Ok(responder) => self.running = Some(Running { offers, _responder: responder, _place: place }),
            // The next datagram tries again; the test itself goes on.
            Err(error) => tracing::warn!(%error, "start an echo thread"),
        }
    }
}

/// What the engine has handed over.
struct Offered {
    offered: mpsc::Receiver<Datagram>,
    connect: Connect,
}

impl Lobby for Offered {
    fn next(&mut self, waker: &Waker) -> Option<Datagram> {
        match self.offered.poll_recv(&mut Context::from_waker(waker)) {
            Poll::Ready(datagram) => datagram,
            Poll::Pending => None,
        }
    }

    fn connect(&mut self, remote: SocketAddr) -> io::Result<Connected> {
        (self.connect)(remote)
    }
}

impl std::fmt::Debug for Beside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Beside").field("test_id", &self.what.test_id).finish_non_exhaustive()
    }
}
