//! Sessions with the real engine, on a ledger that is on a disk, and stock iperf3 beside them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crds::EndpointId;
use reflector::access::policy::{Policy, Quotas};
use reflector::config::NetworkMode;
use reflector::engine::Engine;
use reflector::engine::door::Doors;
use reflector::engine::site::Site;
use reflector::engine::throughput::Throughput;
use reflector::engine::tunnel::Tunnels;
use reflector::ledger::Ledger;
use reflector::link::features::Features;
use reflector::link::message::{Protocol, SessionParams, TestType};
use reflector::metrics::{Metrics, PerPeer};
use reflector::reason::EndReason;
use reflector::session::{
    Denial, Granted, Observer, Parts, Peer, Requester, Routes, SessionRecord, Sessions, Ticket,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;

/// Long enough for a busy machine; nothing is asserted about it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Counts what the daemon counts.
struct Counting(Metrics);

impl Observer for Counting {
    fn granted(&self, _: &SessionRecord) {}
    fn denied(&self, _: &Denial<'_>) {}
    fn ended(&self, record: &SessionRecord) {
        self.0.session_ended(record.plan.test_type, record.reason(), record.duration(), record.bytes);
    }
}

/// A reflector without its control port.
pub(crate) struct House {
    pub(crate) sessions: Sessions,
    pub(crate) ledger: Ledger,
    pub(crate) engine: Throughput,
    pub(crate) policy: Policy,
    metrics: Metrics,
    /// Ends that should be counted by now.
    ends: Mutex<HashMap<EndReason, u64>>,
    _folder: TempDir,
}

/// What a session is asked for.
#[derive(Clone, Copy)]
pub(crate) struct Ask {
    pub(crate) seconds: u64,
    pub(crate) protocol: Protocol,
    pub(crate) streams: u32,
    pub(crate) local: IpAddr,
    pub(crate) source: IpAddr,
}

impl Ask {
    pub(crate) const TCP: Self = Self {
        seconds: 10,
        protocol: Protocol::Tcp,
        streams: 4,
        local: IpAddr::V4(Ipv4Addr::LOCALHOST),
        source: IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    pub(crate) const UDP: Self = Self { protocol: Protocol::Udp, ..Self::TCP };
}

impl House {
    pub(crate) fn new() -> Self {
        Self::with(|_| ())
    }

    /// Room for one test: the next is granted only when nothing is left of the last.
    pub(crate) fn for_one() -> Self {
        Self::with(|policy| policy.total_concurrent_tests = 1)
    }

    pub(crate) fn with(change: impl FnOnce(&mut Policy)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock: reflector::ledger::Clock = Arc::new(reflector::clock::now);
        let ledger = Ledger::open(&folder.path().join("ledger.redb"), clock.clone()).unwrap();
        let engine = Throughput::new(Site {
            control_port: 9,
            data_ports: None,
            doors: Doors::default(),
            tunnels: Tunnels::default(),
        });
        let metrics = Metrics::new(PerPeer::Hidden);
        let sessions = Sessions::new(Parts {
            ledger: ledger.clone(),
            engines: vec![Arc::new(engine.clone()) as Arc<dyn Engine>],
            observer: Arc::new(Counting(metrics.clone())),
            clock,
            windows: Arc::new(|_, _| None),
            routes: Routes { mode: NetworkMode::Auto, data_ports: true, plain_on_control_port: true },
        });
        let mut policy = Policy {
            peer: Arc::from("attic"),
            display_name: None,
            quotas: Quotas {
                max_test_duration: Duration::from_secs(60),
                max_concurrent_tests: 8,
                tests_per_hour: 100_000,
                bytes_per_day: None,
                bytes_per_day_on_loopback: None,
                cooldown: Duration::ZERO,
                allow_throughput: true,
                allow_udp_echo: true,
                default_streams: 4,
                max_streams: 16,
                max_echo_pps: 10_000,
                max_rate: None,
            },
            total_concurrent_tests: 8,
            windows: Arc::from([]),
            expires_at: None,
            reflector_suspended: false,
        };
        change(&mut policy);
        Self { sessions, ledger, engine, policy, metrics, ends: Mutex::default(), _folder: folder }
    }

    /// One more session has ended for this reason. Every reason must be in the metrics as often as it was named here.
    pub(crate) fn counts(&self, reason: EndReason, what: &str) {
        let mut ends = self.ends.lock().unwrap();
        *ends.entry(reason).or_default() += 1;
        let text = self.metrics.render().unwrap();
        for reason in EndReason::ALL {
            let series = format!("reflector_sessions_total{{end_reason=\"{reason}\",type=\"throughput\"}} ");
            let counted = text.lines().find_map(|line| line.strip_prefix(&series)).unwrap();
            assert_eq!(counted, ends.get(reason).unwrap_or(&0).to_string(), "{what}: {reason}\n{text}");
        }
    }

    pub(crate) async fn grant(&self, ask: Ask) -> Granted {
        let from = Requester::new(Peer {
            id: peer(),
            source: ask.source,
            local: ask.local,
            features: Features::NONE,
            silence: Arc::new(|| Duration::ZERO),
        });
        let params = SessionParams {
            duration_sec: ask.seconds,
            protocol: Some(ask.protocol),
            streams: Some(ask.streams),
            reverse: None,
            mode: None,
        };
        let ticket = Ticket::new(|_, _, _| Ok::<(), std::convert::Infallible>(())).unwrap();
        let policy = Arc::new(self.policy.clone());
        self.sessions.request(&from, ticket, &policy, TestType::Throughput, &params).await.unwrap()
    }

    /// Stops whatever runs; how many that were.
    pub(crate) fn stop(&self, reason: EndReason) -> usize {
        let running = self.sessions.active(None);
        running.iter().map(|session| self.sessions.stop_connection(session.connection, reason)).sum()
    }

    /// Grants, runs stock iperf3, waits for both.
    pub(crate) async fn iperf3(&self, ask: Ask, args: &[&str]) -> (Output, SessionRecord) {
        let granted = self.grant(ask).await;
        let output = client(ask.local, granted.grant.port, args).await;
        (output, end_of(granted).await)
    }
}

pub(crate) fn peer() -> EndpointId {
    EndpointId::from_public_key([2; 32])
}

/// The end of a session in a house with room for one: its reason, in the record and in the metrics, its port closed and its
/// slot free.
pub(crate) async fn ended(house: &House, granted: Granted, reason: EndReason, what: &str) {
    let port = granted.grant.port;
    assert_eq!(end_of(granted).await.reason(), reason, "{what}");
    house.counts(reason, what);
    assert!(TcpStream::connect((Ask::TCP.local, port)).await.is_err(), "{what}: the port is closed");
    let next = house.grant(Ask::TCP).await;
    house.stop(EndReason::ClientTerminated);
    end_of(next).await;
    house.counts(EndReason::ClientTerminated, what);
}

pub(crate) async fn end_of(granted: Granted) -> SessionRecord {
    tokio::time::timeout(PATIENCE, granted.ended).await.expect("the session ends").expect("with a record")
}

/// What iperf3 wrote.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) json: Value,
    pub(crate) code: Option<i32>,
}

impl Output {
    /// A complete result: no error, and a sum of what was received.
    pub(crate) fn is_complete(&self) -> bool {
        self.code == Some(0)
            && self.json.get("error").is_none()
            && (!self.end("sum_received").is_null() || !self.end("sum").is_null())
    }

    pub(crate) fn end(&self, key: &str) -> &Value {
        &self.json["end"][key]
    }

    pub(crate) fn error(&self) -> &str {
        self.json["error"].as_str().unwrap_or_default()
    }

    pub(crate) fn bytes(&self, key: &str) -> u64 {
        number(&self.end(key)["bytes"])
    }
}

pub(crate) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no count"))
}

/// Runs the iperf3 of this machine as a client with `-J`. Killed when dropped.
pub(crate) async fn client(server: IpAddr, port: u16, args: &[&str]) -> Output {
    let mut command = tokio::process::Command::new("iperf3");
    command.arg("-c").arg(server.to_string()).arg("-p").arg(port.to_string()).arg("-J").args(args);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await.expect("iperf3 ends").unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let json = serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr)));
    Output { json, code: output.status.code() }
}

/// Whether stock iperf3 can run here. Said aloud when not, and an error in CI.
pub(crate) fn has_iperf3() -> bool {
    let found = std::process::Command::new("iperf3").arg("--version").output().is_ok();
    if !found {
        e2e::skipping::skip_test("iperf3 (Debian package iperf3)");
    }
    found
}

/// Waits for something that another task or thread brings about.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("in vain: {what}"));
}
