//! Ten thousand strangers with made-up codes, and one appliance with the right one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use e2e::appliance::{Appliance, Connection, Key};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::bed::{Bed, PATIENCE, until};
use crate::good::Good;
use crate::{GENEROUS, count, long, source, turn};

/// Codes presented, each by an identity and from a source of its own.
const BOGUS: usize = 1_500;
const LONG_BOGUS: usize = 10_000;
/// At one time.
const AT_ONCE: usize = 16;

/// Memory may move by this much between the first fifth of the flood and its end: allocator noise.
const NOISE_KIB: u64 = 2 * 1024;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Eight symbols, another for each n, never the code.
fn wrong(n: usize, code: &str) -> String {
    let text: String = (0..8).map(|i| char::from(ALPHABET[(n >> (5 * (i % 4))) % 32])).collect();
    if text == code { "ZZZZYYYY".to_owned() } else { text }
}

async fn stranger(bed: &Bed, key: &Key, from: usize) -> Connection {
    let appliance = Appliance::builder(key.clone()).bind(source(from)).wait(PATIENCE);
    appliance.open(bed.addr).await.unwrap().0
}

/// Whether it paired, and what was said.
async fn presents(connection: &mut Connection, code: &str) -> (bool, String) {
    let answer = connection.pair(code).await.unwrap();
    (answer["success"].as_bool().unwrap(), answer["message"].as_str().unwrap().to_owned())
}

/// Five wrong codes are looked at; the sixth is not, although it is the right one.
async fn is_limited(connections: &mut [Connection], code: &str) {
    let (last, first) = connections.split_last_mut().unwrap();
    for (n, connection) in first.iter_mut().enumerate() {
        let (success, message) = presents(connection, &wrong(n, code)).await;
        assert!(!success && message.contains("wrong pairing code"), "{n}: {message}");
    }
    let (success, message) = presents(last, code).await;
    assert!(!success && message.contains("wait"), "{message}");
    let wait: u64 = message.split(' ').find_map(|word| word.parse().ok()).unwrap();
    assert!((1..=60).contains(&wait), "{message}");
}

/// Presents codes until told to stop, and at least so many.
struct Flood {
    stop: Arc<AtomicBool>,
    presented: Arc<AtomicUsize>,
    tasks: JoinSet<()>,
}

impl Flood {
    fn begin(bed: &Bed, code: &str, first_source: usize) -> Self {
        let mut flood = Self { stop: Arc::default(), presented: Arc::default(), tasks: JoinSet::new() };
        for _ in 0..AT_ONCE {
            let (stop, presented) = (Arc::clone(&flood.stop), Arc::clone(&flood.presented));
            let (addr, code) = (bed.addr, code.to_owned());
            flood.tasks.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let n = presented.fetch_add(1, Ordering::Relaxed);
                    let from = source(first_source + n);
                    let appliance = Appliance::builder(Key::generate()).bind(from).wait(PATIENCE);
                    // An error is the window closing, or a failure of the test: `reaches` tells them apart.
                    let Ok((mut connection, _)) = appliance.open(addr).await else { return };
                    let Ok(answer) = connection.pair(&wrong(n, &code)).await else { return };
                    assert_eq!(answer["success"], false, "{n}: {answer}");
                }
            });
        }
        flood
    }

    fn presented(&self) -> usize {
        self.presented.load(Ordering::Relaxed).saturating_sub(AT_ONCE)
    }

    async fn reaches(&mut self, count: usize) {
        while self.presented() < count {
            // While the window is open every attempt is answered, and no task ends.
            let tick = tokio::time::sleep(std::time::Duration::from_millis(50));
            tokio::select! {
                ended = self.tasks.join_next() => panic!("an attempt failed: {ended:?}"),
                () = tick => {}
            }
        }
    }
}

/// The lines of one type, and how many more they say there were.
fn lines_and_suppressed(audit: &[Value], event_type: &str) -> (usize, u64) {
    let lines: Vec<_> = audit.iter().filter(|line| line["event_type"] == event_type).collect();
    let suppressed = lines.iter().filter_map(|line| line["suppressed"].as_u64()).sum();
    (lines.len(), suppressed)
}

/// A4, X9, L2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_bogus_pairings_cost_nothing_and_stop_nobody() {
    let _turn = turn().await;
    let mut bed = Bed::with(GENEROUS).await;
    let good = Good::new(&bed, "good");
    let code = bed.json(&["pair", "--ttl", "1h", "--json"])["code"].as_str().unwrap().replace('-', "");
    let began = Instant::now();

    // One source with six identities, then one identity at six sources.
    let mut six = Vec::new();
    for _ in 0..6 {
        six.push(stranger(&bed, &Key::generate(), 0).await);
    }
    is_limited(&mut six, &code).await;
    let (key, mut six) = (Key::generate(), Vec::new());
    for n in 1..=6 {
        six.push(stranger(&bed, &key, n).await);
    }
    is_limited(&mut six, &code).await;
    drop(six);
    assert_eq!(bed.status()["pairing"]["wrong"], 10);

    let bogus = if long() { LONG_BOGUS } else { BOGUS };
    let mut flood = Flood::begin(&bed, &code, 10);
    flood.reaches(bogus / 5).await;
    let early = bed.daemon.vitals().rss_kib().unwrap();
    let ((), served) = good.is_served_during(flood.reaches(bogus)).await;
    assert!(served >= 3, "{served}");
    let late = bed.daemon.vitals().rss_kib().unwrap();
    assert!(late <= early + NOISE_KIB, "{early} KiB after {}, {late} KiB after {bogus}", bogus / 5);

    // A hundred were looked at, and then one in 10 s.
    let pairing = bed.status()["pairing"].clone();
    let wrong = pairing["wrong"].as_u64().unwrap();
    let slow = began.elapsed().as_secs() / 10 + 1;
    assert!((100..=100 + slow).contains(&wrong), "{pairing} after {:?}", began.elapsed());
    assert!(pairing["slowed_since"].is_string(), "{pairing}");
    let top = pairing["top_sources"].as_array().unwrap();
    assert_eq!((top.len(), &top[0]), (5, &serde_json::json!([source(0).to_string(), 5])), "{pairing}");
    assert_eq!(bed.path("peers").read_dir().unwrap().count(), 1, "no object but the good peer's");

    // The right code gets its turn while the flood goes on.
    let winner = Key::generate();
    let before = flood.presented();
    let mut connection = Appliance::builder(winner.clone()).wait(PATIENCE).open(bed.addr).await.unwrap().0;
    let asked = Instant::now();
    let message = loop {
        let (success, message) = presents(&mut connection, &code).await;
        if success {
            break message;
        }
        assert!(message.contains("wait") && asked.elapsed() < 4 * PATIENCE, "{message}");
    };
    flood.stop.store(true, Ordering::Relaxed);
    assert_eq!(message, "paired");
    assert!(flood.presented() > before, "the flood goes on meanwhile");
    connection.status().await.unwrap();
    flood.tasks.join_all().await;
    assert_eq!(bed.path("peers").read_dir().unwrap().count(), 2);
    assert!(bed.status()["pairing"].is_null());

    // Every single one is counted; few are written, and those say how many were not.
    let counted = async |result: &str| {
        count(&bed, &format!("reflector_pairing_attempts_total{{result=\"{result}\"}}")).await
    };
    let (checked, limited) = (counted("wrong_code").await, counted("limited").await);
    assert!(checked + limited >= bogus, "{checked} + {limited}");
    assert_eq!(counted("paired").await, 1);
    let open = || (bed.status()["connections"] == 1).then_some(());
    until(open, "the strangers to be gone").await;
    drop(connection);
    bed.daemon.sigterm().unwrap();
    assert_eq!(bed.daemon.wait(PATIENCE).await.unwrap().code(), Some(0));
    let audit = bed.audit();
    let (lines, suppressed) = lines_and_suppressed(&audit, "connection_denied");
    let minutes = usize::try_from(began.elapsed().as_secs() / 60 + 1).unwrap();
    assert!((10..=100 * minutes + 1).contains(&lines), "{lines} lines in {minutes} minutes");
    assert!(lines as u64 + suppressed >= (checked + limited) as u64, "{lines} + {suppressed}");
    let paired: Vec<_> = audit.iter().filter(|line| line["event_type"] == "peer_paired").collect();
    assert_eq!(paired.len(), 1);
    assert_eq!(paired[0]["peer_id"], winner.endpoint_id().as_str());
    assert!(bed.cli(&["audit", "verify"]).status.success());
}
