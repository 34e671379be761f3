//! Sessions with a puppet for an engine: the test says what it does, ports are real, nothing moves by itself.

use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crds::EndpointId;
use jiff::Timestamp;
use tokio::sync::Notify;

use super::*;
use crate::access::policy::{Policy, Quotas};
use crate::clock::Now;
use crate::config::NetworkMode;
use crate::engine::{BoxFuture, Ended, Engine, Prepare, PrepareError, Prepared};
use crate::ledger::{Clock, Ledger};
use crate::link::features::{Feature, Features};
use crate::link::message::{Mode, Protocol, SessionParams, TestType};
use crate::reason::{DenyReason, EndReason};

mod admission_rules;
mod lifecycle;
mod metered_streams;
mod resting;
mod stopping;

/// Noon of some UTC day, in milliseconds.
const NOON: i64 = 86_400_000 * 20_000 + 43_200_000;
const PATIENCE: Duration = Duration::from_secs(10);

fn peer(n: u8) -> EndpointId {
    EndpointId::from_public_key([n; 32])
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Limits in which no two fields share a value; tests change one at a time.
fn policy() -> Policy {
    Policy {
        peer: Arc::from("living-room"),
        display_name: None,
        quotas: Quotas {
            max_test_duration: seconds(60),
            max_concurrent_tests: 1,
            tests_per_hour: 10,
            bytes_per_day: Some(5_000),
            bytes_per_day_on_loopback: None,
            cooldown: seconds(5),
            allow_throughput: true,
            allow_udp_echo: true,
            default_streams: 4,
            max_streams: 8,
            max_echo_pps: 9_000,
            max_rate: None,
        },
        total_concurrent_tests: 2,
        windows: Arc::from([]),
        expires_at: None,
        reflector_suspended: false,
    }
}

fn with(change: impl FnOnce(&mut Policy)) -> Arc<Policy> {
    let mut policy = policy();
    change(&mut policy);
    Arc::new(policy)
}

fn ask(duration_sec: u64, reverse: bool) -> SessionParams {
    SessionParams {
        duration_sec,
        protocol: Some(Protocol::Tcp),
        streams: Some(3),
        reverse: Some(reverse),
        mode: None,
    }
}

/// What the puppet does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Act {
    #[default]
    Obey,
    IgnoreStop,
    PanicInRun,
    PanicInPrepare,
    Exhausted,
    Unsupported,
    HangInPrepare,
    WaitInPrepare,
}

/// The engine's side of one session, in the test's hands.
#[derive(Clone)]
struct Strings {
    control: SessionControl,
    cut: Arc<Notify>,
    reason: Arc<Mutex<EndReason>>,
}

impl Strings {
    fn end(&self, reason: EndReason) {
        *self.reason.lock().unwrap() = reason;
        self.cut.notify_one();
    }
}

#[derive(Default)]
struct Puppet {
    act: Mutex<Act>,
    strings: Arc<Mutex<Vec<Strings>>>,
    ports: Arc<Mutex<Vec<u16>>>,
    /// Opens `WaitInPrepare`.
    gate: Arc<Notify>,
}

struct Stage {
    listener: TcpListener,
    act: Act,
    strings: Arc<Mutex<Vec<Strings>>>,
    ports: Arc<Mutex<Vec<u16>>>,
}

impl Engine for Puppet {
    fn test_type(&self) -> TestType {
        TestType::Throughput
    }

    fn prepare(&self, what: Prepare) -> BoxFuture<Result<Box<dyn Prepared>, PrepareError>> {
        let act = *self.act.lock().unwrap();
        let (strings, ports) = (Arc::clone(&self.strings), Arc::clone(&self.ports));
        let gate = Arc::clone(&self.gate);
        Box::pin(async move {
            match act {
                Act::WaitInPrepare => gate.notified().await,
                Act::PanicInPrepare => panic!("as the test asked"),
                Act::Exhausted => return Err(PrepareError::Exhausted("no port is free".to_owned())),
                Act::Unsupported => return Err(PrepareError::Unsupported("only IPv4 here".to_owned())),
                Act::HangInPrepare => std::future::pending().await,
                Act::Obey | Act::IgnoreStop | Act::PanicInRun => {}
            }
            let listener = TcpListener::bind((what.local_addr, 0)).unwrap();
            ports.lock().unwrap().push(listener.local_addr().unwrap().port());
            Ok(Box::new(Stage { listener, act, strings, ports }) as Box<dyn Prepared>)
        })
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let port = self.port();
        self.ports.lock().unwrap().retain(|open| *open != port);
    }
}

impl Prepared for Stage {
    fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    fn mode(&self) -> Mode {
        Mode::DirectEphemeral
    }

    fn run(self: Box<Self>, control: SessionControl) -> BoxFuture<Ended> {
        assert!(self.act != Act::PanicInRun, "as the test asked");
        let (cut, reason) = (Arc::new(Notify::new()), Arc::new(Mutex::new(EndReason::Completed)));
        let strings =
            Strings { control: control.clone(), cut: Arc::clone(&cut), reason: Arc::clone(&reason) };
        self.strings.lock().unwrap().push(strings);
        Box::pin(async move {
            let ignores = self.act == Act::IgnoreStop;
            tokio::select! {
                () = cut.notified() => {}
                () = control.stopped(), if !ignores => {}
            }
            let reason = *reason.lock().unwrap();
            Ended::plain(reason, Duration::from_millis(1234))
        })
    }
}

/// Writes down what it is told.
#[derive(Default)]
struct Diary {
    granted: Mutex<Vec<SessionRecord>>,
    denied: Mutex<Vec<Denied>>,
    ended: Mutex<Vec<SessionRecord>>,
    refuses: std::sync::atomic::AtomicBool,
}

impl Observer for Diary {
    fn granted(&self, record: &SessionRecord) {
        self.granted.lock().unwrap().push(record.clone());
    }
    fn denied(&self, denial: &Denial<'_>) {
        self.denied.lock().unwrap().push(denial.denied.clone());
    }
    fn ended(&self, record: &SessionRecord) {
        self.ended.lock().unwrap().push(record.clone());
    }
    fn refuses(&self) -> bool {
        self.refuses.load(Ordering::SeqCst)
    }
}

/// Everything around sessions, in memory and one temporary folder.
struct Bench {
    sessions: Sessions,
    ledger: Ledger,
    puppet: Arc<Puppet>,
    diary: Arc<Diary>,
    now: Arc<Mutex<Now>>,
    silence_ms: Arc<AtomicU64>,
    closed_until: Arc<Mutex<Option<Timestamp>>>,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self::on(|clock, folder| Ledger::open(&folder.join("ledger.redb"), clock).unwrap())
    }

    fn on(ledger: impl FnOnce(Clock, &Path) -> Ledger) -> Self {
        let now = Arc::new(Mutex::new(Now {
            mono_ms: 1_000,
            wall: Timestamp::from_millisecond(NOON + 321).unwrap(),
        }));
        let hand = Arc::clone(&now);
        let clock: Clock = Arc::new(move || *hand.lock().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let ledger = ledger(Arc::clone(&clock), folder.path());
        let (puppet, diary) = (Arc::<Puppet>::default(), Arc::<Diary>::default());
        let closed_until = Arc::new(Mutex::new(None));
        let windows = Arc::clone(&closed_until);
        let sessions = Sessions::new(Parts {
            ledger: ledger.clone(),
            engines: vec![Arc::clone(&puppet) as Arc<dyn Engine>],
            observer: Arc::clone(&diary) as Arc<dyn Observer>,
            clock,
            routes: Routes { mode: NetworkMode::Auto, data_ports: true, plain_on_control_port: true },
            windows: Arc::new(move |policy, _| match policy.display_name.as_deref() {
                Some("closed") => Timestamp::from_millisecond(NOON + 60_000).ok(),
                _ => *windows.lock().unwrap(),
            }),
        });
        Self { sessions, ledger, puppet, diary, now, silence_ms: Arc::default(), closed_until, folder }
    }

    fn connect(&self, n: u8) -> Requester {
        let silence = Arc::clone(&self.silence_ms);
        Requester::new(Peer {
            id: peer(n),
            source: IpAddr::V4(Ipv4Addr::new(192, 0, 2, n)),
            local: IpAddr::V4(Ipv4Addr::LOCALHOST),
            features: Features::NONE,
            silence: Arc::new(move || Duration::from_millis(silence.load(Ordering::SeqCst))),
        })
    }

    /// Lets ledger time pass.
    fn pass(&self, time: Duration) {
        let mut now = self.now.lock().unwrap();
        now.mono_ms += u64::try_from(time.as_millis()).unwrap();
        now.wall = now.wall.checked_add(time).unwrap();
    }

    async fn up(&self, from: &Requester, policy: &Arc<Policy>) -> Result<Granted, Denied> {
        self.sessions.request(from, ticket(), policy, TestType::Throughput, &ask(10, false)).await
    }

    async fn down(&self, from: &Requester, policy: &Arc<Policy>) -> Result<Granted, Denied> {
        self.sessions.request(from, ticket(), policy, TestType::Throughput, &ask(10, true)).await
    }

    /// Stops what the connections of a peer run.
    fn stop(&self, n: u8, reason: EndReason) -> usize {
        let running = self.sessions.active(Some(&peer(n)));
        running.iter().map(|session| self.sessions.stop_connection(session.connection, reason)).sum()
    }

    /// The engine's side of the newest session, once it runs.
    async fn strings(&self, granted: &Granted) -> Strings {
        let find = || {
            let strings = self.puppet.strings.lock().unwrap();
            strings.iter().find(|one| one.control.test_id() == granted.grant.test_id).cloned()
        };
        until("the engine runs", || find().is_some()).await;
        find().unwrap()
    }

    /// Lets the engine end by itself and waits for the record.
    async fn complete(&self, granted: Granted) -> SessionRecord {
        self.strings(&granted).await.end(EndReason::Completed);
        end_of(granted).await
    }

    fn act(&self, act: Act) {
        *self.puppet.act.lock().unwrap() = act;
    }

    /// As if nobody had ever asked.
    fn assert_untouched(&self, n: u8) {
        let now = self.ledger.moment();
        let book = self.ledger.account(peer(n)).snapshot(now);
        assert_eq!((book.grants.len(), book.day.map_or(0, |day| day.tests)), (0, 0));
        assert_eq!(book.last_end, None);
        assert!(self.sessions.active(None).is_empty());
        assert!(self.puppet.ports.lock().unwrap().is_empty(), "a port stayed open");
        assert!(self.diary.granted.lock().unwrap().is_empty());
    }
}

async fn end_of(granted: Granted) -> SessionRecord {
    tokio::time::timeout(PATIENCE, granted.ended).await.expect("the session ends").expect("with a record")
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let mut tick = tokio::time::interval(Duration::from_millis(2));
    let wait = async {
        while !condition() {
            tick.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("in vain: {what}"));
}

/// A session's name and keys; who tests sessions has no TLS connection to ask.
fn ticket() -> Ticket {
    Ticket::new(|_, _, _| Ok::<(), std::convert::Infallible>(())).unwrap()
}
