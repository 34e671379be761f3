//! From accepted parameters to the last stream.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::engine::iperf::udp::{ANSWER, HELLO};
use crate::engine::iperf::{Cookie, State};
use crate::engine::tunnel::hello::Kind;
use crate::engine::tunnel::put_datagram;

use super::arrivals::{Arrival, Arrivals, Connection};
use super::control::{COOKIE_WITHIN, say_last};
use super::entrance::Client;
use super::flows::{Sockets, keep_alive};
use super::listen;
use super::lobby::Lobby;
use super::plan::Plan;

/// All streams, from the state that asks for them (test `missing_streams_end_the_test`).
pub(super) const STREAMS_WITHIN: Duration = Duration::from_secs(10);

/// Streams that are open so far. Cancel-safe between steps: what is open stays.
pub(super) struct Opening {
    lobby: Lobby<(u64, Connection)>,
    tcp: Vec<(u64, Connection)>,
    udp: Vec<(SocketAddr, UdpSocket)>,
    wanted: usize,
    cookie: Cookie,
}

impl Opening {
    pub(super) fn new(client: &Client) -> Self {
        Self {
            lobby: Lobby::new(),
            tcp: Vec::new(),
            udp: Vec::new(),
            wanted: client.plan.directions.len(),
            cookie: client.cookie,
        }
    }

    /// Opens streams until all are there.
    pub(super) async fn all(&mut self, arrivals: &mut Arrivals, plan: &Plan) -> std::io::Result<()> {
        while self.tcp.len().max(self.udp.len()) < self.wanted {
            tokio::select! {
                biased;
                stream = self.lobby.next() => self.tcp.push(stream),
                () = answer_repeats(&self.udp) => {}
                arrival = arrivals.next() => match arrival {
                    Arrival::Connection(connection) => {
                        let cookie = (!plan.is_udp()).then_some(self.cookie);
                        set_options(&SockRef::from(&connection.stream), plan);
                        match connection.kind {
                            Kind::Udp => self.lobby.enter(greet(connection)),
                            _ => self.lobby.enter(join(connection, cookie)),
                        }
                    }
                    Arrival::Hello(from) if plan.is_udp() => self.hello(arrivals, from, plan).await?,
                    Arrival::Hello(_) => {}
                },
            }
        }
        // Ids go by the order in which the client connected, which cookies may overtake.
        self.tcp.sort_by_key(|(number, _)| *number);
        arrivals.close_udp();
        Ok(())
    }

    async fn hello(&mut self, arrivals: &mut Arrivals, from: SocketAddr, plan: &Plan) -> std::io::Result<()> {
        let known = self.udp.iter().position(|(address, _)| *address == from);
        if known.is_none() {
            let socket = arrivals.open_udp(from)?;
            if plan.parameters.dont_fragment && plan.sends() {
                listen::forbid_fragments(&socket, plan.parameters.length)?;
            }
            let tos = plan.parameters.tos;
            if tos > 0 && listen::set_tos(&SockRef::from(&socket), tos).is_err() {
                tracing::debug!(tos, "set the type of service that a client asked for");
            }
            self.udp.push((from, socket));
        }
        if let Some((_, socket)) = known.map_or_else(|| self.udp.last(), |at| self.udp.get(at)) {
            // Lost like any datagram; the client's hello comes again, or its test ends.
            let _ = socket.send(&ANSWER).await;
        }
        Ok(())
    }

    /// Turns away whoever comes while the test runs. Never ends.
    pub(super) async fn turn_away(&mut self, arrivals: &mut Arrivals) {
        loop {
            tokio::select! {
                biased;
                _ = self.lobby.next() => {}
                arrival = arrivals.next() => {
                    if let Arrival::Connection(connection) = arrival {
                        self.lobby.enter(join(connection, None));
                    }
                }
            }
        }
    }

    /// The sockets, when all are there.
    pub(super) fn take(&mut self) -> std::io::Result<Sockets> {
        if self.udp.is_empty() {
            return Ok(Sockets::Tcp(self.tcp.drain(..).map(|(_, connection)| connection).collect()));
        }
        let sockets = self.udp.drain(..).map(|(_, socket)| socket.into_std());
        Ok(Sockets::Udp(sockets.collect::<Result<_, _>>()?))
    }
}

/// Answers the hello of a stream of datagrams in a tunnel.
async fn greet(mut connection: Connection) -> Option<(u64, Connection)> {
    let greeting = async {
        let mut hello = [0; 2 + HELLO.len()];
        connection.stream.read_exact(&mut hello).await?;
        let mut answer = Vec::new();
        put_datagram(&mut answer, &ANSWER);
        connection.stream.write_all(&answer).await?;
        connection.stream.flush().await?;
        Ok::<_, std::io::Error>(hello)
    };
    let hello = timeout(COOKIE_WITHIN, greeting).await.ok()?.ok()?;
    // Whatever the four bytes are: versions differ.
    (hello[..2] == [0, 4]).then_some((connection.number, connection))
}

/// Reads the cookie of a data connection. Another than `wanted` means another test: this one is busy.
async fn join(mut connection: Connection, wanted: Option<Cookie>) -> Option<(u64, Connection)> {
    let mut bytes = [0; Cookie::LENGTH];
    timeout(COOKIE_WITHIN, connection.stream.read_exact(&mut bytes)).await.ok()?.ok()?;
    let cookie = Cookie::parse(&bytes)?;
    if wanted.is_some_and(|wanted| wanted.matches(&cookie)) {
        return Some((connection.number, connection));
    }
    say_last(&mut connection.stream, &[State::AccessDenied.byte()]).await;
    None
}

/// Options of the client that connections inherit from the listener. A MSS has to be there before the handshake.
pub(super) fn prepare_listener(arrivals: &Arrivals, plan: &Plan) {
    if let Some(listener) = arrivals.listener() {
        set_options(&listener, plan);
    }
}

fn set_options(socket: &SockRef<'_>, plan: &Plan) {
    let asked = &plan.parameters;
    let done = |what: &str, outcome: std::io::Result<()>| {
        if let Err(error) = outcome {
            tracing::debug!(%error, what, "set an option that a client asked for");
        }
    };
    if plan.window > 0 {
        done("window", listen::set_window(socket, plan.window));
    } else if let Some(bytes) = plan.first_buffer {
        done("receive buffer", socket.set_recv_buffer_size(usize::try_from(bytes).unwrap_or(usize::MAX)));
    }
    if asked.mss > 0 {
        done("MSS", socket.set_tcp_mss(asked.mss));
    }
    if asked.no_delay {
        done("nodelay", socket.set_tcp_nodelay(true));
    }
    if asked.tos > 0 {
        done("type of service", listen::set_tos(socket, asked.tos));
    }
    if let Some(name) = &asked.congestion {
        done("congestion", socket.set_tcp_congestion(name.as_bytes()));
    }
    keep_alive(socket);
}

/// Answers hellos whose answer was lost, and drops what a stream's socket caught before it was the stream's. Never ends.
async fn answer_repeats(streams: &[(SocketAddr, UdpSocket)]) {
    poll_fn(|cx: &mut Context<'_>| {
        for (from, socket) in streams {
            let mut bytes = [0; ANSWER.len() + 1];
            let mut buffer = ReadBuf::new(&mut bytes);
            while let Poll::Ready(Ok(sender)) = socket.poll_recv_from(cx, &mut buffer) {
                if sender == *from && buffer.filled().len() == ANSWER.len() {
                    let _ = socket.try_send(&ANSWER);
                }
                buffer.clear();
            }
        }
        Poll::<()>::Pending
    })
    .await;
}
