//! Where plain data that arrives on the control port finds its session.
//!
//! In: connections that began with an iperf3 cookie, and datagrams, with the address they came from. Out: the one session
//! that this address has a live grant for, or nobody. An engine opens a door when it prepares and closes it by dropping
//! it; the server knocks. One door per source address: peers behind one NAT cannot take each other's test.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// Connections that may wait for an engine to take them. An engine takes them at once; more at a time than any test
/// opens is a flood.
const WAITING_CONNECTIONS: usize = 64;

/// Datagrams that may wait. They only open streams, one after the other, or pin an echo port: a flood loses its own.
const WAITING_DATAGRAMS: usize = 64;

/// Largest datagram that is handed over: hellos have 4 bytes, echo up to 8972.
pub const MAX_DATAGRAM: usize = 8972;

/// All open doors of this process. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Doors(Arc<Mutex<HashMap<IpAddr, Handles>>>);

#[derive(Debug)]
struct Handles {
    connections: mpsc::Sender<Knock>,
    datagrams: mpsc::Sender<Datagram>,
}

/// A connection whose first byte is one of a cookie; nothing of it was read.
pub struct Knock {
    /// The connection.
    pub stream: TcpStream,
    /// Its address, IPv4-mapped already normalised.
    pub from: SocketAddr,
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
    /// Opens the door of this address. `source` is normalised.
    pub fn open(&self, source: IpAddr) -> Result<Door, Occupied> {
        let (connections_in, connections) = mpsc::channel(WAITING_CONNECTIONS);
        let (datagrams_in, datagrams) = mpsc::channel(WAITING_DATAGRAMS);
        match self.lock().entry(source) {
            Entry::Occupied(_) => return Err(Occupied),
            Entry::Vacant(place) => {
                place.insert(Handles { connections: connections_in, datagrams: datagrams_in })
            }
        };
        Ok(Door { doors: self.clone(), source, connections, datagrams })
    }

    /// Whether a session of this address waits for plain data.
    pub fn expects(&self, source: IpAddr) -> bool {
        self.lock().contains_key(&source)
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

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Handles>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
    pub fn hand_back(&self, datagram: Datagram) -> bool {
        self.doors.deliver(datagram)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.doors.lock().remove(&self.source);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
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
        let mut door = doors.open(at("192.0.2.5:0").ip()).unwrap();
        let (_near, stream) = connected().await;
        let knock = Knock { stream, from: at("192.0.2.6:5000"), place: Box::new(()) };
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
        let source = at("192.0.2.5:0").ip();
        let door = doors.open(source).unwrap();
        assert_eq!(doors.open(source).unwrap_err(), Occupied);
        assert!(doors.open(at("192.0.2.6:0").ip()).is_ok());
        drop(door);
        assert!(!doors.expects(source) && doors.open(source).is_ok());
    }

    #[test]
    fn a_flood_of_datagrams_is_bounded_and_loses_only_its_own() {
        let doors = Doors::default();
        let _door = doors.open(at("192.0.2.5:0").ip()).unwrap();
        let taken = (0..1000).filter(|_| doors.deliver(datagram("192.0.2.5:1"))).count();
        assert_eq!(taken, WAITING_DATAGRAMS);
    }
}
