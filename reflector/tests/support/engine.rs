//! The test engine: real sockets under the real accountant, and a protocol one can write in ten lines.
//!
//! Throughput: connect from the granted peer's address, send the 36-byte token and one byte, `u` (the client sends)
//! or `d` (the reflector sends), then bytes. The server closes the socket when the test is over. UDP echo: a
//! datagram that begins with the token comes back unchanged. Everyone else is reset, or gets nothing.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reflector::engine::{BoxFuture, Ended, Engine, Prepare, PrepareError, Prepared};
use reflector::link::message::{Mode, TestType};
use reflector::reason::EndReason;
use reflector::session::{Meter, SessionControl};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

/// One buffer: the most that can be on lease, so the most that a cut can be off.
pub(crate) const BUFFER: usize = 64 * 1024;

/// No client after this: `no_start`.
const START_WITHIN: Duration = Duration::from_secs(10);

/// A connection has this long for its token.
const TOKEN_WITHIN: Duration = Duration::from_secs(3);

/// Moves bytes for one test type.
#[derive(Debug, Clone)]
pub(crate) struct TestEngine {
    test_type: TestType,
    pace: Option<u64>,
    refused: Arc<AtomicU64>,
}

impl TestEngine {
    /// At full speed.
    pub(crate) fn new(test_type: TestType) -> Self {
        Self { test_type, pace: None, refused: Arc::default() }
    }

    /// At most this many bytes a second, so that a test lasts and the machine stays calm.
    #[allow(dead_code, reason = "not every test that includes this file paces")]
    pub(crate) fn paced(self, bytes_per_second: u64) -> Self {
        Self { pace: Some(bytes_per_second), ..self }
    }

    /// Connections and datagrams that were not of the granted peer.
    #[allow(dead_code, reason = "not every test that includes this file looks")]
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::SeqCst)
    }
}

impl Engine for TestEngine {
    fn test_type(&self) -> TestType {
        self.test_type
    }

    fn prepare(&self, what: Prepare) -> BoxFuture<Result<Box<dyn Prepared>, PrepareError>> {
        let engine = self.clone();
        Box::pin(async move {
            let at = SocketAddr::new(what.local_addr, 0);
            let exhausted = |error: std::io::Error| PrepareError::Exhausted(error.to_string());
            let socket = match engine.test_type {
                TestType::Throughput => Socket::Tcp(TcpListener::bind(at).await.map_err(exhausted)?),
                TestType::UdpEcho => Socket::Udp(UdpSocket::bind(at).await.map_err(exhausted)?),
            };
            let bound = match &socket {
                Socket::Tcp(listener) => listener.local_addr(),
                Socket::Udp(socket) => socket.local_addr(),
            };
            let port = bound.map_err(exhausted)?.port();
            Ok(Box::new(Test { engine, what, socket, port }) as Box<dyn Prepared>)
        })
    }
}

enum Socket {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

struct Test {
    engine: TestEngine,
    what: Prepare,
    socket: Socket,
    port: u16,
}

impl Prepared for Test {
    fn port(&self) -> u16 {
        self.port
    }

    fn mode(&self) -> Mode {
        Mode::DirectEphemeral
    }

    fn run(self: Box<Self>, control: SessionControl) -> BoxFuture<Ended> {
        Box::pin(async move {
            let Self { engine, what, socket, .. } = *self;
            match socket {
                Socket::Tcp(listener) => throughput(&engine, &what, &listener, &control).await,
                Socket::Udp(socket) => echo(&engine, &what, &socket, &control).await,
            }
        })
    }
}

async fn throughput(
    engine: &TestEngine,
    what: &Prepare,
    listener: &TcpListener,
    control: &SessionControl,
) -> Ended {
    let welcome = tokio::select! {
        client = timeout(START_WITHIN, welcome(engine, what, listener)) => client,
        () = control.stopped() => return ended(EndReason::ClientTerminated, Duration::ZERO),
    };
    let Ok((mut stream, sends)) = welcome else { return ended(EndReason::NoStart, Duration::ZERO) };
    let meter = control.meter();
    let started = Instant::now();
    let until = started + what.duration;
    let moving = async {
        if sends {
            download(&mut stream, &meter, engine.pace).await
        } else {
            upload(&mut stream, &meter, engine.pace).await
        }
    };
    let reason = tokio::select! {
        outcome = timeout_at(until, moving) => outcome.unwrap_or(EndReason::Completed),
        // The session knows why; this says only that we obeyed.
        () = control.stopped() => EndReason::Shutdown,
    };
    let duration = started.elapsed();
    if reason == EndReason::Completed {
        control.released();
    }
    drop(stream);
    ended(reason, duration)
}

/// Waits for the granted peer; everybody else is reset and counted.
async fn welcome(engine: &TestEngine, what: &Prepare, listener: &TcpListener) -> (TcpStream, bool) {
    loop {
        let Ok((mut stream, from)) = listener.accept().await else { continue };
        if plain(from.ip()) == what.peer_addr
            && let Ok(Some(sends)) = timeout(TOKEN_WITHIN, direction(&mut stream, what)).await
        {
            return (stream, sends);
        }
        engine.refused.fetch_add(1, Ordering::SeqCst);
        // Linger 0: closing resets, and leaves no TIME_WAIT for a stranger.
        let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    }
}

/// True: the reflector sends. `None`: not the granted peer's client.
async fn direction(stream: &mut TcpStream, what: &Prepare) -> Option<bool> {
    let mut hello = [0; 37];
    stream.read_exact(&mut hello).await.ok()?;
    let (token, direction) = hello.split_at(36);
    if token != what.token.to_string().as_bytes() {
        return None;
    }
    match direction {
        b"u" => Some(false),
        b"d" => Some(true),
        _ => None,
    }
}

async fn upload(stream: &mut TcpStream, meter: &Meter, pace: Option<u64>) -> EndReason {
    let mut buffer = vec![0; BUFFER];
    let started = Instant::now();
    loop {
        // Waiting costs no lease: bytes on lease are bytes another session of this peer cannot have.
        if stream.readable().await.is_err() {
            return EndReason::ClientTerminated;
        }
        let lease = meter.lease(BUFFER as u64);
        let room = usize::try_from(lease.bytes()).unwrap_or(BUFFER);
        if room == 0 {
            return EndReason::QuotaExceeded;
        }
        match stream.try_read(&mut buffer[..room]) {
            Ok(0) => return EndReason::Completed,
            Ok(read) => lease.settle(read as u64),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(_) => return EndReason::ClientTerminated,
        }
        rest(started, meter, pace).await;
    }
}

async fn download(stream: &mut TcpStream, meter: &Meter, pace: Option<u64>) -> EndReason {
    let buffer = vec![0x5a; BUFFER];
    let started = Instant::now();
    loop {
        if stream.writable().await.is_err() {
            return EndReason::ClientTerminated;
        }
        let lease = meter.lease(BUFFER as u64);
        let room = usize::try_from(lease.bytes()).unwrap_or(BUFFER);
        if room == 0 {
            // What was written is still to arrive: an orderly end, not a reset.
            let _ = stream.shutdown().await;
            return EndReason::QuotaExceeded;
        }
        match stream.try_write(&buffer[..room]) {
            Ok(written) => lease.settle(written as u64),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(_) => return EndReason::ClientTerminated,
        }
        rest(started, meter, pace).await;
    }
}

/// Waits until the bytes so far fit the pace.
async fn rest(started: Instant, meter: &Meter, pace: Option<u64>) {
    if let Some(pace) = pace {
        sleep_until(started + Duration::from_micros(meter.bytes().saturating_mul(1_000_000) / pace)).await;
    }
}

async fn echo(engine: &TestEngine, what: &Prepare, socket: &UdpSocket, control: &SessionControl) -> Ended {
    let meter = control.meter();
    let token = what.token.to_string();
    let mut buffer = vec![0; BUFFER];
    let mut started: Option<Instant> = None;
    loop {
        let until = started.map_or_else(|| Instant::now() + START_WITHIN, |started| started + what.duration);
        let (length, from) = tokio::select! {
            () = control.stopped() => return ended(EndReason::Shutdown, since(started)),
            got = timeout_at(until, socket.recv_from(&mut buffer)) => match got {
                Ok(Ok(got)) => got,
                // An ICMP error about an earlier reply says nothing about the next datagram.
                Ok(Err(_)) => continue,
                Err(_) if started.is_some() => return ended(EndReason::Completed, since(started)),
                Err(_) => return ended(EndReason::NoStart, Duration::ZERO),
            },
        };
        let datagram = &buffer[..length];
        if plain(from.ip()) != what.peer_addr || !datagram.starts_with(token.as_bytes()) {
            engine.refused.fetch_add(1, Ordering::SeqCst);
            continue;
        }
        started.get_or_insert_with(Instant::now);
        let both_ways = 2 * length as u64;
        let lease = meter.lease(both_ways);
        if lease.bytes() < both_ways {
            // It has arrived, so it counts; there is no room for the answer.
            let arrived = lease.bytes().min(length as u64);
            lease.settle(arrived);
            let _ = meter.lease(1);
            return ended(EndReason::QuotaExceeded, since(started));
        }
        let sent = socket.send_to(datagram, from).await.map_or(0, |sent| sent as u64);
        lease.settle(length as u64 + sent);
    }
}

fn since(started: Option<Instant>) -> Duration {
    started.map_or(Duration::ZERO, |started| started.elapsed())
}

fn ended(reason: EndReason, duration: Duration) -> Ended {
    Ended::plain(reason, duration)
}

fn plain(address: IpAddr) -> IpAddr {
    address.to_canonical()
}
