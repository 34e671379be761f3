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

use crate::engine::door::{Door, Doors, MAX_DATAGRAM};
use crate::engine::echo::{Beside, Connect};
use crate::engine::iperf::udp::HELLO;
use crate::engine::tunnel::hello::Kind;
use crate::engine::tunnel::{Carried, Tunnel};

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

/// The way in. Dropping it closes the port.
pub(super) enum Arrivals {
    DataPort(DataPort),
    ControlPort(ControlPort),
    Tunneled(Tunnel, Option<Beside>),
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
    /// What arrives on UDP and is no hello may be for it.
    pub(super) echo: Option<Beside>,
}

/// The control port: others accept and sort.
pub(super) struct ControlPort {
    pub(super) door: Door,
    pub(super) local: SocketAddr,
    pub(super) echo: Option<Beside>,
}

impl Arrivals {
    /// How echo gets a socket of its own on this port.
    pub(super) fn connect(&self, doors: &Doors) -> Connect {
        match self {
            Self::DataPort(port) => {
                let local = port.local;
                Arc::new(move |from| listen::connected_udp(local, from))
            }
            Self::ControlPort(port) => {
                let (doors, local) = (doors.clone(), port.local);
                Arc::new(move |from| doors.connect(local, from))
            }
            Self::Tunneled(..) => Arc::new(|_| Err(io::ErrorKind::Unsupported.into())),
        }
    }

    /// Echo is answered too, from now on.
    pub(super) fn answer_echo(&mut self, beside: Option<Beside>) {
        *self.echo() = beside;
    }

    /// Echo that got no answer, by cause.
    pub(super) fn echo_dropped(&mut self) -> Vec<(String, u64)> {
        self.echo().as_ref().map(Beside::dropped).unwrap_or_default()
    }

    fn echo(&mut self) -> &mut Option<Beside> {
        match self {
            Self::DataPort(port) => &mut port.echo,
            Self::ControlPort(port) => &mut port.echo,
            Self::Tunneled(_, echo) => echo,
        }
    }

    /// The next arrival. Cancel-safe. Never ends.
    pub(super) async fn next(&mut self) -> Arrival {
        match self {
            Self::DataPort(port) => port.next().await,
            Self::ControlPort(port) => port.next().await,
            Self::Tunneled(tunnel, echo) => tunneled(tunnel, echo.as_mut()).await,
        }
    }

    /// Whether a test may begin on this connection. In a tunnel its streams have other numbers.
    pub(super) fn may_be_control(&self, connection: &Connection) -> bool {
        !matches!(self, Self::Tunneled(..)) || connection.number == 0
    }

    /// A socket for the UDP stream that begins at this address; nothing was answered yet.
    pub(super) fn open_udp(&mut self, from: SocketAddr) -> io::Result<UdpSocket> {
        match self {
            Self::DataPort(port) => port.open_udp(from),
            Self::ControlPort(port) => port.open_udp(from),
            Self::Tunneled(..) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// All UDP streams are open: what comes now is nobody's, or echo.
    pub(super) fn close_udp(&mut self) {
        if let Self::DataPort(port) = self
            && port.echo.is_none()
        {
            port.udp = None;
        }
    }

    /// The listener of this test, for options that its connections are to inherit.
    pub(super) fn listener(&self) -> Option<SockRef<'_>> {
        match self {
            Self::DataPort(port) => Some(SockRef::from(&port.listener)),
            Self::ControlPort(_) | Self::Tunneled(..) => None,
        }
    }
}

impl DataPort {
    async fn next(&mut self) -> Arrival {
        // Hellos are short; echo is not.
        let mut buffer = vec![0; if self.echo.is_some() { MAX_DATAGRAM + 1 } else { HELLO.len() + 1 }];
        loop {
            let udp = async {
                match &self.udp {
                    Some(udp) => udp.recv_from(&mut buffer).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, from)) => {
                        if let Some(connection) = self.admit(stream, from) {
                            return Arrival::Connection(connection);
                        }
                    }
                    Err(error) => rest_after(&error).await,
                },
                datagram = udp => match datagram {
                    Ok((length, from)) if from.ip().to_canonical() == self.peer => {
                        if length == HELLO.len() {
                            return Arrival::Hello(from);
                        }
                        // Anything else of the peer is a packet of a stream that is not open.
                        if let Some(echo) = &mut self.echo {
                            echo.datagram(from, buffer.get(..length).unwrap_or_default());
                        }
                    }
                    Ok(_) => {
                        self.refused.fetch_add(1, Ordering::Relaxed);
                    }
                    // An ICMP error about nothing of ours.
                    Err(error) => rest_after(&error).await,
                },
            }
        }
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
    async fn next(&mut self) -> Arrival {
        let (connections, datagrams) = self.door.both();
        loop {
            tokio::select! {
                knock = connections.recv() => match knock {
                    Some(knock) => {
                        reset_on_drop(&knock.stream);
                        return Arrival::Connection(Connection {
                            stream: Carried::Plain(knock.stream),
                            kind: Kind::Tcp,
                            number: knock.number,
                            place: Some(Place(Mutex::new(knock.place))),
                        });
                    }
                    // The server is gone; the session will be told.
                    None => std::future::pending().await,
                },
                datagram = datagrams.recv() => match datagram {
                    Some(datagram) if datagram.bytes.len() == HELLO.len() => return Arrival::Hello(datagram.from),
                    Some(datagram) => {
                        if let Some(echo) = &mut self.echo {
                            echo.datagram(datagram.from, &datagram.bytes);
                        }
                    }
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

/// The next stream of the tunnel that is one of the test's; the one of echo goes to echo.
async fn tunneled(tunnel: &mut Tunnel, mut echo: Option<&mut Beside>) -> Arrival {
    while let Some(arrived) = tunnel.stream().await {
        if arrived.kind == Kind::Echo {
            match &mut echo {
                Some(echo) => match arrived.stream.into_blocking() {
                    Ok(stream) => echo.stream(stream.into_datagrams(), arrived.place),
                    Err(error) => tracing::debug!(%error, "take the echo of a tunnel"),
                },
                None => arrived.stream.close().await,
            }
            continue;
        }
        reset_on_drop(arrived.stream.tcp());
        return Arrival::Connection(Connection {
            stream: Carried::Tunneled(Box::new(arrived.stream)),
            kind: arrived.kind,
            number: u64::from(arrived.number),
            place: Some(Place(Mutex::new(arrived.place))),
        });
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
