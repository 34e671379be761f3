//! How connections end: for somebody newer, with an answer, in a race of two reasons, by a bug of ours.

use std::time::Duration;

use e2e::appliance::{Appliance, Connection, Ending, Key, Test};
use serde_json::Value;
use tokio::time::{Instant, interval, sleep_until};

use crate::server::bug;
use crate::server::limits::{MAX_HALF_OPEN_PER_SOURCE, MAX_PER_ID};

use super::tests::{HALF_OPEN, House, PATIENCE, refused};

const KNOWN: &str = "reflector_connections{state=\"known\"}";
const RUNNING: &str = "reflector_sessions_active{type=\"throughput\"}";

impl House {
    async fn is_empty(&self) {
        self.until_metric(KNOWN, 0.0).await;
        self.until_metric(HALF_OPEN, 0.0).await;
    }

    fn audit(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.dir.path().join("audit.jsonl")).unwrap_or_default();
        // The last line may be on its way to the disk.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// All lines of this type for which `about` holds, once there is one.
    async fn lines(&self, event_type: &str, about: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut look_again = interval(Duration::from_millis(5));
        let began = Instant::now();
        loop {
            let all = self.audit().into_iter();
            let found: Vec<Value> =
                all.filter(|line| line["event_type"] == event_type && about(line)).collect();
            if !found.is_empty() {
                return found;
            }
            assert!(began.elapsed() < PATIENCE, "no {event_type}");
            look_again.tick().await;
        }
    }
}

fn count(n: usize) -> f64 {
    u32::try_from(n).unwrap().into()
}

/// P9: its place is somebody else's already, so it hears no word and is not waited for.
#[tokio::test]
async fn a_proven_stranger_that_loses_its_place_is_gone_at_once_and_the_others_stay() {
    let house = House::open().await;
    house.is_empty().await;
    house.open_pairing_window().await;
    // All of one source, past their hello, with nothing to say and open for good.
    let knock = async || Appliance::builder(Key::generate()).open(house.addr()).await.unwrap().0;
    let mut waiting = Vec::new();
    for _ in 0..MAX_HALF_OPEN_PER_SOURCE {
        waiting.push(knock().await);
    }
    house.until_metric(&refused("crowded"), 0.0).await;
    let mut newest = knock().await;
    let closed = waiting[0].read_raw_until_closed().await;
    assert!(matches!(closed.how, Ending::Fin | Ending::Reset) && closed.unread.is_empty(), "{closed:?}");
    house.until_metric(&refused("crowded"), 1.0).await;
    house.until_audited("crowded").await;
    house.until_metric(HALF_OPEN, count(MAX_HALF_OPEN_PER_SOURCE)).await;
    for stays in [&mut waiting[1], &mut newest] {
        assert_eq!(
            stays.status().await.unwrap_err().code(),
            Some(403),
            "it is there, and told to pair first"
        );
    }
}

/// P9: an answer is worth a moment in which the socket stays, and no more, whatever the other end makes of it.
#[tokio::test]
async fn whoever_finds_no_place_hears_why_and_is_gone_though_it_stays_silent_or_goes_on_talking() {
    let house = House::open().await;
    house.is_empty().await;
    let mut inside = Vec::new();
    for _ in 0..MAX_PER_ID {
        inside.push(house.bad.open(house.addr()).await.unwrap().0);
    }
    house.until_metric(KNOWN, count(MAX_PER_ID)).await;
    let mut turned_away: Vec<Connection> = Vec::new();
    for _ in 0..2 {
        let mut ninth = house.bad.connect(house.addr()).await.unwrap();
        let refusal = ninth.hello().await.unwrap_err();
        assert_eq!(refusal.code(), Some(403), "{refusal}");
        assert!(refusal.to_string().contains("of this identity"), "{refusal}");
        turned_away.push(ninth);
    }
    let [silent, talker] = &mut turned_away[..] else { panic!("two of them") };
    // Neither closes its side. The first reads; what the second goes on saying is read away up to a bound.
    assert_eq!(silent.read_raw_until_closed().await.how, Ending::CloseNotify);
    let began = Instant::now();
    while talker.send_raw(&[b' '; 16 * 1024]).await.is_ok() {
        assert!(began.elapsed() < PATIENCE, "it is listened to for ever");
    }
    house.until_metric(HALF_OPEN, 0.0).await;
    house.until_metric(&refused("too_many_connections"), 2.0).await;
    house.until_metric(KNOWN, count(MAX_PER_ID)).await;
    inside[0].status().await.unwrap();
}

/// A8, A9: whichever comes first decides, and the other changes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_close_that_races_a_revocation_ends_its_session_once_and_for_one_reason() {
    const ROUNDS: u32 = 60;
    let house = House::open().await;
    let mut rounds = Vec::new();
    // How long after the change the close is sent. Later after each round that the close has won and sooner after each that
    // it has lost, in ever smaller steps: most rounds are close to a draw, whatever a change takes here to be noticed.
    let (mut delay, mut step, mut won_before) = (Duration::ZERO, Duration::from_millis(16), true);
    let mut by_close = 0;
    for _ in 0..ROUNDS {
        let key = Key::generate();
        let id = key.endpoint_id();
        house.write_peer(&id, "");
        let began = Instant::now();
        let mut control = loop {
            match Appliance::builder(key.clone()).open(house.addr()).await {
                Ok((control, _)) => break control,
                Err(error) => assert!(began.elapsed() < PATIENCE, "the manifest is not in force: {error}"),
            }
        };
        // One test at a time: that this is granted shows that the one before freed its slot.
        let grant = control.request(&Test::throughput(300)).await.unwrap().granted().unwrap();
        let test_id = grant.test_id.clone();
        let close = tokio::spawn(async move {
            sleep_until(Instant::now() + delay).await;
            // Answered or cut off: either may come first.
            let _ = control.close_session(&grant.test_id).await;
            control.read_raw_until_closed().await
        });
        house.write_peer(&id, "  suspend: true\n");
        assert_ne!(close.await.unwrap().how, Ending::Deadline);
        house.until_metric(RUNNING, 0.0).await;
        let ended = house.lines("session_completed", |line| line["test_id"] == test_id.as_str()).await;
        let won = ended[0]["reason"] == "client_terminated";
        by_close += u32::from(won);
        if won != won_before {
            step = (step / 2).max(Duration::from_micros(100));
        }
        delay = if won { delay + step } else { delay.saturating_sub(step) };
        won_before = won;
        rounds.push((id, test_id));
    }
    assert!(by_close < ROUNDS, "a close that is late enough comes second");
    for (id, test_id) in &rounds {
        let [ended] = &house.lines("session_completed", |line| line["test_id"] == test_id.as_str()).await[..]
        else {
            panic!("more than one end of {test_id}")
        };
        let reason = ended["reason"].as_str().unwrap();
        assert!(["client_terminated", "suspended"].contains(&reason), "{ended}");
        let of_peer = |line: &Value| line["peer_id"] == id.as_str();
        let removed = house.lines("peer_removed", of_peer).await;
        assert_eq!((removed.len(), &removed[0]["reason"]), (1, &"suspended".into()));
        let cut = |line: &Value| of_peer(line) && line["params"]["latency_ms"].is_u64();
        assert_eq!(house.lines("connection_denied", cut).await.len(), 1, "one connection was cut off, once");
    }
    println!("{by_close} of {ROUNDS} were closed before they were revoked");
}

/// A bug of ours costs the connection that met it, and its session its end; everybody else goes on.
#[tokio::test]
async fn a_panic_in_one_connection_ends_that_one_alone_and_is_counted() {
    let house = House::open().await;
    house.is_empty().await;
    let (mut bystander, _) = house.good.open(house.addr()).await.unwrap();
    let (mut struck, _) = house.bad.open(house.addr()).await.unwrap();
    let grant = struck.request(&Test::throughput(300)).await.unwrap().granted().unwrap();
    house.until_metric(RUNNING, 1.0).await;
    bug::strike(struck.local_addr());
    struck.status().await.unwrap_err();
    house.until_metric("reflector_task_panics_total{task=\"connection\"}", 1.0).await;
    house.until_metric(RUNNING, 0.0).await;
    house.until_metric(KNOWN, 1.0).await;
    let ended = house.lines("session_completed", |line| line["test_id"] == grant.test_id.as_str()).await;
    assert_eq!((ended.len(), &ended[0]["reason"]), (1, &"internal".into()));
    bystander.status().await.unwrap();
    bystander.request(&Test::throughput(300)).await.unwrap().granted().unwrap();
    house.good_peer_gets_through().await;
}
