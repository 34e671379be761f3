//! Sessions over real sockets: admission, accountant and engine together, on a ledger that is on a disk.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test's helpers fail by panicking")]

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crds::EndpointId;
use jiff::Timestamp;
use reflector::access::policy::{Policy, Quotas};
use reflector::clock::Now;
use reflector::config::NetworkMode;
use reflector::engine::Engine;
use reflector::ledger::{Clock, Ledger};
use reflector::link::features::Features;
use reflector::link::message::{SessionParams, TestType};
use reflector::reason::{DenyReason, EndReason};
use reflector::session::{
    Denial, Granted, Observer, Parts, Peer, Requester, Routes, SessionRecord, Sessions, Ticket,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

#[path = "support/engine.rs"]
mod engine;

use engine::{BUFFER, TestEngine};

/// The wall clock of these tests stands still: no quota resets because somebody runs them at midnight.
const NOON: Timestamp = Timestamp::constant(1_800_014_400, 0);

const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Gauge {
    /// Running now, and the most there ever were, per peer and in all.
    now: Mutex<Vec<EndpointId>>,
    most: Mutex<(usize, usize)>,
}

impl Observer for Gauge {
    fn granted(&self, record: &SessionRecord) {
        let mut now = self.now.lock().unwrap();
        now.push(record.peer);
        let own = now.iter().filter(|peer| **peer == record.peer).count();
        let mut most = self.most.lock().unwrap();
        *most = (most.0.max(own), most.1.max(now.len()));
    }
    fn denied(&self, _: &Denial<'_>) {}
    fn ended(&self, record: &SessionRecord) {
        let mut now = self.now.lock().unwrap();
        let index = now.iter().position(|peer| *peer == record.peer).expect("an end has a beginning");
        now.swap_remove(index);
    }
}

struct House {
    /// Milliseconds that have passed beside the real ones.
    skipped: Arc<AtomicU64>,
    sessions: Sessions,
    ledger: Ledger,
    gauge: Arc<Gauge>,
    engine: TestEngine,
}

fn at_noon() -> Clock {
    Arc::new(|| Now { wall: NOON, ..reflector::clock::now() })
}

fn house(folder: &Path, engine: TestEngine) -> House {
    let skipped = Arc::<AtomicU64>::default();
    let skip = Arc::clone(&skipped);
    let clock: Clock = Arc::new(move || {
        let skipped = skip.load(Ordering::SeqCst);
        let real = reflector::clock::now();
        Now { mono_ms: real.mono_ms + skipped, wall: NOON }
    });
    let ledger = Ledger::open(&folder.join("ledger.redb"), clock.clone()).unwrap();
    let gauge = Arc::<Gauge>::default();
    let sessions = Sessions::new(Parts {
        ledger: ledger.clone(),
        engines: vec![Arc::new(engine.clone()) as Arc<dyn Engine>],
        observer: Arc::clone(&gauge) as Arc<dyn Observer>,
        clock,
        windows: Arc::new(|_, _| None),
        routes: Routes { mode: NetworkMode::Auto, data_ports: true, plain_on_control_port: true },
    });
    House { skipped, sessions, ledger, gauge, engine }
}

/// Stops what the connections of a peer run.
fn stop(house: &House, n: u8, reason: EndReason) {
    for session in house.sessions.active(Some(&peer(n))) {
        house.sessions.stop_connection(session.connection, reason);
    }
}

fn peer(n: u8) -> EndpointId {
    EndpointId::from_public_key([n; 32])
}

fn address(n: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, n))
}

fn connect(n: u8) -> Requester {
    Requester::new(Peer {
        id: peer(n),
        source: address(n),
        local: address(1),
        features: Features::NONE,
        silence: Arc::new(|| Duration::ZERO),
    })
}

fn policy(change: impl FnOnce(&mut Policy)) -> Arc<Policy> {
    let mut policy = Policy {
        peer: Arc::from("attic"),
        display_name: None,
        quotas: Quotas {
            max_test_duration: Duration::from_secs(60),
            max_concurrent_tests: 1,
            tests_per_hour: 1000,
            bytes_per_day: None,
            bytes_per_day_on_loopback: None,
            cooldown: Duration::ZERO,
            allow_throughput: true,
            allow_udp_echo: true,
            default_streams: 4,
            max_streams: 8,
            max_echo_pps: 10_000,
            max_rate: None,
        },
        total_concurrent_tests: 3,
        windows: Arc::from([]),
        expires_at: None,
        reflector_suspended: false,
    };
    change(&mut policy);
    Arc::new(policy)
}

/// As if somebody had set it: over loopback too, which all of this runs on.
fn limit(policy: &mut Policy, bytes: u64) {
    (policy.quotas.bytes_per_day, policy.quotas.bytes_per_day_on_loopback) = (Some(bytes), Some(bytes));
}

fn params() -> SessionParams {
    SessionParams { duration_sec: 20, protocol: None, streams: None, reverse: None, mode: None }
}

/// A data connection from the address of peer `n`.
async fn dial(n: u8, port: u16) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(address(n), 0)).unwrap();
    socket.connect(SocketAddr::new(address(1), port)).await.unwrap()
}

async fn start(n: u8, granted: &Granted, direction: &str) -> TcpStream {
    let mut stream = dial(n, granted.grant.port).await;
    stream.write_all(format!("{}{direction}", granted.grant.token).as_bytes()).await.unwrap();
    stream
}

async fn end_of(granted: Granted) -> SessionRecord {
    tokio::time::timeout(PATIENCE, granted.ended).await.expect("the session ends").expect("with a record")
}

async fn ask(house: &House, from: &Requester, policy: &Arc<Policy>) -> Granted {
    house.sessions.request(from, ticket(), policy, TestType::Throughput, &params()).await.unwrap()
}

/// Rounds of [`sixty_four_parallel_requests_exceed_no_cap_and_share_no_port`], all of G1's. Grants of a round share
/// one write, so it is seconds even with a disk that syncs for real.
const ROUNDS: usize = 1000;

/// G1
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_parallel_requests_exceed_no_cap_and_share_no_port() {
    let folder = tempfile::tempdir().unwrap();
    let house = house(folder.path(), TestEngine::new(TestType::Throughput));
    let policy = policy(|policy| {
        policy.quotas.max_concurrent_tests = 2;
        policy.total_concurrent_tests = 5;
    });
    let connections: Vec<Arc<Requester>> =
        (0..64).map(|n| Arc::new(connect(u8::try_from(n % 8).unwrap() + 2))).collect();
    for round in 0..ROUNDS {
        let mut asked = tokio::task::JoinSet::new();
        for from in &connections {
            let (sessions, from, policy) = (house.sessions.clone(), Arc::clone(from), Arc::clone(&policy));
            asked.spawn(async move {
                sessions.request(&from, ticket(), &policy, TestType::Throughput, &params()).await
            });
        }
        let (mut granted, mut busy) = (Vec::new(), 0);
        while let Some(answer) = asked.join_next().await {
            match answer.unwrap() {
                Ok(grant) => granted.push(grant),
                Err(denied) => {
                    assert_eq!(denied.reason, DenyReason::Busy, "{denied}");
                    assert!(denied.retry_after_sec.is_some_and(|wait| wait > 0));
                    busy += 1;
                }
            }
        }
        assert_eq!((granted.len(), busy), (5, 59), "round {round}: every slot is used, none twice");
        let ports: HashSet<u16> = granted.iter().map(|granted| granted.grant.port).collect();
        assert_eq!(ports.len(), 5);
        for n in 2..10 {
            stop(&house, n, EndReason::ClientTerminated);
        }
        for granted in granted {
            end_of(granted).await;
        }
        // Ten rounds an hour, or the hourly limit would speak first.
        house.skipped.fetch_add(360_000, Ordering::SeqCst);
    }
    assert_eq!(*house.gauge.most.lock().unwrap(), (2, 5));
    assert!(house.gauge.now.lock().unwrap().is_empty(), "the gauge is back to 0");
}

/// X1, G6: to the byte, whatever the client still sends.
#[tokio::test]
async fn an_upload_is_cut_at_the_daily_limit() {
    const LIMIT: u64 = 3_000_001;
    let folder = tempfile::tempdir().unwrap();
    let house = house(folder.path(), TestEngine::new(TestType::Throughput));
    let (policy, from) = (policy(|policy| limit(policy, LIMIT)), connect(2));
    let granted = ask(&house, &from, &policy).await;
    let mut stream = start(2, &granted, "u").await;
    let flood = tokio::spawn(async move { while stream.write_all(&vec![1; BUFFER]).await.is_ok() {} });
    let record = end_of(granted).await;
    assert_eq!((record.reason(), record.bytes), (EndReason::QuotaExceeded, LIMIT));
    tokio::time::timeout(PATIENCE, flood).await.expect("the client is told by its socket").unwrap();
    assert_eq!(house.ledger.usage(&peer(2)).unwrap().bytes_today, LIMIT);
    let denied =
        house.sessions.request(&from, ticket(), &policy, TestType::Throughput, &params()).await.unwrap_err();
    assert_eq!(denied.reason, DenyReason::QuotaExceeded);
    assert!(denied.retry_after_sec.is_some_and(|wait| wait <= 86_400));
}

/// X1: what the client received is what was charged.
#[tokio::test]
async fn a_download_is_cut_at_the_daily_limit() {
    const LIMIT: u64 = 2_000_003;
    let folder = tempfile::tempdir().unwrap();
    let house = house(folder.path(), TestEngine::new(TestType::Throughput));
    let policy = policy(|policy| limit(policy, LIMIT));
    let granted = ask(&house, &connect(2), &policy).await;
    let mut received = Vec::new();
    start(2, &granted, "d").await.read_to_end(&mut received).await.unwrap();
    let record = end_of(granted).await;
    assert_eq!((record.reason(), record.bytes), (EndReason::QuotaExceeded, LIMIT));
    assert_eq!(received.len() as u64, LIMIT);
}

/// X1: two sessions, one budget.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_sessions_of_a_peer_share_its_day() {
    const LIMIT: u64 = 4_000_007;
    let folder = tempfile::tempdir().unwrap();
    let house = house(folder.path(), TestEngine::new(TestType::Throughput));
    let policy = policy(|policy| {
        limit(policy, LIMIT);
        policy.quotas.max_concurrent_tests = 3;
    });
    let mut running = Vec::new();
    for _ in 0..3 {
        running.push(ask(&house, &connect(2), &policy).await);
    }
    for granted in &running {
        let mut stream = start(2, granted, "u").await;
        tokio::spawn(async move { while stream.write_all(&vec![1; BUFFER]).await.is_ok() {} });
    }
    let mut sum = 0;
    for granted in running {
        sum += end_of(granted).await.bytes;
    }
    assert_eq!(sum, LIMIT);
}

/// G2
#[tokio::test]
async fn a_client_that_is_done_can_ask_again_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let house = house(folder.path(), TestEngine::new(TestType::Throughput));
    let (policy, from) = (policy(|_| ()), connect(2));
    for round in 0..50_u64 {
        let granted = ask(&house, &from, &policy).await;
        let mut stream = start(2, &granted, "u").await;
        stream.write_all(&[7; 1000]).await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0, "round {round}: closed by the server");
        let record = end_of(granted).await;
        assert_eq!((record.reason(), record.bytes), (EndReason::Completed, 1000));
    }
}

/// E3
#[tokio::test]
async fn strangers_are_reset_and_the_granted_peer_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let house = house(folder.path(), TestEngine::new(TestType::Throughput));
    let granted = ask(&house, &connect(2), &policy(|_| ())).await;
    let mut elsewhere = start(3, &granted, "d").await;
    assert!(elsewhere.read(&mut [0; 1]).await.is_err(), "another address is reset");
    let mut guessed = dial(2, granted.grant.port).await;
    guessed.write_all(&[b'0'; 37]).await.unwrap();
    assert!(guessed.read(&mut [0; 1]).await.is_err(), "another token is reset");
    assert_eq!(house.engine.refused(), 2);
    start(2, &granted, "u").await.shutdown().await.unwrap();
    assert_eq!(end_of(granted).await.reason(), EndReason::Completed);
}

/// G3, A8
#[tokio::test]
async fn a_client_that_is_gone_or_revoked_frees_slot_and_port() {
    let folder = tempfile::tempdir().unwrap();
    let house = house(folder.path(), TestEngine::new(TestType::Throughput).paced(20_000_000));
    let (policy, from) = (policy(|_| ()), connect(2));

    let granted = ask(&house, &from, &policy).await;
    let stream = start(2, &granted, "d").await;
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
    assert_eq!(end_of(granted).await.reason(), EndReason::ClientTerminated);

    let granted = ask(&house, &from, &policy).await;
    let mut stream = start(2, &granted, "d").await;
    stream.read_exact(&mut vec![0; 100_000]).await.unwrap();
    let port = granted.grant.port;
    let told = tokio::time::Instant::now();
    stop(&house, 2, EndReason::Revoked);
    assert_eq!(end_of(granted).await.reason(), EndReason::Revoked);
    assert!(told.elapsed() < Duration::from_secs(2));
    let again = TcpSocket::new_v4().unwrap().connect(SocketAddr::new(address(1), port)).await;
    assert!(again.is_err(), "no port outlives its session");
}

#[tokio::test]
async fn echo_answers_the_granted_peer_only_and_counts_both_ways() {
    let folder = tempfile::tempdir().unwrap();
    let house = house(folder.path(), TestEngine::new(TestType::UdpEcho));
    let policy = policy(|policy| limit(policy, 1_000));
    let from = connect(2);
    let granted =
        house.sessions.request(&from, ticket(), &policy, TestType::UdpEcho, &params()).await.unwrap();
    let to = SocketAddr::new(address(1), granted.grant.port);
    let stranger = UdpSocket::bind((address(3), 0)).await.unwrap();
    let client = UdpSocket::bind((address(2), 0)).await.unwrap();
    let datagram = format!("{}{}", granted.grant.token, "x".repeat(64));
    stranger.send_to(datagram.as_bytes(), to).await.unwrap();
    client.send_to(b"no token", to).await.unwrap();
    let mut answer = [0; 200];
    for _ in 0..5 {
        client.send_to(datagram.as_bytes(), to).await.unwrap();
        let (length, _) =
            tokio::time::timeout(PATIENCE, client.recv_from(&mut answer)).await.unwrap().unwrap();
        assert_eq!(&answer[..length], datagram.as_bytes());
    }
    assert_eq!(house.engine.refused(), 2);
    client.send_to(datagram.as_bytes(), to).await.unwrap();
    let record = end_of(granted).await;
    assert_eq!((record.reason(), record.bytes), (EndReason::QuotaExceeded, 1_000));
    assert!(stranger.try_recv(&mut answer).is_err(), "zero bytes back");
}

/// C6, E4
#[tokio::test]
async fn a_drain_records_what_it_cuts() {
    let folder = tempfile::tempdir().unwrap();
    let house = house(folder.path(), TestEngine::new(TestType::Throughput).paced(10_000_000));
    let granted = ask(&house, &connect(2), &policy(|_| ())).await;
    let mut stream = start(2, &granted, "d").await;
    stream.read_exact(&mut vec![0; 100_000]).await.unwrap();
    assert_eq!(house.sessions.drain(Duration::from_millis(200)).await, 1);
    let record = end_of(granted).await;
    assert_eq!(record.reason(), EndReason::Shutdown);
    house.ledger.close().await.unwrap();
    drop(house);
    let ledger = Ledger::open(&folder.path().join("ledger.redb"), at_noon()).unwrap();
    assert_eq!(ledger.usage(&peer(2)).unwrap().bytes_today, record.bytes);
}

/// A session's name and keys; who tests sessions has no TLS connection to ask.
fn ticket() -> Ticket {
    Ticket::new(|_, _, _| Ok::<(), std::convert::Infallible>(())).unwrap()
}
