//! The floor everyone stands on: places, and a handle to send each connection away.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crds::EndpointId;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::engine::sys;
use crate::metrics::{ConnectionState, Metrics};
use crate::network::SourceKey;

use super::crowd::Crowd;
use super::limits::MAKE_ROOM;
use super::places::{ConnectionId, Full, Places};

/// Shared by the accept loop and every connection.
#[derive(Clone)]
pub(super) struct Floor {
    inner: Arc<Mutex<Inner>>,
    /// Counts departures; whoever waits for a connection to be gone watches it.
    departures: watch::Sender<u64>,
    metrics: Metrics,
}

struct Inner {
    places: Places,
    doors: HashMap<ConnectionId, CancellationToken>,
    /// Everyone whose socket is open, the evicted included.
    crowd: Crowd,
}

/// One connection's place. Dropping it frees the place: it must outlive the socket by nothing and precede it by
/// nothing, so the task owns both.
pub(super) struct Seat {
    floor: Floor,
    id: ConnectionId,
    /// Cancelled when someone newer needs the place.
    pub(super) evicted: CancellationToken,
}

impl Floor {
    pub(super) fn new(metrics: Metrics) -> Self {
        let inner = Inner { places: Places::default(), doors: HashMap::new(), crowd: Crowd::default() };
        Self { inner: Arc::new(Mutex::new(inner)), departures: watch::Sender::new(0), metrics }
    }

    /// A place for a socket that was just accepted; whoever has to go for it is told.
    pub(super) fn enter(&self, source: SourceKey) -> Seat {
        let evicted = CancellationToken::new();
        let mut inner = self.lock();
        inner.crowd.enter();
        let entered = inner.places.enter(source);
        if let Some(door) = entered.evicted.and_then(|id| inner.doors.remove(&id)) {
            door.cancel();
        }
        inner.doors.insert(entered.id, evicted.clone());
        self.publish(&inner);
        drop(inner);
        Seat { floor: self.clone(), id: entered.id, evicted }
    }

    /// Descriptors ran out: some strangers go.
    pub(super) fn make_room(&self) {
        let mut inner = self.lock();
        for _ in 0..MAKE_ROOM {
            let Some(id) = inner.places.evict_one() else { break };
            if let Some(door) = inner.doors.remove(&id) {
                door.cancel();
            }
        }
        self.publish(&inner);
    }

    /// Open control connections of one ID.
    pub(super) fn of(&self, endpoint: &EndpointId) -> usize {
        self.lock().places.of(endpoint)
    }

    /// Open connections of one ID, data connections included.
    pub(super) fn all_of(&self, endpoint: &EndpointId) -> usize {
        self.lock().places.all_of(endpoint)
    }

    /// All open connections.
    pub(super) fn total(&self) -> usize {
        let inner = self.lock();
        inner.places.half_open() + inner.places.known() + inner.places.data()
    }

    /// Changes whenever a connection is gone.
    pub(super) fn departures(&self) -> watch::Receiver<u64> {
        self.departures.subscribe()
    }

    fn publish(&self, inner: &Inner) {
        self.metrics.connections(ConnectionState::HalfOpen, inner.places.half_open());
        self.metrics.connections(ConnectionState::Known, inner.places.known());
        self.metrics.connections(ConnectionState::Data, inner.places.data());
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Counts up in the order in which connections were accepted.
    pub(super) fn number(&self) -> u64 {
        self.id
    }

    /// Policy knows the ID: from now on strangers cannot take this place.
    pub(super) fn identify(&self, endpoint: EndpointId) -> Result<(), Full> {
        let mut inner = self.floor.lock();
        let result = inner.places.identify(self.id, endpoint);
        self.floor.publish(&inner);
        result
    }

    /// The connection carries data of a session of this ID: strangers cannot take its place either.
    pub(super) fn carry(&self, endpoint: EndpointId) -> Result<(), Full> {
        let mut inner = self.floor.lock();
        let result = inner.places.carry(self.id, endpoint);
        self.floor.publish(&inner);
        result
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut inner = self.floor.lock();
        inner.places.leave(self.id);
        inner.doors.remove(&self.id);
        let crowd_gone = inner.crowd.leave();
        self.floor.publish(&inner);
        drop(inner);
        if crowd_gone {
            sys::release_free_memory();
        }
        self.floor.departures.send_modify(|n| *n = n.wrapping_add(1));
    }
}
