//! Codes against a feeder that a test tells what the operator wrote.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crds::EndpointId;
use crds::pairing::{Code, CodeKey, SecretKey, Statement, memory};
use crds::peer::RefKind;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::hashing::{Hashing, QUEUE};
use super::matching::{self, Progress};
use super::*;
use crate::access::cluster::fed::{Fed, now};
use crate::access::fixtures::{at, id, peer};
use crate::access::pairing::{CODES_PER_MINUTE, Refused};
use crate::cluster::status::Witness;
use crate::metrics::{Metrics, PerPeer};

const CODE: &str = "abCD2345";
/// How long anything here may take on a busy machine.
const SOON: Duration = Duration::from_secs(60);

fn from(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

fn key_of(code: &str, reference_uid: &str) -> CodeKey {
    SecretKey::derive(&Code::parse(code).unwrap(), reference_uid, &mut memory()).unwrap().code_key()
}

fn waits(code_key: &CodeKey, expires_secs: u64) -> Value {
    let expires_at = at(expires_secs).wall.to_string();
    json!({ "pairing": { "state": "Waiting", "codeKey": code_key.to_string(), "expiresAt": expires_at } })
}

fn bound_to(id: EndpointId) -> Value {
    json!({ "endpointId": id, "pairing": { "state": "Bound" } })
}

struct House {
    fed: Fed,
    codes: Codes,
    witness: Witness,
}

impl House {
    /// One peer waits with [`CODE`].
    fn waiting() -> Self {
        let house = Self::empty();
        house.fed.peer(&peer("tv"), &waits(&key_of(CODE, "uid-attic"), 1_600));
        house
    }

    fn empty() -> Self {
        let (fed, witness) = (Fed::attic(), Witness::default());
        let (own, held) = (fed.own.clone(), fed.handle.clone());
        let codes = Codes::new(own, held, fed.access.clone(), witness.clone(), Arc::new(now));
        Self { fed, codes, witness }
    }

    async fn present(&self, code: &str, n: u8) -> Presented {
        timeout(SOON, self.codes.present(code, id(n), from(n))).await.expect("an answer in time")
    }

    /// Presents the right code, and lets the operator write that as soon as the claim is there.
    async fn present_and(&self, n: u8, operator: Value) -> Presented {
        let claimed = async {
            while self.witness.claim("u-tv").is_none() {
                self.witness.hints().left().await;
            }
            self.fed.peer(&peer("tv"), &operator);
        };
        let (presented, claimed) = tokio::join!(self.present(CODE, n), timeout(SOON, claimed));
        claimed.expect("a claim in time");
        presented
    }
}

/// F1: the proof is that of the code's key, for this peer, this reflector and this appliance.
#[tokio::test]
async fn a_right_code_is_claimed_with_a_proof_and_answered_when_it_is_bound() {
    let house = House::waiting();
    assert_eq!(house.present_and(7, bound_to(id(7))).await, Presented::Bound("tv".into()));
    let (claim, key) = house.witness.claim("u-tv").unwrap();
    assert_eq!(claim.endpoint_id, Some(id(7).to_string()));
    assert_eq!(claim.from.as_deref(), Some("192.0.2.7"));
    let statement = Statement { peer_uid: "u-tv", reflector: "attic", endpoint_id: id(7) };
    assert!(key.accepts(&statement, &claim.proof.unwrap()));
    assert_eq!(key, key_of(CODE, "uid-attic"));
}

#[tokio::test]
async fn the_code_of_a_fleets_peer_is_salted_with_the_fleet() {
    let house = House::empty();
    house.fed.fleet_peer(&peer("tv"), &waits(&key_of(CODE, "uid-homes"), 1_600));
    let bind = async {
        while house.witness.claim("u-tv").is_none() {
            house.witness.hints().left().await;
        }
        house.fed.fleet_peer(&peer("tv"), &bound_to(id(7)));
    };
    let (presented, ()) = tokio::join!(house.present(CODE, 7), bind);
    assert_eq!(presented, Presented::Bound("tv".into()));
}

#[tokio::test]
async fn a_claim_that_has_to_be_approved_says_so() {
    let house = House::waiting();
    let claimed = json!({ "pairing": { "state": "Claimed", "confirm": id(7).confirm() } });
    assert_eq!(house.present_and(7, claimed).await, Presented::Waits("tv".into()));
}

#[tokio::test]
async fn a_code_that_went_to_another_appliance_was_used() {
    let house = House::waiting();
    assert_eq!(house.present_and(7, bound_to(id(8))).await, Presented::Refused(Refused::Used));
}

/// Paused time runs as soon as nothing else can; a hash counts as something.
#[tokio::test(start_paused = true)]
async fn an_operator_that_says_nothing_is_not_waited_for() {
    let house = House::waiting();
    let started = tokio::time::Instant::now();
    assert_eq!(house.present(CODE, 7).await, Presented::Unconfirmed("tv".into()));
    assert!(started.elapsed() < Duration::from_secs(11), "{:?}", started.elapsed());
    assert!(house.witness.claim("u-tv").is_some(), "the operator may still look at it");
}

/// X9: as the window of a standalone reflector.
#[tokio::test]
async fn wrong_codes_are_counted_and_then_not_looked_at() {
    let house = House::waiting();
    for _ in 0..CODES_PER_MINUTE {
        assert_eq!(house.present("ZZZZ0000", 7).await, Presented::Refused(Refused::Wrong));
    }
    let more = house.present(CODE, 7).await;
    assert_eq!(more, Presented::Refused(Refused::Wait { seconds: 60 }));
    let counts = house.codes.counts().unwrap();
    assert_eq!(counts.wrong, Some(5));
    assert_eq!((&*counts.top_sources[0].source, counts.top_sources[0].wrong), ("192.0.2.7", 5));
    assert_eq!(house.witness.claim("u-tv"), None);
}

#[tokio::test]
async fn without_a_code_that_waits_none_is_looked_at() {
    let house = House::empty();
    house.fed.peer(&peer("tv"), &waits(&key_of(CODE, "uid-attic"), 999));
    assert_eq!(house.present(CODE, 7).await, Presented::Refused(Refused::NotOpen));
    assert_eq!(house.codes.counts(), None);
}

/// Whoever leaves while its code is looked at has still used one of its five.
#[tokio::test]
async fn a_code_is_counted_when_nobody_waits_for_the_answer() {
    let house = House::waiting();
    let mut present = Box::pin(house.codes.present("ZZZZ0000", id(7), from(7)));
    assert!(futures_util::poll!(present.as_mut()).is_pending());
    drop(present);
    let counted = async {
        while house.codes.counts().is_none() {
            house.witness.hints().left().await;
        }
    };
    timeout(SOON, counted).await.expect("it is counted");
}

#[tokio::test]
async fn the_way_in_is_open_while_a_code_waits() {
    let house = House::empty();
    let (stop, metrics) = (CancellationToken::new(), Metrics::new(PerPeer::Shown));
    let mut open = house.codes.watch();
    let (codes, cancel) = (house.codes.clone(), stop.clone());
    let running = tokio::spawn(async move { codes.run(&metrics, cancel).await });
    house.fed.peer(&peer("tv"), &waits(&key_of(CODE, "uid-attic"), 1_600));
    let until = timeout(SOON, open.wait_for(Option::is_some)).await.unwrap().unwrap().unwrap();
    assert_eq!(until, at(1_600).wall);
    house.fed.peer(&peer("tv"), &bound_to(id(7)));
    assert!(timeout(SOON, open.wait_for(Option::is_none)).await.is_ok());
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn codes_beyond_the_queue_are_sent_away() {
    let hashing = Hashing::default();
    let turn = hashing.turn().await.unwrap();
    let mut queued: Vec<_> = (1..QUEUE).map(|_| Box::pin(hashing.turn())).collect();
    for waiting in &mut queued {
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
    }
    assert!(hashing.turn().await.is_none());
    drop(turn);
    let turn = timeout(SOON, queued.remove(0)).await.unwrap();
    assert!(turn.is_some());
}

/// One row per thing that keeps a code from being presented.
#[tokio::test]
async fn only_a_peer_that_waits_in_time_and_is_not_shut_out_is_matched() {
    let fed = Fed::attic();
    let key = key_of(CODE, "uid-attic");
    let good = waits(&key, 1_600);
    let is_waiting = |builder, status: &Value| {
        fed.peer(&builder, status);
        let waiting =
            |held: &crate::access::cluster::Held| matching::waiting(held.peer("tv").unwrap(), now().wall);
        fed.handle.look(waiting)
    };
    let found = is_waiting(peer("tv"), &good).unwrap();
    assert_eq!((&*found.uid, found.kind, found.code_key), ("u-tv", RefKind::Reflector, key.clone()));
    assert_eq!(is_waiting(peer("tv").suspended(), &good), None);
    assert_eq!(is_waiting(peer("tv").expires(999), &good), None);
    assert_eq!(is_waiting(peer("tv").broken(), &good), None);
    assert_eq!(is_waiting(peer("tv"), &waits(&key, 1_000)), None);
    assert_eq!(is_waiting(peer("tv"), &bound_to(id(7))), None);
    let mut bad = good.clone();
    bad["pairing"]["codeKey"] = json!("no key");
    assert_eq!(is_waiting(peer("tv"), &bad), None);
}

#[tokio::test]
async fn each_word_of_the_operator_has_its_meaning() {
    let fed = Fed::attic();
    let means = |status: Value| {
        fed.peer(&peer("tv"), &status);
        fed.handle.look(|held| matching::progress(held.peer("tv"), "u-tv", &id(7)))
    };
    assert_eq!(means(waits(&key_of(CODE, "uid-attic"), 1_600)), Progress::Open);
    assert_eq!(means(bound_to(id(7))), Progress::Bound);
    assert_eq!(means(bound_to(id(8))), Progress::Lost);
    assert_eq!(
        means(json!({ "pairing": { "state": "Claimed", "confirm": id(7).confirm() } })),
        Progress::Claimed
    );
    assert_eq!(
        means(json!({ "pairing": { "state": "Claimed", "confirm": id(8).confirm() } })),
        Progress::Lost
    );
    assert_eq!(means(json!({ "pairing": { "state": "Expired" } })), Progress::Expired);
    assert_eq!(means(json!({})), Progress::Lost);
    assert_eq!(
        fed.handle.look(|held| matching::progress(held.peer("tv"), "u-other", &id(7))),
        Progress::Lost
    );
}
