//! The whole reflector inside the test, with tokio's clock in the test's hands: limits of seconds and minutes are met
//! exactly, and take no time. Sockets, TLS, files and threads are real.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use e2e::appliance::{Appliance, Closed, Connection, Ending, Error, Key, Test, envelope, frame, raw};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, advance, interval, pause, resume};
use tokio_util::sync::CancellationToken;

use crate::config;
use crate::engine::{BoxFuture, Ended, Engine, Prepare, PrepareError, Prepared};
use crate::link::message::{Mode, TestType};
use crate::reason::EndReason;
use crate::server::limits::{FIRST_BYTE, HANDSHAKE, HELLO, IDLE, WRITE};
use crate::session::SessionControl;

use super::engines::Engines;
use super::start::{Reflector, start};

/// Long enough for a busy machine; nothing is asserted about it.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Beyond a limit by enough, and short of one by enough for what a busy machine takes meanwhile.
const MARGIN: Duration = Duration::from_secs(4);

/// Has a port and moves nothing until it is told to stop. Whoever takes the permit keeps it from preparing.
struct Resting(Arc<Semaphore>);

struct Rest(TcpListener);

impl Engine for Resting {
    fn test_type(&self) -> TestType {
        TestType::Throughput
    }

    fn prepare(&self, what: Prepare) -> BoxFuture<Result<Box<dyn Prepared>, PrepareError>> {
        let gate = Arc::clone(&self.0);
        Box::pin(async move {
            let _open = gate.acquire().await.unwrap();
            let listener = TcpListener::bind((what.local_addr, 0)).await;
            let listener = listener.map_err(|error| PrepareError::Exhausted(error.to_string()))?;
            Ok(Box::new(Rest(listener)) as Box<dyn Prepared>)
        })
    }
}

impl Prepared for Rest {
    fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    fn mode(&self) -> Mode {
        Mode::DirectEphemeral
    }

    fn run(self: Box<Self>, control: SessionControl) -> BoxFuture<Ended> {
        Box::pin(async move {
            control.stopped().await;
            Ended::plain(EndReason::ClientTerminated, Duration::ZERO)
        })
    }
}

pub(super) struct House {
    pub(super) dir: TempDir,
    pub(super) reflector: Reflector,
    /// One permit; without it no session is prepared.
    pub(super) gate: Arc<Semaphore>,
    /// Dropping them ends the reflector.
    _core: JoinSet<anyhow::Result<&'static str>>,
    /// An authorised peer whose business has nothing to do with the abuse.
    pub(super) good: Appliance,
    /// An authorised peer that misbehaves.
    pub(super) bad: Appliance,
    /// Its Endpoint ID.
    pub(super) bad_id: String,
}

impl House {
    pub(super) async fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (good, bad) = (Key::generate(), Key::generate());
        let text = format!(
            "[identity]\nprivate_key_path = {:?}\n[network]\nlisten_address = \"127.0.0.1:0\"\n\
             listen_address_health = \"127.0.0.1:0\"\n[access]\nname = \"attic\"\nauthorized_peers = [{:?}, {:?}]\n\
             [quotas]\nmax_test_duration_sec = 300\nmax_bytes_per_day_per_peer = 7000000000\n",
            dir.path().join("identity.ed25519"),
            good.endpoint_id(),
            bad.endpoint_id(),
        );
        let gate = Arc::new(Semaphore::new(1));
        let loaded = config::parse(&text, &config::Variables::new()).unwrap();
        let reflector =
            start(loaded, Engines::Instead(vec![Arc::new(Resting(Arc::clone(&gate)))])).await.unwrap();
        let mut core = JoinSet::new();
        reflector.spawn_core(&mut core, &CancellationToken::new());
        let good = Appliance::builder(good).bind("127.0.0.9".parse().unwrap());
        let house = Self {
            dir,
            reflector,
            gate,
            _core: core,
            good,
            bad_id: bad.endpoint_id(),
            bad: Appliance::builder(bad),
        };
        // Refused until the peers folder was read.
        let began = Instant::now();
        while house.good.open(house.reflector.listen).await.is_err() {
            assert!(began.elapsed() < PATIENCE, "no policy");
        }
        house
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.reflector.listen
    }

    pub(super) async fn good_peer_gets_through(&self) {
        let (mut connection, _) = self.good.open(self.addr()).await.unwrap();
        connection.status().await.unwrap();
    }

    pub(super) async fn metric(&self, series: &str) -> f64 {
        let mut stream = tokio::net::TcpStream::connect(self.reflector.health_listen).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
        value.unwrap_or_else(|| panic!("no series {series}"))
    }

    pub(super) async fn until_metric(&self, series: &str, expected: f64) {
        let began = Instant::now();
        loop {
            let value = self.metric(series).await;
            // Counts are small and exact.
            if (value - expected).abs() < 0.5 {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{series} is {value}, not {expected}");
        }
    }

    pub(super) async fn until_audited(&self, reason: &str) {
        let mut look_again = interval(Duration::from_millis(5));
        let began = Instant::now();
        loop {
            let text = std::fs::read_to_string(self.dir.path().join("audit.jsonl")).unwrap_or_default();
            let denied = |line: &Value| line["event_type"] == "connection_denied" && line["reason"] == reason;
            if text.lines().filter_map(|line| serde_json::from_str(line).ok()).any(|line| denied(&line)) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "no connection_denied {reason} in\n{text}");
            look_again.tick().await;
        }
    }
}

/// Time passes for every timer at once.
pub(super) async fn pass(time: Duration) {
    pause();
    advance(time).await;
    resume();
}

pub(super) const HALF_OPEN: &str = "reflector_connections{state=\"half_open\"}";

pub(super) fn refused(reason: &str) -> String {
    format!("reflector_connections_refused_total{{reason=\"{reason}\"}}")
}

/// P9
#[tokio::test]
async fn a_silent_socket_is_closed() {
    let house = House::open().await;
    house.until_metric(HALF_OPEN, 0.0).await;
    let mut socket = raw::connect(house.addr(), None).await.unwrap();
    house.until_metric(HALF_OPEN, 1.0).await;
    pass(FIRST_BYTE.saturating_sub(MARGIN)).await;
    house.good_peer_gets_through().await;
    assert_eq!(socket.try_read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "still open");
    pass(MARGIN).await;
    let closed = raw::read_until_closed(&mut socket).await;
    assert_eq!(closed, Closed { how: Ending::Fin, unread: Vec::new() });
    house.until_metric(&refused("no_first_byte"), 1.0).await;
    house.until_metric(HALF_OPEN, 0.0).await;
}

/// P9
#[tokio::test]
async fn a_slow_handshake_is_closed() {
    let house = House::open().await;
    house.until_metric(HALF_OPEN, 0.0).await;
    let hello = raw::tls12_client_hello();
    let mut bytes = hello.iter().copied();
    let mut socket = raw::connect(house.addr(), None).await.unwrap();
    socket.write_u8(bytes.next().unwrap()).await.unwrap();
    house.until_metric(HALF_OPEN, 1.0).await;
    for _ in 0..HANDSHAKE.saturating_sub(MARGIN).as_secs() {
        pass(Duration::from_secs(1)).await;
        // Every byte comes in good time; together they do not.
        socket.write_u8(bytes.next().unwrap()).await.unwrap();
        house.good_peer_gets_through().await;
    }
    assert_eq!(socket.try_read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "still open");
    pass(MARGIN).await;
    let closed = raw::read_until_closed(&mut socket).await;
    assert_ne!(closed.how, Ending::Deadline);
    assert!(closed.unread.is_empty(), "{closed:?}");
    house.until_metric("reflector_handshakes_total{result=\"timeout\"}", 1.0).await;
    house.until_audited("handshake_timeout").await;
}

/// P9
#[tokio::test]
async fn a_peer_that_never_says_hello_is_closed() {
    let house = House::open().await;
    house.until_metric(HALF_OPEN, 0.0).await;
    let mut mute = house.bad.connect(house.addr()).await.unwrap();
    // The client is done with TLS before the server is.
    house.until_metric("reflector_handshakes_total{result=\"ok\"}", ok_handshakes(&house).await).await;
    pass(HELLO.saturating_sub(MARGIN)).await;
    house.good_peer_gets_through().await;
    assert!((house.metric(HALF_OPEN).await - 1.0).abs() < 0.5, "a key alone is no hello, and time is left");
    pass(MARGIN).await;
    assert_eq!(mute.read_raw_until_closed().await, Closed { how: Ending::CloseNotify, unread: Vec::new() });
    house.until_audited("hello_timeout").await;
    house.until_metric(HALF_OPEN, 0.0).await;
}

async fn ok_handshakes(house: &House) -> f64 {
    house.good_peer_gets_through().await;
    house.metric("reflector_handshakes_total{result=\"ok\"}").await
}

/// P9
#[tokio::test]
async fn a_peer_that_never_reads_is_closed() {
    let house = House::open().await;
    let (mut deaf, _) = house.bad.clone().receive_buffer(2048).open(house.addr()).await.unwrap();
    let question = frame::encode(&envelope("q", &json!({ "type": "get_status" })));
    let questions = question.repeat(1000);
    deaf.set_wait(Duration::from_millis(500));
    // Until our questions stay with us, because the answers stay with the reflector.
    let stuck = loop {
        if let Err(error) = deaf.send_raw(&questions).await {
            break error;
        }
    };
    assert!(matches!(stuck, Error::Deadline { .. }), "{stuck}");
    pass(WRITE.saturating_sub(MARGIN)).await;
    house.good_peer_gets_through().await;
    house.until_metric(&refused("slow_reader"), 0.0).await;
    // The reflector may have found room for a few more answers since.
    let began = Instant::now();
    while house.metric(&refused("slow_reader")).await < 0.5 {
        assert!(began.elapsed() < 10 * PATIENCE, "the slow reader stays");
        pass(MARGIN).await;
    }
    house.until_audited("slow_reader").await;
    house.good_peer_gets_through().await;
}

/// P9
#[tokio::test]
async fn an_idle_connection_is_closed_but_not_during_a_session() {
    let house = House::open().await;
    let (mut quiet, _) = house.bad.open(house.addr()).await.unwrap();
    pass(IDLE.saturating_sub(MARGIN)).await;
    still_there(&mut quiet).await;
    pass(IDLE.saturating_sub(MARGIN)).await;
    // The longest session there is outlives the limit by its 5 s of slack.
    let grant = quiet.request(&Test::throughput(300)).await.unwrap().granted().unwrap();
    pass(IDLE + Duration::from_secs(1)).await;
    house.good_peer_gets_through().await;
    assert_eq!(quiet.status().await.unwrap()["active_test"]["test_id"], grant.test_id.as_str());
    quiet.close_session(&grant.test_id).await.unwrap();
    still_there(&mut quiet).await;
    house.until_metric(&refused("idle"), 0.0).await;
    pass(IDLE).await;
    let closed = quiet.read_raw_until_closed().await;
    assert_eq!(closed, Closed { how: Ending::CloseNotify, unread: Vec::new() });
    house.until_metric(&refused("idle"), 1.0).await;
    house.good_peer_gets_through().await;
}

async fn still_there(connection: &mut Connection) {
    connection.status().await.unwrap();
}

pub(super) fn plain(dir: &std::path::Path, more: &str) -> config::Loaded {
    let text = format!(
        "[identity]\nprivate_key_path = {:?}\n[network]\nlisten_address = \"127.0.0.1:0\"\n\
         listen_address_health = \"127.0.0.1:0\"\n{more}",
        dir.join("state/identity.ed25519"),
    );
    config::parse(&text, &config::Variables::new()).unwrap()
}

/// What a first-time user does: nothing is there yet.
#[tokio::test]
async fn the_first_start_makes_the_state_folder_and_shuts_it() {
    let dir = tempfile::tempdir().unwrap();
    start(plain(dir.path(), ""), Engines::Instead(Vec::new())).await.unwrap();
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(dir.path().join("state")).unwrap());
    assert_eq!(mode & 0o777, 0o700);
    assert!(dir.path().join("state/peers").is_dir());
}

/// A mount that is not there yet: an empty folder in its place would let in a peer that a manifest on the mount suspends.
#[tokio::test]
async fn a_peers_folder_that_somebody_named_is_not_made() {
    let dir = tempfile::tempdir().unwrap();
    let peers = dir.path().join("mount/peers");
    start(plain(dir.path(), &format!("[access]\npeers_dir = {peers:?}\n")), Engines::Instead(Vec::new()))
        .await
        .unwrap();
    assert!(!peers.exists());
}
