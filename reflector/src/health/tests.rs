use std::net::{IpAddr, Ipv4Addr};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::serve::Listener;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;

use super::crowd::MAX_CONNECTIONS;
use super::listener::{MAX_BYTES, MAX_LIFE};
use super::*;
use crate::metrics::PerPeer;

const PATIENCE: Duration = Duration::from_secs(20);

type Break = fn(&mut Snapshot);

/// A daemon whose state a test sets.
struct Fake {
    now: Mutex<Snapshot>,
    hangs: AtomicBool,
}

impl HealthSource for Fake {
    fn snapshot(&self) -> Snapshot {
        self.now.lock().unwrap().clone()
    }

    fn ping(&self) -> BoxFuture<()> {
        if self.hangs.load(Ordering::SeqCst) { Box::pin(std::future::pending()) } else { Box::pin(async {}) }
    }

    fn before_scrape(&self, metrics: &Metrics) {
        metrics.policy_broken_objects(77);
    }
}

struct Served {
    address: SocketAddr,
    fake: Arc<Fake>,
    metrics: Metrics,
    cancel: CancellationToken,
    task: JoinHandle<std::io::Result<()>>,
}

async fn served(access: MetricsAccess) -> Served {
    let snapshot = Snapshot {
        identity_loaded: true,
        listener_up: true,
        policy: Policy::Current,
        uptime_sec: 321,
        problems: Vec::new(),
    };
    let fake = Arc::new(Fake { now: Mutex::new(snapshot), hangs: AtomicBool::new(false) });
    let metrics = Metrics::new(PerPeer::Hidden);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let cancel = CancellationToken::new();
    let task = tokio::spawn(serve(listener, fake.clone(), metrics.clone(), access, cancel.clone()));
    Served { address, fake, metrics, cancel, task }
}

impl Served {
    fn set(&self, change: impl FnOnce(&mut Snapshot)) {
        change(&mut self.fake.now.lock().unwrap());
    }

    /// Status and body of a GET.
    async fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        tokio::time::timeout(PATIENCE, stream.read_to_string(&mut text)).await.unwrap().unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }
}

/// Reads until the other side ends the connection, by whatever means.
async fn ended(stream: &mut TcpStream) {
    let mut buffer = [0; 1024];
    while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
}

async fn connect_from(number: u8, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((IpAddr::V4(Ipv4Addr::new(127, 0, 0, number)), 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

/// H2
#[tokio::test]
async fn health_says_status_version_load_and_uptime() {
    let served = served(MetricsAccess::Local).await;
    let (status, body) = served.get("/health").await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["status"], &body["uptime_sec"]), (200, &"ok".into(), &321.into()));
    assert_eq!(body["version"], env!("CARGO_PKG_VERSION"));
    assert!(body["load"].as_f64().is_some() && body.get("problems").is_none(), "{body}");
}

/// H2
#[tokio::test]
async fn health_is_degraded_when_a_part_is_down() {
    let served = served(MetricsAccess::Local).await;
    served.set(|now| {
        now.listener_up = false;
        now.problems = vec!["the audit log cannot be written: free space".to_owned()];
    });
    let (status, body) = served.get("/health").await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["status"]), (200, &"degraded".into()));
    assert_eq!(body["problems"][0], "listener not up");
    assert_eq!(body["problems"][1], "the audit log cannot be written: free space");
}

/// H1
#[tokio::test]
async fn not_ready_without_identity_listener_or_policy() {
    let served = served(MetricsAccess::Local).await;
    assert_eq!(served.get("/readyz").await, (200, "ready\n".to_owned()));
    served.set(|now| now.problems = vec!["advice".to_owned()]);
    assert_eq!(served.get("/readyz").await.0, 200, "a problem beside serving is no reason");
    let parts: [(Break, &str); 4] = [
        (|now| now.identity_loaded = false, "not ready: identity not loaded\n"),
        (|now| now.listener_up = false, "not ready: listener not up\n"),
        (|now| now.policy = Policy::NotLoaded, "not ready: no policy loaded\n"),
        (|now| now.policy = Policy::Old, "not ready: policy not current\n"),
    ];
    let whole = served.fake.snapshot();
    for (part, says) in parts {
        served.set(part);
        assert_eq!(served.get("/readyz").await, (503, says.to_owned()));
        assert_eq!(served.get("/livez").await.0, 200, "not ready is not dead");
        served.set(|now| *now = whole.clone());
    }
}

/// H1
#[tokio::test]
async fn a_core_task_that_hangs_fails_livez_and_nothing_else() {
    let served = served(MetricsAccess::Local).await;
    assert_eq!(served.get("/livez").await, (200, "alive\n".to_owned()));
    served.fake.hangs.store(true, Ordering::SeqCst);
    assert_eq!(served.get("/livez").await.0, 503);
    assert_eq!(served.get("/readyz").await.0, 200);
    assert_eq!(served.get("/health").await.0, 200);
    served.fake.hangs.store(false, Ordering::SeqCst);
    assert_eq!(served.get("/livez").await.0, 200);
}

/// H3
#[tokio::test]
async fn metrics_are_fresh_when_they_are_read() {
    let served = served(MetricsAccess::Local).await;
    let (status, body) = served.get("/metrics").await;
    assert!(status == 200 && body.contains("reflector_policy_broken_objects 77\n"), "{body}");
}

/// H3: the handler's own decision, with sources a loopback test cannot have.
#[tokio::test]
async fn metrics_answer_private_sources_only_unless_configured() {
    let served = served(MetricsAccess::Local).await;
    let ask = async |access, source: &str| {
        let state = Health { source: served.fake.clone(), metrics: served.metrics.clone(), access };
        let from = SocketAddr::new(source.parse().unwrap(), 1);
        scrape(State(state), ConnectInfo(Peer(from))).await.status().as_u16()
    };
    for local in ["127.0.0.1", "10.1.2.3", "::ffff:192.168.1.1", "fe80::1", "fd00::1"] {
        assert_eq!(ask(MetricsAccess::Local, local).await, 200, "{local}");
    }
    for foreign in ["198.51.100.4", "2001:db8::1", "::ffff:198.51.100.4", "100.64.0.1"] {
        assert_eq!(ask(MetricsAccess::Local, foreign).await, 403, "{foreign}");
        assert_eq!(ask(MetricsAccess::Public, foreign).await, 200, "{foreign}");
    }
}

#[tokio::test]
async fn anything_else_is_told_where_to_look() {
    let served = served(MetricsAccess::Local).await;
    let (status, body) = served.get("/").await;
    assert!(status == 404 && body.contains("/health"), "{body}");
}

#[tokio::test]
async fn nothing_can_be_posted() {
    let served = served(MetricsAccess::Local).await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream
        .write_all(b"POST /health HTTP/1.1\r\nhost: test\r\ncontent-length: 9999999\r\n\r\n")
        .await
        .unwrap();
    let mut answer = [0; 12];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 405");
}

/// The clock is paused: the connection ends when its time is over, not earlier and not later.
#[tokio::test]
async fn a_slow_header_ends_with_the_connection() {
    let served = served(MetricsAccess::Local).await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nx: ").await.unwrap();
    served.get("/livez").await;
    tokio::time::pause();
    let started = tokio::time::Instant::now();
    tokio::time::timeout(MAX_LIFE * 3, ended(&mut stream)).await.expect("the connection ends");
    let lasted = started.elapsed();
    assert!(lasted <= MAX_LIFE + Duration::from_secs(1) && lasted > MAX_LIFE / 2, "{lasted:?}");
}

/// Counted where the bytes are read: what a client could send says only how large the kernel's buffers are.
#[tokio::test]
async fn an_endless_header_ends_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut bounded = BoundedListener::new(listener, Metrics::new(PerPeer::Hidden), CancellationToken::new());
    let mut client = TcpStream::connect(address).await.unwrap();
    let flood = tokio::spawn(async move { while client.write_all(&[b'x'; 1024]).await.is_ok() {} });
    let (mut stream, _) = bounded.accept().await;
    let mut buffer = vec![0; 5000];
    let mut read = 0;
    let result = loop {
        match tokio::time::timeout(MAX_LIFE / 2, stream.read(&mut buffer)).await.unwrap() {
            Ok(some) => read += some,
            Err(error) => break error,
        }
    };
    assert_eq!((read, result.kind()), (MAX_BYTES, std::io::ErrorKind::TimedOut));
    drop(stream);
    tokio::time::timeout(PATIENCE, flood).await.unwrap().unwrap();
}

/// A stranger with hundreds of silent connections: the kubelet's own stays, new ones are answered, the stranger's are
/// closed and counted.
#[tokio::test]
async fn a_full_port_throws_out_whoever_filled_it() {
    const MANY: usize = 300;
    let served = served(MetricsAccess::Local).await;
    let mut kubelet = connect_from(9, served.address).await;
    let mut strangers = Vec::new();
    for _ in 0..MANY {
        strangers.push(connect_from(8, served.address).await);
    }
    assert_eq!(served.get("/livez").await.0, 200);
    kubelet.write_all(b"GET /livez HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    let mut answer = [0; 12];
    tokio::time::timeout(PATIENCE, kubelet.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    let dropped = MANY + 2 - MAX_CONNECTIONS;
    for stranger in strangers.iter_mut().take(dropped - 1) {
        tokio::time::timeout(MAX_LIFE / 2, ended(stranger)).await.expect("thrown out before its time");
    }
    let text = served.metrics.render().unwrap();
    assert!(text.contains(&format!("reflector_health_connections_dropped_total {dropped}\n")), "{text}");
}

#[tokio::test]
async fn cancel_ends_the_server_and_its_connections() {
    let served = served(MetricsAccess::Local).await;
    let mut slow = TcpStream::connect(served.address).await.unwrap();
    slow.write_all(b"GET /health HTTP/1.1\r\nx: ").await.unwrap();
    served.get("/livez").await;
    served.cancel.cancel();
    tokio::time::timeout(MAX_LIFE / 2, ended(&mut slow)).await.expect("not only when its time is over");
    tokio::time::timeout(PATIENCE, served.task).await.unwrap().unwrap().unwrap();
}
