//! The loopback side: who comes, and what they say first. Never reachable from another host.

use std::fmt;
use std::io;
use std::iter;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;

use super::queue::MOST_BYTES;
use crate::engine::iperf::{Code, ControlReader, Cookie, Parameters, State, params};
use crate::engine::sys::{self, Batch};

/// A cookie is one segment. Test: `whoever_says_nothing_holds_nobody_up`.
const COOKIE_WITHIN: Duration = Duration::from_secs(3);
/// Parameters follow at once.
const PARAMETERS_WITHIN: Duration = Duration::from_secs(5);
/// Connections that have not said what they want. Test: `whoever_says_nothing_holds_nobody_up`.
pub(super) const MAX_WAITING: usize = 8;
/// What loopback may hold of a stream. iperf3 counts as sent what waits here, so it is little: the kernel's own choice
/// could be seconds of a slow path.
const WINDOW: usize = 256 * 1024;
/// For a last byte to be read before the connection goes: iperf3 hangs up when it has read it, between two of its writes.
const LAST_BYTE_WITHIN: Duration = Duration::from_secs(1);
/// After an error of accept(2), such as no descriptors.
const BACK_OFF: Duration = Duration::from_millis(100);
/// Without a port the kernel chooses one for TCP; whose UDP twin is taken is tried again this often.
const ATTEMPTS: u32 = 32;

/// The ports that iperf3 is pointed at.
pub struct Local {
    v4: Side,
    /// Hosts without IPv6 do without.
    v6: Option<Side>,
}

struct Side {
    tcp: TcpListener,
    udp: UdpSocket,
    at: SocketAddr,
}

/// Why nobody can be listened to.
#[derive(Debug, thiserror::Error)]
#[error("listen on {at} (TCP and UDP): is another iperf3 server running? Choose another port with --forward")]
pub struct BindError {
    at: SocketAddr,
    #[source]
    source: io::Error,
}

/// An iperf3 client that has said what it wants.
pub(super) struct Introduced {
    pub(super) stream: TcpStream,
    pub(super) cookie: Cookie,
    /// As they came, and read.
    pub(super) text: Vec<u8>,
    pub(super) parameters: Parameters,
}

impl Local {
    /// Listens on this port of 127.0.0.1 and, where there is IPv6, `::1`. 0: any free port.
    pub async fn bind(port: u16) -> Result<Self, BindError> {
        let at = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let mut outcome = Side::bind(at).await;
        for _ in 0..ATTEMPTS {
            if port != 0 || outcome.is_ok() {
                break;
            }
            outcome = Side::bind(at).await;
        }
        let v4 = outcome.map_err(|source| BindError { at, source })?;
        let twin = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), v4.at.port());
        let v6 = Side::bind(twin).await.inspect_err(|error| tracing::debug!(%error, "no IPv6 loopback")).ok();
        Ok(Self { v4, v6 })
    }

    /// Where iperf3 is to connect to.
    pub const fn address(&self) -> SocketAddr {
        self.v4.at
    }

    /// Waits for datagrams and takes those that are there. Cancel-safe.
    pub(super) async fn datagrams(&self, batch: &mut Batch) {
        loop {
            let six = async {
                match &self.v6 {
                    Some(side) => side.udp.readable().await.map(|()| &side.udp),
                    None => std::future::pending().await,
                }
            };
            let ready = tokio::select! {
                ready = self.v4.udp.readable() => ready.map(|()| &self.v4.udp),
                ready = six => ready,
            };
            // An error is an old ICMP message about a client that is gone.
            if let Ok(udp) = ready
                && udp.try_io(Interest::READABLE, || batch.receive(udp, usize::MAX)).is_ok()
            {
                return;
            }
        }
    }

    /// Datagrams that the kernel had no room for, since these sockets were made.
    pub(super) fn dropped(&self) -> u64 {
        let sides = iter::once(&self.v4).chain(&self.v6);
        // A kernel that cannot say has said of none.
        sides.map(|side| u64::from(sys::dropped_datagrams(&side.udp).unwrap_or(0))).sum()
    }

    /// The socket for datagrams of the address family of this client.
    pub(super) fn udp(&self, client: SocketAddr) -> &UdpSocket {
        match &self.v6 {
            Some(v6) if client.is_ipv6() => &v6.udp,
            _ => &self.v4.udp,
        }
    }

    /// The next client that begins a test. Whoever does not get so far is dropped, and holds nobody up.
    pub(super) async fn introduction(&self) -> Introduced {
        let mut waiting = FuturesUnordered::new();
        loop {
            tokio::select! {
                Some(introduced) = waiting.next(), if !waiting.is_empty() => {
                    if let Some(introduced) = introduced {
                        return introduced;
                    }
                }
                stream = self.connection(), if waiting.len() < MAX_WAITING => waiting.push(introduce(stream)),
            }
        }
    }

    /// The next connection. Cancel-safe.
    #[expect(clippy::disallowed_methods, reason = "nothing announces that descriptors are free again")]
    pub(super) async fn connection(&self) -> TcpStream {
        loop {
            let accepted = tokio::select! {
                accepted = self.v4.tcp.accept() => accepted,
                accepted = accept(self.v6.as_ref()) => accepted,
            };
            match accepted {
                Ok((stream, _)) => return stream,
                Err(error) => {
                    tracing::debug!(%error, "accept on loopback");
                    tokio::time::sleep(BACK_OFF).await;
                }
            }
        }
    }
}

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.v4.at)?;
        match &self.v6 {
            Some(v6) => write!(f, " and {}", v6.at),
            None => Ok(()),
        }
    }
}

impl Side {
    async fn bind(at: SocketAddr) -> io::Result<Self> {
        let tcp = TcpListener::bind(at).await?;
        // Inherited by what is accepted.
        SockRef::from(&tcp).set_recv_buffer_size(WINDOW)?;
        let at = tcp.local_addr()?;
        let udp = UdpSocket::bind(at).await?;
        SockRef::from(&udp).set_recv_buffer_size(MOST_BYTES)?;
        Ok(Self { tcp, udp, at })
    }
}

async fn accept(side: Option<&Side>) -> io::Result<(TcpStream, SocketAddr)> {
    match side {
        Some(side) => side.tcp.accept().await,
        None => std::future::pending().await,
    }
}

/// Reads the cookie of a connection.
pub(super) async fn cookie(stream: &mut TcpStream) -> Option<Cookie> {
    let mut bytes = [0; Cookie::LENGTH];
    timeout(COOKIE_WITHIN, stream.read_exact(&mut bytes)).await.ok()?.ok()?;
    Cookie::parse(&bytes)
}

/// Sends the last bytes of a connection and sees them off.
pub(super) async fn say_last(stream: &mut TcpStream, bytes: &[u8]) {
    let goodbye = async {
        stream.write_all(bytes).await?;
        stream.shutdown().await?;
        let mut rest = [0; 64];
        while stream.read(&mut rest).await? > 0 {}
        Ok::<(), io::Error>(())
    };
    // Whatever went wrong: it is over.
    let _ = timeout(LAST_BYTE_WITHIN, goodbye).await;
}

/// Cookie, state 9, parameters: as a server would.
async fn introduce(mut stream: TcpStream) -> Option<Introduced> {
    stream.set_nodelay(true).ok()?;
    let cookie = cookie(&mut stream).await?;
    let mut reader = ControlReader::new();
    let text = timeout(PARAMETERS_WITHIN, async {
        stream.write_all(&[State::ParamExchange.byte()]).await?;
        loop {
            if let Some(text) = reader.json(params::MAX_BYTES).map_err(io::Error::other)? {
                return Ok::<_, io::Error>(text);
            }
            let mut piece = [0; 2048];
            match stream.read(&mut piece).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => reader.push(piece.get(..count).unwrap_or_default()),
            }
        }
    });
    let code = match text.await.ok()? {
        Ok(text) => match Parameters::parse(&text) {
            Ok(parameters) => return Some(Introduced { stream, cookie, text, parameters }),
            Err(error) => error.code(),
        },
        Err(error) if error.kind() == io::ErrorKind::Other => Code::Parameters,
        Err(_) => return None,
    };
    say_last(&mut stream, &code.to_bytes()).await;
    None
}
