//! Where plain data that arrives on the control port finds its session.
//!
//! In: connections that began with an iperf3 cookie, and datagrams, with the address they came from. Out: the one session
//! that this address has a live grant for, or nobody. An engine opens a door when it prepares and closes it by dropping
//! it; the server knocks. One door per source address: peers behind one NAT cannot take each other's test. [`post`] brings
//! the datagrams; [`udp`] gives an engine sockets of its own on that port.

pub(in crate::engine) mod filter;
pub mod post;
pub mod udp;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crds::EndpointId;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::sys;

/// Connections that may wait for an engine to take them. An engine takes them at once; more at a time than any test
/// opens is a flood.
const WAITING_CONNECTIONS: usize = 64;

/// Datagrams that may wait. They only open streams, one after the other, or pin an echo port: a flood loses its own.
const WAITING_DATAGRAMS: usize = 64;

/// Largest datagram that is handed over: hellos have 4 bytes, echo up to 8972.
pub const MAX_DATAGRAM: usize = 8972;

/// Data connections beyond the streams themselves: iperf3's control connection, and one that hears that it is busy.
const BESIDE_STREAMS: usize = 2;

/// All open doors of this process. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Doors(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    open: Mutex<HashMap<IpAddr, Handles>>,
    /// The socket that datagrams arrive on; none: there is no plain data on this control port.
    letterbox: OnceLock<Arc<socket2::Socket>>,
}

#[derive(Debug)]
struct Handles {
    peer: EndpointId,
    places: Arc<Semaphore>,
    connections: mpsc::Sender<Knock>,
    datagrams: mpsc::Sender<Datagram>,
}

/// Says that a connection may take one of the places of this peer. Goes along with the connection.
#[derive(Debug)]
pub struct Pass {
    /// Whose session it is for.
    pub peer: EndpointId,
    _place: OwnedSemaphorePermit,
}

/// Why a connection finds no way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shut {
    /// This address has no session that waits for plain data.
    Nobody,
    /// Its session has all the connections it may have.
    Full,
}

/// A connection whose first byte is one of a cookie; nothing of it was read.
pub struct Knock {
    /// The connection.
    pub stream: TcpStream,
    /// Its address, IPv4-mapped already normalised.
    pub from: SocketAddr,
    /// Counts up in the order of acceptance, which is that of the client's streams: first bytes may overtake each other.
    pub number: u64,
    /// Its place among the connections of this process: dropped with the connection, not before.
    pub place: Box<dyn Send>,
}

/// A datagram that no connected socket took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// Its address, IPv4-mapped already normalised.
    pub from: SocketAddr,
    /// At most [`MAX_DATAGRAM`] bytes.
    pub bytes: Vec<u8>,
}

/// There is a session of this address already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a test from this address is running: only one at a time can use the control port without a tunnel")]
pub struct Occupied;

/// The engine's side. Dropping it closes the door; what still waits is dropped with it.
#[derive(Debug)]
pub struct Door {
    doors: Doors,
    source: IpAddr,
    connections: mpsc::Receiver<Knock>,
    datagrams: mpsc::Receiver<Datagram>,
}

impl Doors {
    /// Opens the door of this address for a session of this peer with so many streams. `source` is normalised. From now
    /// on, not from the grant on, its connections and datagrams find the way.
    pub fn open(&self, source: IpAddr, peer: EndpointId, streams: u32) -> Result<Door, Occupied> {
        let (connections_in, connections) = mpsc::channel(WAITING_CONNECTIONS);
        let (datagrams_in, datagrams) = mpsc::channel(WAITING_DATAGRAMS);
        // Both directions at once take every stream twice.
        let places = usize::try_from(streams).unwrap_or(usize::MAX).saturating_mul(2);
        let places = places.saturating_add(BESIDE_STREAMS).min(WAITING_CONNECTIONS);
        let mut open = self.lock();
        match open.entry(source) {
            Entry::Occupied(_) => return Err(Occupied),
            Entry::Vacant(place) => place.insert(Handles {
                peer,
                places: Arc::new(Semaphore::new(places)),
                connections: connections_in,
                datagrams: datagrams_in,
            }),
        };
        self.let_through(&open);
        Ok(Door { doors: self.clone(), source, connections, datagrams })
    }

    /// Whether a session of this address waits for plain data.
    pub fn expects(&self, source: IpAddr) -> bool {
        self.lock().contains_key(&source)
    }

    /// Whether one more connection may come from this address.
    pub fn pass(&self, source: IpAddr) -> Result<Pass, Shut> {
        let open = self.lock();
        let door = open.get(&source).ok_or(Shut::Nobody)?;
        let place = Arc::clone(&door.places).try_acquire_owned().map_err(|_| Shut::Full)?;
        Ok(Pass { peer: door.peer, _place: place })
    }

    /// Hands a connection to its session. It comes back when nobody expects it, or too many wait.
    pub fn knock(&self, knock: Knock) -> Result<(), Knock> {
        let Some(connections) = self.lock().get(&knock.from.ip()).map(|door| door.connections.clone()) else {
            return Err(knock);
        };
        connections.try_send(knock).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(knock) | mpsc::error::TrySendError::Closed(knock) => knock,
        })
    }

    /// Hands a datagram to its session; says whether it was taken.
    pub fn deliver(&self, datagram: Datagram) -> bool {
        let Some(datagrams) = self.lock().get(&datagram.from.ip()).map(|door| door.datagrams.clone()) else {
            return false;
        };
        datagrams.try_send(datagram).is_ok()
    }

    /// Datagrams that the kernel dropped because nobody expected them, or too many waited; counts from 0 again after 2^32.
    pub fn unheard(&self) -> Option<u32> {
        let letterbox = self.0.letterbox.get()?;
        sys::dropped_datagrams(&**letterbox).ok()
    }

    /// The kernel drops what nobody expects, so that a flood costs us nothing. Done under the lock, so that the doors and
    /// the filter agree.
    fn let_through(&self, open: &HashMap<IpAddr, Handles>) {
        let Some(letterbox) = self.0.letterbox.get() else { return };
        let sources: Vec<IpAddr> = open.keys().copied().collect();
        if let Err(error) = letterbox.attach_filter(&filter::only_from(&sources)) {
            // What passes is looked up again: without a filter the answer is the same, only dearer.
            tracing::warn!(%error, "filter the datagrams of the control port");
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Handles>> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Door {
    /// The next connection. Cancel-safe. Never ends while the door is open.
    pub async fn connection(&mut self) -> Option<Knock> {
        self.connections.recv().await
    }

    /// The next datagram. Cancel-safe.
    pub async fn datagram(&mut self) -> Option<Datagram> {
        self.datagrams.recv().await
    }

    /// Both at once, for who waits for either. Each receiver is cancel-safe.
    pub fn both(&mut self) -> (&mut mpsc::Receiver<Knock>, &mut mpsc::Receiver<Datagram>) {
        (&mut self.connections, &mut self.datagrams)
    }

    /// Gives back what a connected socket caught between its bind and its connect: it may be somebody else's.
    /// [`Door::connect`] does so by itself.
    pub fn hand_back(&self, datagram: Datagram) -> bool {
        self.doors.deliver(datagram)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let mut open = self.doors.lock();
        open.remove(&self.source);
        self.doors.let_through(&open);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn open(doors: &Doors, source: &str) -> Result<Door, Occupied> {
        doors.open(at(source).ip(), EndpointId::from_public_key([7; 32]), 3)
    }

    fn datagram(from: &str) -> Datagram {
        Datagram { from: at(from), bytes: vec![1, 2, 3, 4] }
    }

    async fn connected() -> (TcpStream, TcpStream) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
        (near.unwrap(), far.unwrap().0)
    }

    /// E3
    #[tokio::test]
    async fn only_the_address_of_a_live_grant_finds_a_door() {
        let doors = Doors::default();
        let mut door = open(&doors, "192.0.2.5:0").unwrap();
        let (_near, stream) = connected().await;
        let knock = Knock { stream, from: at("192.0.2.6:5000"), number: 1, place: Box::new(()) };
        let Err(mut knock) = doors.knock(knock) else { panic!("a stranger was let in") };
        knock.from = at("192.0.2.5:5000");
        assert!(doors.knock(knock).is_ok());
        assert_eq!(door.connection().await.unwrap().from, at("192.0.2.5:5000"));
        assert!(!doors.deliver(datagram("192.0.2.6:1")) && doors.deliver(datagram("192.0.2.5:1")));
        assert_eq!(door.datagram().await, Some(datagram("192.0.2.5:1")));
    }

    #[test]
    fn an_address_has_one_door_until_it_is_closed() {
        let doors = Doors::default();
        let door = open(&doors, "192.0.2.5:0").unwrap();
        assert_eq!(open(&doors, "192.0.2.5:0").unwrap_err(), Occupied);
        assert!(open(&doors, "192.0.2.6:0").is_ok());
        drop(door);
        assert!(!doors.expects(at("192.0.2.5:0").ip()) && open(&doors, "192.0.2.5:0").is_ok());
    }

    /// link.md §8: twice the granted streams, and two.
    #[test]
    fn a_session_has_as_many_connections_as_its_streams_may_need() {
        let doors = Doors::default();
        let source = at("192.0.2.5:0").ip();
        assert_eq!(doors.pass(source).unwrap_err(), Shut::Nobody);
        let _door = open(&doors, "192.0.2.5:0").unwrap();
        let mut held: Vec<Pass> = (0..8).map(|_| doors.pass(source).unwrap()).collect();
        assert_eq!(doors.pass(source).unwrap_err(), Shut::Full);
        held.pop();
        assert_eq!(doors.pass(source).unwrap().peer, EndpointId::from_public_key([7; 32]));
    }

    #[test]
    fn a_flood_of_datagrams_is_bounded_and_loses_only_its_own() {
        let doors = Doors::default();
        let _door = open(&doors, "192.0.2.5:0").unwrap();
        let taken = (0..1000).filter(|_| doors.deliver(datagram("192.0.2.5:1"))).count();
        assert_eq!(taken, WAITING_DATAGRAMS);
    }
}
