//! Where the first datagrams of a session on the control port wait, and how the session gets a socket of its own there.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use crate::engine::door::{Datagram, Door};

/// A place that datagrams of the peer come to while no socket of ours is connected to where they come from.
pub trait Lobby: Send {
    /// The next one. When there is none, `waker` is woken as soon as there is.
    fn next(&mut self, waker: &Waker) -> Option<Datagram>;
    /// A socket that takes what `remote` sends from now on, and what it sent meanwhile.
    fn connect(&mut self, remote: SocketAddr) -> io::Result<Connected>;
}

pub use crate::engine::door::udp::Connected;

/// The door of a session that is echo alone.
#[derive(Debug)]
pub struct AtDoor {
    door: Door,
    local: SocketAddr,
}

impl AtDoor {
    /// `local`: our address of the control connection, and the control port.
    pub fn new(door: Door, local: SocketAddr) -> Self {
        Self { door, local }
    }
}

impl Lobby for AtDoor {
    fn next(&mut self, waker: &Waker) -> Option<Datagram> {
        match pin!(self.door.datagram()).poll(&mut Context::from_waker(waker)) {
            Poll::Ready(datagram) => datagram,
            Poll::Pending => None,
        }
    }

    fn connect(&mut self, remote: SocketAddr) -> io::Result<Connected> {
        self.door.connect(self.local, remote)
    }
}
