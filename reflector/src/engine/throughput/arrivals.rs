//! Where the connections of a test come from: a port of its own, the control port, or the tunnel.
//!
//! Only the granted peer's address gets through; everybody else is reset and counted. Every connection resets when it is
//! dropped, so that giving up on one needs no more than that.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use crate::engine::door::{Datagram, Door, Doors, MAX_DATAGRAM};
use crate::engine::echo::wire::MAGIC;
use crate::engine::iperf::udp::HELLO;
use crate::engine::tunnel::hello::Kind;
use crate::engine::tunnel::{Carried, Tunnel};

use super::beside::{Beside, Sockets};
use super::listen;

/// After an error of accept(2) that lasts, such as no descriptors.
const BACK_OFF: Duration = Duration::from_millis(100);

/// What arrived.
pub(super) enum Arrival {
    /// A TCP connection of the granted peer.
    Connection(Connection),
    /// A UDP hello of it, which may be a repeat.
    Hello(SocketAddr),
}

/// What a way in brings.
enum Came {
    Arrival(Arrival),
    /// Perhaps a request of keyed echo.
    Datagram(Datagram),
}

/// A TCP connection of the granted peer. Resets when dropped.
pub(super) struct Connection {
    pub(super) stream: Carried,
    /// What flows: datagrams only in a tunnel.
    pub(super) kind: Kind,
    /// Counts up in the order of arrival. In a tunnel the client numbers its streams, and 0 is control.
    pub(super) number: u64,
    /// Its place among the connections of the process, if that counts it.
    pub(super) place: Option<Place>,
}

/// Frees a place when dropped. Behind a lock that nobody takes, so that what holds it can be shared.
pub(super) struct Place(#[expect(dead_code, reason = "held, not read")] Mutex<Box<dyn Send>>);

/// All that arrives for a test. Dropping it closes the port.
pub(super) struct Arrivals {
    pub(super) way: Way,
    /// Takes what is echo, if the peer may have that.
    pub(super) echo: Option<Beside>,
}

/// The way in.
pub(super) enum Way {
    DataPort(DataPort),
    ControlPort(ControlPort),
    Tunneled(Tunnel),
}

/// A port of its own.
pub(super) struct DataPort {
    pub(super) listener: TcpListener,
    /// Not connected; the next stream's.
    pub(super) udp: Option<UdpSocket>,
    pub(super) local: SocketAddr,
    pub(super) peer: IpAddr,
    pub(super) refused: Arc<AtomicU64>,
    pub(super) accepted: u64,
}

/// The control port: others accept and sort.
pub(super) struct ControlPort {
    pub(super) door: Door,
    pub(super) local: SocketAddr,
    pub(super) accepted: u64,
}

impl Arrivals {
    /// The next arrival. Cancel-safe. Never ends.
    pub(super) async fn next(&mut self) -> Arrival {
        loop {
            let came = match &mut self.way {
                Way::DataPort(port) => port.next().await,
                Way::ControlPort(port) => port.next().await,
                Way::Tunneled(tunnel) => tunneled(tunnel).await,
            };
            match (came, &mut self.echo) {
                (Came::Arrival(Arrival::Connection(connection)), echo) if connection.kind == Kind::Echo => {
                    if let Some(echo) = echo {
                        echo.stream(connection);
                    }
                }
                (Came::Arrival(arrival), _) => return arrival,
                (Came::Datagram(datagram), Some(echo)) => echo.datagram(datagram),
                (Came::Datagram(_), None) => {}
            }
        }
    }

    /// Where echo beside the streams can have sockets.
    pub(super) fn sockets(&self, doors: &Doors) -> Sockets {
        match &self.way {
            Way::DataPort(port) => Sockets::DataPort(port.local),
            Way::ControlPort(port) => Sockets::ControlPort(doors.clone(), port.local),
            Way::Tunneled(_) => Sockets::None,
        }
    }

    /// Whether a test may begin on this connection. In a tunnel its streams have other numbers.
    pub(super) fn may_be_control(&self, connection: &Connection) -> bool {
        !matches!(self.way, Way::Tunneled(_)) || connection.number == 0
    }

    /// A socket for the UDP stream that begins at this address; nothing was answered yet.
    pub(super) fn open_udp(&mut self, from: SocketAddr) -> io::Result<UdpSocket> {
        match &mut self.way {
            Way::DataPort(port) => port.open_udp(from),
            Way::ControlPort(port) => port.open_udp(from),
            Way::Tunneled(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// All UDP streams are open: what comes now is nobody's, but for echo.
    pub(super) fn close_udp(&mut self) {
        if self.echo.is_none()
            && let Way::DataPort(port) = &mut self.way
        {
            port.udp = None;
        }
    }

    /// The listener of this test, for options that its connections are to inherit.
    pub(super) fn listener(&self) -> Option<SockRef<'_>> {
        match &self.way {
            Way::DataPort(port) => Some(SockRef::from(&port.listener)),
            Way::ControlPort(_) | Way::Tunneled(_) => None,
        }
    }
}

impl DataPort {
    async fn next(&mut self) -> Came {
        loop {
            let udp = async {
                match &self.udp {
                    Some(udp) => udp.readable().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, from)) => {
                        if let Some(connection) = self.admit(stream, from) {
                            return Came::Arrival(Arrival::Connection(connection));
                        }
                    }
                    Err(error) => rest_after(&error).await,
                },
                readable = udp => match readable {
                    Ok(()) => if let Some(came) = self.datagram() {
                        return came;
                    },
                    Err(error) => rest_after(&error).await,
                },
            }
        }
    }

    /// One datagram, if it is the peer's.
    fn datagram(&mut self) -> Option<Came> {
        let mut buffer = [0; MAX_DATAGRAM + 1];
        // An error is an ICMP message about nothing of ours, or that there is none.
        let (length, from) = self.udp.as_ref()?.try_recv_from(&mut buffer).ok()?;
        if from.ip().to_canonical() != self.peer {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let whole = buffer.get(..length).filter(|_| length <= MAX_DATAGRAM)?;
        sorted(Datagram { from, bytes: whole.to_vec() })
    }

    fn admit(&mut self, stream: TcpStream, from: SocketAddr) -> Option<Connection> {
        reset_on_drop(&stream);
        if from.ip().to_canonical() != self.peer {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        self.accepted = self.accepted.wrapping_add(1);
        let stream = Carried::Plain(stream);
        Some(Connection { stream, kind: Kind::Tcp, number: self.accepted, place: None })
    }

    /// The socket that got the hello becomes the stream's; a new one waits for the next, bound before the client is answered.
    fn open_udp(&mut self, from: SocketAddr) -> io::Result<UdpSocket> {
        let next = listen::another_udp(self.local)?;
        let socket = self.udp.replace(next).ok_or(io::ErrorKind::NotConnected)?;
        SockRef::from(&socket).connect(&from.into())?;
        Ok(socket)
    }
}

impl ControlPort {
    async fn next(&mut self) -> Came {
        let (connections, datagrams) = self.door.both();
        loop {
            tokio::select! {
                knock = connections.recv() => match knock {
                    Some(knock) => {
                        reset_on_drop(&knock.stream);
                        self.accepted = self.accepted.wrapping_add(1);
                        return Came::Arrival(Arrival::Connection(Connection {
                            stream: Carried::Plain(knock.stream),
                            kind: Kind::Tcp,
                            number: self.accepted,
                            place: Some(Place(Mutex::new(knock.place))),
                        }));
                    }
                    // The server is gone; the session will be told.
                    None => std::future::pending().await,
                },
                datagram = datagrams.recv() => match datagram {
                    Some(datagram) => if let Some(came) = sorted(datagram) {
                        return came;
                    },
                    None => std::future::pending().await,
                },
            }
        }
    }

    /// What came early is a repeat of the hello: the one answer serves both.
    fn open_udp(&mut self, from: SocketAddr) -> io::Result<UdpSocket> {
        UdpSocket::from_std(self.door.connect(self.local, from)?.socket)
    }
}

/// A hello, perhaps a request of echo, or a packet of a stream that is not open.
fn sorted(datagram: Datagram) -> Option<Came> {
    if datagram.bytes.len() == HELLO.len() {
        return Some(Came::Arrival(Arrival::Hello(datagram.from)));
    }
    datagram.bytes.starts_with(&MAGIC).then_some(Came::Datagram(datagram))
}

/// The next stream of the tunnel.
async fn tunneled(tunnel: &mut Tunnel) -> Came {
    if let Some(arrived) = tunnel.stream().await {
        reset_on_drop(arrived.stream.tcp());
        return Came::Arrival(Arrival::Connection(Connection {
            stream: Carried::Tunneled(Box::new(arrived.stream)),
            kind: arrived.kind,
            number: u64::from(arrived.number),
            place: Some(Place(Mutex::new(arrived.place))),
        }));
    }
    // The server is gone; the session will be told.
    std::future::pending().await
}

/// Linger 0: no `TIME_WAIT` of ours for connections that we give up, and nothing is sent on after the session.
fn reset_on_drop(stream: &TcpStream) {
    if let Err(error) = SockRef::from(stream).set_linger(Some(Duration::ZERO)) {
        tracing::debug!(%error, "set linger on a data connection");
    }
}

#[expect(clippy::disallowed_methods, reason = "nothing announces that descriptors are free again")]
async fn rest_after(error: &io::Error) {
    // What a stranger can cause by hanging up early is over at once; the rest, like no descriptors, lasts.
    if !matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    ) {
        tracing::debug!(%error, "accept on a data port");
        tokio::time::sleep(BACK_OFF).await;
    }
}
