//! Who asks: one control connection of one identity, and what it ran before.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crds::EndpointId;

use crate::link::features::Features;

use super::admission::Finished;

/// Names one control connection for as long as the process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(u64);

/// What the server knows about the other side of a connection.
#[derive(Clone)]
pub struct Peer {
    /// Proven by the handshake.
    pub id: EndpointId,
    /// Its address, IPv4-mapped already normalised.
    pub source: IpAddr,
    /// Our address on this connection.
    pub local: IpAddr,
    /// What it negotiated.
    pub features: Features,
    /// How long nothing was received or acknowledged on the control socket.
    pub silence: Arc<dyn Fn() -> Duration + Send + Sync>,
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peer").field("id", &self.id).field("source", &self.source).finish_non_exhaustive()
    }
}

/// One control connection. Kept by the server for as long as the connection lives; its history goes with it.
#[derive(Debug)]
pub struct Requester {
    pub(super) connection: ConnectionId,
    pub(super) peer: Peer,
    pub(super) history: Arc<History>,
}

impl Requester {
    /// For a connection whose identity is known.
    pub fn new(peer: Peer) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let connection = ConnectionId(NEXT.fetch_add(1, Ordering::Relaxed));
        Self { connection, peer, history: Arc::default() }
    }

    /// The connection's name.
    pub fn connection(&self) -> ConnectionId {
        self.connection
    }

    /// The other side.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }
}

/// The session that ended last on a connection.
#[derive(Debug, Default)]
pub(super) struct History(Mutex<Option<Finished>>);

impl History {
    pub(super) fn last(&self) -> Option<Finished> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn replace(&self, finished: Option<Finished>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = finished;
    }
}
