//! How the connections of a test are opened: straight to a port, or each in TLS on the control port.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::pin::Pin;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::time::timeout;

use super::control::Duplex;
use crate::client::dial::{CONNECT, watched};
use crate::client::tunnel::Tunnel;
use crate::engine::iperf::{Cookie, udp};
use crate::engine::streams::{DatagramLink, Link};
use crate::engine::tunnel::TunnelStream;
use crate::engine::tunnel::hello::Kind;

/// For the answer to the hello of a UDP stream; stock clients wait 30 s, for a path on which nothing gets lost.
const UDP_ANSWER: Duration = Duration::from_secs(10);
/// Hellos of one stream: each may be lost, and so may its answer (test `a_lost_hello_is_said_again`). A stock server that
/// had answered takes a repeat for a short datagram of the stream.
const HELLOS: u32 = 5;
/// In reverse, data may overtake the answer.
const OVERTAKERS: u32 = 2;

/// A connection in the making.
pub type Opening<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// Opens connections to the server of one test.
pub trait Carrier: Send + Sync {
    /// The control connection.
    fn control(&self) -> Opening<'_, Box<dyn Duplex>>;
    /// Data stream `number`, from 1 in the order of opening. The cookie has gone when this resolves.
    fn tcp(&self, number: u32, cookie: Cookie) -> Opening<'_, Link>;
    /// The same for datagrams: the server has answered when this resolves.
    fn udp(&self, number: u32) -> Opening<'_, DatagramLink>;
    /// Nothing between the streams and the path: the kernel's numbers are those of the path.
    fn is_direct(&self) -> bool;
}

/// Straight to a port.
#[derive(Debug, Clone, Copy)]
pub struct Direct {
    /// The server.
    pub to: SocketAddr,
    /// Our address, which must be that of the control connection: a grant is for one address. `None`: the kernel's
    /// choice.
    pub from: Option<IpAddr>,
}

impl Direct {
    /// To this port of a reflector that was reached there, from where it was reached.
    pub fn beside(remote: SocketAddr, port: u16, local: SocketAddr) -> Self {
        // Not put together from address and port: a link-local address is nothing without its interface.
        let mut to = remote;
        to.set_port(port);
        Self { to, from: Some(local.ip()) }
    }

    /// Where sockets are bound: our address on the server's interface, or any.
    pub(crate) fn near(&self) -> SocketAddr {
        let from = self.from.filter(|from| from.is_ipv4() == self.to.is_ipv4());
        match (self.to, from) {
            (SocketAddr::V6(to), Some(IpAddr::V6(from))) => {
                SocketAddrV6::new(from, 0, 0, to.scope_id()).into()
            }
            (_, Some(from)) => SocketAddr::new(from, 0),
            (SocketAddr::V4(_), None) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            (SocketAddr::V6(_), None) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        }
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        let socket = if self.to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if self.from.is_some() {
            socket.bind(self.near())?;
        }
        timeout(CONNECT, socket.connect(self.to)).await?
    }

    /// Opens a UDP stream: four bytes there, four bytes back. Always from the same port, so that a repeat opens no other.
    async fn greet(&self) -> io::Result<UdpSocket> {
        let socket = UdpSocket::bind(self.near()).await?;
        socket.connect(self.to).await?;
        for _ in 0..HELLOS {
            socket.send(&udp::HELLO).await?;
            if let Ok(answered) = timeout(UDP_ANSWER / HELLOS, answer_on(&socket)).await {
                return answered.map(|()| socket);
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }
}

/// Receives datagrams until one is the answer.
async fn answer_on(socket: &UdpSocket) -> io::Result<()> {
    let mut datagram = [0; 2048];
    for _ in 0..=OVERTAKERS {
        let length = socket.recv(&mut datagram).await?;
        if datagram.get(..length).is_some_and(is_answer) {
            return Ok(());
        }
    }
    Err(no_answer())
}

impl Carrier for Direct {
    fn control(&self) -> Opening<'_, Box<dyn Duplex>> {
        Box::pin(async { Ok(Box::new(watched(self.connect().await?)?) as Box<dyn Duplex>) })
    }

    fn tcp(&self, _number: u32, cookie: Cookie) -> Opening<'_, Link> {
        Box::pin(async move {
            let mut stream = self.connect().await?;
            timeout(CONNECT, stream.write_all(&cookie.to_bytes())).await??;
            let stream = stream.into_std()?;
            stream.set_nonblocking(false)?;
            Ok(Link::Tcp(stream))
        })
    }

    fn udp(&self, _number: u32) -> Opening<'_, DatagramLink> {
        Box::pin(async {
            let socket = self.greet().await?.into_std()?;
            socket.set_nonblocking(false)?;
            Ok(DatagramLink::Udp(socket))
        })
    }

    fn is_direct(&self) -> bool {
        true
    }
}

impl Carrier for Tunnel {
    fn control(&self) -> Opening<'_, Box<dyn Duplex>> {
        Box::pin(async { Ok(Box::new(opened(self, 0, Kind::Tcp).await?) as Box<dyn Duplex>) })
    }

    fn tcp(&self, number: u32, cookie: Cookie) -> Opening<'_, Link> {
        Box::pin(async move {
            let mut stream = opened(self, number, Kind::Tcp).await?;
            say(&mut stream, &cookie.to_bytes()).await?;
            Ok(stream.into_blocking()?.into_link())
        })
    }

    fn udp(&self, number: u32) -> Opening<'_, DatagramLink> {
        Box::pin(async move {
            let mut stream = opened(self, number, Kind::Udp).await?;
            let [a, b, c, d] = udp::HELLO;
            // Datagrams stand behind their length here.
            say(&mut stream, &[0, 4, a, b, c, d]).await?;
            timeout(UDP_ANSWER, answered(&mut stream)).await??;
            Ok(stream.into_blocking()?.into_datagrams())
        })
    }

    fn is_direct(&self) -> bool {
        false
    }
}

async fn opened(tunnel: &Tunnel, number: u32, kind: Kind) -> io::Result<TunnelStream> {
    tunnel.open(number, kind).await.map_err(io::Error::other)
}

async fn say(stream: &mut TunnelStream, bytes: &[u8]) -> io::Result<()> {
    let said = async {
        stream.write_all(bytes).await?;
        stream.flush().await
    };
    timeout(CONNECT, said).await?
}

/// Reads datagrams until one is the answer.
async fn answered(stream: &mut TunnelStream) -> io::Result<()> {
    for _ in 0..=OVERTAKERS {
        let length = stream.read_u16().await?;
        let mut datagram = vec![0; length.into()];
        stream.read_exact(&mut datagram).await?;
        if is_answer(&datagram) {
            return Ok(());
        }
    }
    Err(no_answer())
}

fn is_answer(datagram: &[u8]) -> bool {
    datagram == udp::ANSWER || datagram == udp::OLD_ANSWER
}

fn no_answer() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "what came is no answer to the hello of a UDP stream")
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    async fn server() -> (UdpSocket, Direct) {
        let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let to = server.local_addr().unwrap();
        (server, Direct { to, from: None })
    }

    /// The clock is tokio's: it stands still while anything moves.
    #[tokio::test(start_paused = true)]
    async fn a_lost_hello_is_said_again() {
        let (server, direct) = server().await;
        let answers = async {
            let mut hello = [0; 16];
            let first = server.recv_from(&mut hello).await.unwrap();
            // The first is lost, or its answer is.
            let again = server.recv_from(&mut hello).await.unwrap();
            assert_eq!(
                (first, &hello[..4]),
                (again, &udp::HELLO[..]),
                "the same port, or it would be another stream"
            );
            server.send_to(&udp::ANSWER, again.1).await.unwrap();
        };
        let both = async { tokio::join!(direct.udp(1), answers) };
        let (opened, ()) = timeout(2 * UDP_ANSWER, both).await.unwrap();
        assert!(matches!(opened.unwrap(), DatagramLink::Udp(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_never_answers_is_given_up() {
        let (server, direct) = server().await;
        assert_eq!(direct.udp(1).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let mut hellos = 0;
        while server.try_recv(&mut [0; 16]).is_ok() {
            hellos += 1;
        }
        assert_eq!(hellos, HELLOS);
    }
}
