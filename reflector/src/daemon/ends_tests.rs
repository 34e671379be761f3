//! How connections end: for somebody newer, with an answer, by a bug of ours.

use std::time::Duration;

use e2e::appliance::{Appliance, Connection, Ending, Key, Test};
use serde_json::Value;
use tokio::time::{Instant, interval};

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

    /// All lines of this type about this session or peer, once there is one.
    async fn lines(&self, event_type: &str, key: &str, value: &str) -> Vec<Value> {
        let mut look_again = interval(Duration::from_millis(5));
        let began = Instant::now();
        loop {
            let all = self.audit().into_iter();
            let found: Vec<Value> =
                all.filter(|line| line["event_type"] == event_type && line[key] == value).collect();
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
    let ended = house.lines("session_completed", "test_id", &grant.test_id).await;
    assert_eq!((ended.len(), &ended[0]["reason"]), (1, &"internal".into()));
    bystander.status().await.unwrap();
    bystander.request(&Test::throughput(300)).await.unwrap().granted().unwrap();
    house.good_peer_gets_through().await;
}
