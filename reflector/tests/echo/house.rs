//! Sessions with the echo engine over real sockets, and a peer that can misbehave.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use crds::EndpointId;
use reflector::access::policy::{Policy, Quotas};
use reflector::config::NetworkMode;
use reflector::engine::Engine;
use reflector::engine::door::Doors;
use reflector::engine::door::post::Post;
use reflector::engine::echo::EchoEngine;
use reflector::engine::echo::calm::Calm;
use reflector::engine::echo::wire::{self, KEY_BYTES, Keys, Request};
use reflector::engine::secrets::ECHO_LABEL;
use reflector::engine::site::Site;
use reflector::engine::throughput::Throughput;
use reflector::engine::tunnel::Tunnels;
use reflector::ledger::{Clock, Ledger};
use reflector::link::features::{Feature, Features};
use reflector::link::message::{SessionParams, TestType};
use reflector::session::{
    Denial, Granted, Observer, Parts, Peer, Requester, Routes, SessionRecord, Sessions, Ticket,
};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

/// Long enough for a busy machine; nothing is asserted about it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What the two ends of the control connection know.
const EXPORTED: [u8; KEY_BYTES] = [0x5a; KEY_BYTES];

struct Nobody;

impl Observer for Nobody {
    fn granted(&self, _: &SessionRecord) {}
    fn denied(&self, _: &Denial<'_>) {}
    fn ended(&self, _: &SessionRecord) {}
}

/// A reflector that runs echo alone.
pub(crate) struct House {
    pub(crate) sessions: Sessions,
    pub(crate) ledger: Ledger,
    pub(crate) doors: Doors,
    _sorting: AbortOnDropHandle<()>,
    _folder: tempfile::TempDir,
}

/// Where data flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    DataPort,
    ControlPort,
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asks {
    pub(crate) from: IpAddr,
    pub(crate) keyed: bool,
    pub(crate) seconds: u64,
    pub(crate) max_pps: u32,
    pub(crate) bytes: Option<u64>,
    pub(crate) test_type: TestType,
    /// May use echo.
    pub(crate) echo: bool,
}

impl Asks {
    pub(crate) fn keyed() -> Self {
        Self {
            from: address(2),
            keyed: true,
            seconds: 20,
            max_pps: 10_000,
            bytes: None,
            test_type: TestType::UdpEcho,
            echo: true,
        }
    }

    pub(crate) fn legacy() -> Self {
        Self { keyed: false, ..Self::keyed() }
    }
}

/// A granted session, from the peer's side.
pub(crate) struct Run {
    granted: Granted,
    pub(crate) server: SocketAddr,
    from: IpAddr,
}

impl House {
    pub(crate) fn new(on: On, v6: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock: Clock = Arc::new(reflector::clock::now);
        let ledger = Ledger::open(&folder.path().join("ledger.redb"), clock.clone()).unwrap();
        let doors = Doors::default();
        // The control listener has its port first, as in the program.
        let listener = std::net::TcpListener::bind((here(v6), 0)).unwrap();
        let control = listener.local_addr().unwrap();
        let post = Post::bind(control, &doors).unwrap();
        let sorting = tokio::spawn(async move { post.sort(|_| {}, &CancellationToken::new()).await });
        let site = Site {
            control_port: control.port(),
            data_ports: None,
            doors: doors.clone(),
            tunnels: Tunnels::default(),
        };
        let sessions = Sessions::new(Parts {
            ledger: ledger.clone(),
            engines: vec![
                Arc::new(EchoEngine::new(site.clone(), Calm::default())) as Arc<dyn Engine>,
                Arc::new(Throughput::new(site)),
            ],
            observer: Arc::new(Nobody),
            clock,
            windows: Arc::new(|_, _| None),
            routes: Routes {
                mode: NetworkMode::Auto,
                data_ports: on == On::DataPort,
                plain_on_control_port: true,
            },
        });
        Self { sessions, ledger, doors, _sorting: AbortOnDropHandle::new(sorting), _folder: folder }
    }

    pub(crate) async fn grant(&self, asks: Asks) -> Run {
        let features = if asks.keyed { Features::of(&[Feature::EchoToken]) } else { Features::NONE };
        let local = here(asks.from.is_ipv6());
        let requester = Requester::new(Peer {
            id: peer(),
            source: asks.from,
            local,
            features,
            silence: Arc::new(|| Duration::ZERO),
        });
        let export = |out: &mut [u8], label: &[u8], _: Option<&[u8]>| {
            if label == ECHO_LABEL {
                out.copy_from_slice(&EXPORTED);
            }
            Ok::<(), ()>(())
        };
        let params = SessionParams {
            duration_sec: asks.seconds,
            protocol: None,
            streams: None,
            reverse: None,
            mode: None,
        };
        let ticket = Ticket::new(export).unwrap();
        let request = self.sessions.request(&requester, ticket, &policy(asks), asks.test_type, &params).await;
        let granted = request.unwrap();
        let server = SocketAddr::new(local, granted.grant.port);
        Run { granted, server, from: asks.from }
    }
}

impl Run {
    /// The keys of the peer's end.
    pub(crate) fn keys(&self) -> Keys {
        Keys::new(&EXPORTED, self.test_id())
    }

    pub(crate) fn test_id(&self) -> Uuid {
        self.granted.grant.test_id
    }

    pub(crate) fn request(&self, seq: u64, length: usize) -> Vec<u8> {
        let mut packet = vec![0x77; length];
        wire::write_request(&mut packet, &self.keys(), Request { seq, t1: 99 });
        packet
    }

    /// A socket of the peer's.
    pub(crate) fn socket(&self) -> UdpSocket {
        socket(self.from, self.server)
    }

    pub(crate) async fn end(self) -> SessionRecord {
        let ended = tokio::time::timeout(PATIENCE, self.granted.ended).await;
        ended.expect("the session ends").expect("with a record")
    }
}

pub(crate) fn socket(from: IpAddr, to: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((from, 0)).unwrap();
    socket.connect(to).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// The next datagram.
pub(crate) fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 65_536];
    let length = socket.recv(&mut buffer).expect("an answer");
    buffer.truncate(length);
    buffer
}

/// What has arrived up to now, and any error a stray ICMP message left. A request of the peer's that is answered proves
/// that everything sent before it was looked at.
pub(crate) fn arrived(socket: &UdpSocket) -> Vec<Result<Vec<u8>, std::io::ErrorKind>> {
    socket.set_nonblocking(true).unwrap();
    let mut all = Vec::new();
    loop {
        let mut buffer = vec![0; 65_536];
        match socket.recv(&mut buffer) {
            Ok(length) => all.push(Ok(buffer[..length].to_vec())),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
            Err(error) => all.push(Err(error.kind())),
        }
    }
    socket.set_nonblocking(false).unwrap();
    all
}

pub(crate) fn dropped(record: &SessionRecord, cause: &str) -> u64 {
    let measured =
        record.ended.as_ref().and_then(|ended| ended.measured.clone()).expect("an engine measured");
    measured.echo_dropped.iter().find(|(name, _)| name == cause).map_or(0, |(_, count)| *count)
}

pub(crate) fn peer() -> EndpointId {
    EndpointId::from_public_key([2; 32])
}

pub(crate) fn address(n: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, n))
}

fn here(v6: bool) -> IpAddr {
    if v6 { "::1".parse().unwrap() } else { address(1) }
}

fn policy(asks: Asks) -> Arc<Policy> {
    Arc::new(Policy {
        peer: Arc::from("attic"),
        display_name: None,
        quotas: Quotas {
            max_test_duration: Duration::from_secs(60),
            max_concurrent_tests: 1,
            tests_per_hour: 1000,
            bytes_per_day: asks.bytes,
            bytes_per_day_on_loopback: asks.bytes,
            cooldown: Duration::ZERO,
            allow_throughput: true,
            allow_udp_echo: asks.echo,
            default_streams: 4,
            max_streams: 8,
            max_echo_pps: asks.max_pps,
            max_rate: None,
        },
        total_concurrent_tests: 3,
        windows: Arc::from([]),
        expires_at: None,
        reflector_suspended: false,
    })
}
