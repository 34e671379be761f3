//! `kill -9` in the middle of sessions, again and again: what the ledger, the audit log, the identity and an open pairing
//! window are after each restart.
//!
//! A download that ends by the server's death is read to the end, so the client's count is what the server wrote. An
//! upload's count is what the kernel took from the client, which is at least what the server read. So the ledger may
//! never be above the client's count. Below it may be by one flush interval: 1 s of traffic, and what the machine
//! itself stood still meanwhile, which a thread that syncs a file of its own measures.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic, reason = "a test")]

#[path = "support/bed.rs"]
#[allow(dead_code, reason = "shared by all tests of the whole program")]
mod bed;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{Seek, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use e2e::appliance::data::{Limits, Target, transfer};
use e2e::appliance::{Appliance, Direction, Key, Test};
use serde_json::Value;

use bed::Bed;

/// What a kill may cost.
const PROMISE: Duration = Duration::from_secs(1);

/// Reflectors that are killed side by side, and how often each: 200 sessions in the long mode.
const BEDS: usize = 4;
const KILLS: usize = 4;
const LONG_KILLS: usize = 50;

/// When in its life a session is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// The grant has arrived, nothing else happened.
    Granted,
    /// Bytes flow.
    Running,
    /// The last byte has been sent or received.
    Ending,
}

/// Numbers that can be had again: the seed is printed.
struct Chance(u64);

impl Chance {
    fn new(n: usize) -> Self {
        let seed = std::env::var("REFLECTOR_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed: u64 = seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
        println!("bed {n}: REFLECTOR_TEST_SEED={seed}");
        Self(seed.wrapping_add(n as u64))
    }

    /// Below `bound` (splitmix64).
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// How long the machine kept a thread and its disk waiting, and when.
struct Stalls(Arc<Mutex<Vec<(Instant, Duration)>>>);

impl Stalls {
    fn measure(file: PathBuf) -> Self {
        let seen = Arc::<Mutex<Vec<_>>>::default();
        let weak: Weak<Mutex<Vec<_>>> = Arc::downgrade(&seen);
        std::thread::spawn(move || {
            let mut file = std::fs::File::create(file).unwrap();
            while let Some(seen) = weak.upgrade() {
                let began = Instant::now();
                std::thread::sleep(Duration::from_millis(50));
                let _ = file.rewind().and_then(|()| file.write_all(b"x")).and_then(|()| file.sync_data());
                let stood = began.elapsed().saturating_sub(Duration::from_millis(50));
                seen.lock().unwrap().push((Instant::now(), stood));
            }
        });
        Self(seen)
    }

    /// In the last `span` up to now.
    fn during(&self, span: Duration) -> Duration {
        let seen = self.0.lock().unwrap();
        seen.iter().filter(|(at, _)| at.elapsed() <= span).map(|(_, stood)| *stood).sum()
    }
}

/// A day that ends in the middle would reset what is compared: whoever comes just before midnight waits for it.
async fn well_before_midnight() {
    let left = 86_400 - jiff::Timestamp::now().as_second().rem_euclid(86_400);
    if left < 120 {
        tokio::time::sleep(Duration::from_secs(u64::try_from(left).unwrap() + 1)).await;
    }
}

/// One reflector, its peer, and what must be on its disk.
struct Life {
    bed: Bed,
    key: Key,
    chance: Chance,
    /// Bytes a second the reflector sends and takes.
    pace: u64,
    stalls: Stalls,
    kept: u64,
    granted: u64,
}

impl Life {
    async fn begin(n: usize, kills: usize) -> Self {
        let mut chance = Chance::new(n);
        let pace = 1_000_000 + chance.below(20_000_000);
        let bed = Bed::launch("", &[("REFLECTOR_TESTBED_PACE", &pace.to_string())]).await;
        let key = Key::generate();
        let quotas = format!(
            "  quotas: {{ cooldown: 0s, testsPerHour: {kills}, bytesPerDay: 100G, maxTestDuration: 60s }}\n"
        );
        bed.write_peer(&key, "attic", &quotas);
        bed::until(|| (bed.status()["policy"]["authorized"] == 1).then_some(()), "the peer").await;
        let stalls = Stalls::measure(bed.path("stalls"));
        Self { bed, key, chance, pace, stalls, kept: 0, granted: 0 }
    }

    /// One session and its violent end; then everything that must have survived.
    async fn kill_once(&mut self) {
        let moment = match self.chance.below(5) {
            0 => Moment::Granted,
            1 => Moment::Ending,
            _ => Moment::Running,
        };
        let download = self.chance.below(2) == 1;
        let wait = Duration::from_millis(match moment {
            Moment::Granted => 0,
            Moment::Running => self.chance.below(2_500),
            Moment::Ending => self.chance.below(60),
        });
        // An upload is slower than the reflector takes it, so that nothing waits in the kernel, and ends by itself; a
        // download is as fast as the reflector sends, and ends when its second is over.
        let ending = matches!(moment, Moment::Ending);
        let rate = self.pace / 4 + self.chance.below(self.pace / 2);
        let (test, direction, limits) = if download {
            let seconds = if ending { 1 } else { 60 };
            (Test::throughput(seconds).download(), Direction::Download, Limits::default())
        } else {
            let limits = Limits { bytes: ending.then_some(rate / 2), time: None, rate: Some(rate) };
            (Test::throughput(60), Direction::Upload, limits)
        };
        let story = format!("{moment:?} {test:?} {limits:?}, killed after {wait:?}");

        let appliance = Appliance::builder(self.key.clone());
        let (mut control, _) = appliance.open(self.bed.addr).await.unwrap();
        let grant = control.request(&test).await.unwrap().granted().unwrap();
        self.granted += 1;
        let mut said: Vec<(Instant, u64)> = Vec::new();
        let mut moved = 0;
        if matches!(moment, Moment::Granted) {
            self.bed.daemon.kill_9().await.unwrap();
        } else {
            let data = transfer(&Target::from(&grant), direction, limits);
            let look = async |said: &mut Vec<(Instant, u64)>| {
                said.push((Instant::now(), data.bytes()));
                tokio::time::sleep(Duration::from_millis(5)).await;
            };
            while ending && !data.is_finished() {
                look(&mut said).await;
            }
            let until = Instant::now() + wait;
            while Instant::now() < until {
                look(&mut said).await;
            }
            let killed = Instant::now();
            self.bed.daemon.kill_9().await.unwrap();
            let forgiven = PROMISE + self.stalls.during(2 * PROMISE);
            said.retain(|(at, _)| *at + forgiven <= killed);
            moved = data.finish().await.map_or(0, |moved| moved.bytes);
        }
        let at_least = said.last().map_or(0, |(_, bytes)| *bytes);

        let torn = self.granted == 1;
        if torn {
            // What a power cut leaves, and `kill -9` hardly ever does: half a line.
            let log = std::fs::File::options().append(true).open(self.bed.path("audit.jsonl"));
            log.unwrap().write_all(b"{\"seq\":17,\"timestamp\":\"20").unwrap();
        }
        well_before_midnight().await;
        self.bed.restart().await;
        assert_eq!(self.bed.daemon.stderr().unwrap().contains("was torn"), torn, "{story}");
        let row = self.row();
        let (bytes, tests) = (row["bytes_today"].as_u64().unwrap(), row["tests_today"].as_u64().unwrap());
        assert_eq!(tests, self.granted, "{story}: a grant was on disk before it was sent");
        let grown =
            bytes.checked_sub(self.kept).unwrap_or_else(|| panic!("{story}: {bytes} refilled {}", self.kept));
        assert!(grown <= moved, "{story}: {grown} of {moved} bytes: invented");
        assert!(grown >= at_least, "{story}: {grown} kept, {at_least} of {moved} bytes moved in time");
        self.kept = bytes;
    }

    fn row(&self) -> Value {
        let list = self.bed.json(&["peers", "list", "--json"]);
        list["peers"].as_array().unwrap().iter().find(|row| row["name"] == "attic").unwrap().clone()
    }

    fn audit_verifies(&self) {
        let verdict = self.bed.cli(&["audit", "verify"]);
        assert!(verdict.status.success(), "{}", String::from_utf8_lossy(&verdict.stdout));
    }
}

/// A3, G7, X1
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn kill_9_in_a_session_refills_nothing_and_breaks_no_chain() {
    well_before_midnight().await;
    let kills = if std::env::var_os("REFLECTOR_TEST_LONG").is_some() { LONG_KILLS } else { KILLS };
    let mut lives = tokio::task::JoinSet::new();
    for n in 0..BEDS {
        lives.spawn(async move {
            let mut life = Life::begin(n, kills).await;
            let identity = life.bed.endpoint_id.clone();
            let code = life.bed.pair();
            for kill in 1..=kills {
                life.kill_once().await;
                assert_eq!(life.bed.endpoint_id, identity);
                life.audit_verifies();
                if kill <= 2 {
                    // The window is as it was: open after the first kill, used up after the second.
                    let fresh = Appliance::builder(Key::generate()).open(life.bed.addr).await;
                    if kill == 1 {
                        let paired = fresh.unwrap().0.pair(&code).await.unwrap();
                        assert_eq!(paired["success"], true, "{paired}");
                    } else {
                        assert_eq!(fresh.unwrap_err().code(), Some(403), "a code works once");
                    }
                }
            }
            // Every grant of this hour is still counted: not one more fits.
            let (mut control, _) = Appliance::builder(life.key.clone()).open(life.bed.addr).await.unwrap();
            let denied = control.request(&Test::throughput(1)).await.unwrap().denied().unwrap();
            assert_eq!(denied.reason, "rate_limited", "{denied}");
            assert!(denied.message.contains("an hour"), "{denied}");
            life.kept
        });
    }
    let kept = lives.join_all().await;
    let kept: u64 = kept.iter().sum();
    println!("{} sessions killed, {kept} bytes kept", BEDS * kills);
    assert!(kept > 0, "nothing was ever kept");
}
