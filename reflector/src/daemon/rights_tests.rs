//! Policy, places and stops meet connections that are busy with something else.

use std::time::Duration;

use e2e::appliance::{Appliance, Connection, Error, Key, Test, envelope, frame};
use serde_json::json;

use crate::admin::client;
use crate::admin::protocol::{Request, Response};
use crate::server::Phase;
use crate::server::limits::MAX_PER_ID;

use super::tests::{HALF_OPEN, House, PATIENCE, refused};

impl House {
    /// A manifest, renamed into place.
    pub(super) fn write_peer(&self, id: &str, spec: &str) {
        let text = format!(
            "apiVersion: packetparamedic.io/v1alpha1\nkind: ReflectorPeer\nmetadata:\n  name: bay\nspec:\n  \
             reflectorRef:\n    kind: Reflector\n    name: attic\n  endpointId: {id}\n{spec}"
        );
        let folder = self.dir.path().join("peers");
        std::fs::write(folder.join(".bay.tmp"), text).unwrap();
        std::fs::rename(folder.join(".bay.tmp"), folder.join("bay.yaml")).unwrap();
    }

    pub(super) async fn open_pairing_window(&self) -> String {
        let socket = self.dir.path().join("admin.sock");
        let ask = move || client::ask(&socket, &Request::OpenPairing { ttl_sec: 600 }).unwrap();
        match tokio::task::spawn_blocking(ask).await.unwrap() {
            Response::Pairing { code, .. } => code,
            other => panic!("{other:?}"),
        }
    }
}

/// Asks and never reads, until the reflector waits for it to read.
async fn grow_deaf(connection: &mut Connection) {
    let questions = frame::encode(&envelope("q", &json!({ "type": "get_status" }))).repeat(1000);
    connection.set_wait(Duration::from_millis(500));
    let stuck = loop {
        if let Err(error) = connection.send_raw(&questions).await {
            break error;
        }
    };
    assert!(matches!(stuck, Error::Deadline { .. }), "{stuck}");
}

/// A8: an answer the peer does not take must not buy its session ten seconds.
#[tokio::test]
async fn a_peer_that_does_not_read_is_cut_off_when_it_is_revoked() {
    let house = House::open().await;
    let (mut deaf, _) = house.bad.clone().receive_buffer(2048).open(house.addr()).await.unwrap();
    deaf.request(&Test::throughput(300)).await.unwrap().granted().unwrap();
    grow_deaf(&mut deaf).await;
    house.write_peer(&house.bad_id, "  suspend: true\n");
    house.until_audited("suspended").await;
    house.until_metric("reflector_sessions_active{type=\"throughput\"}", 0.0).await;
    house.until_metric(&refused("slow_reader"), 0.0).await;
}

const KNOWN: &str = "reflector_connections{state=\"known\"}";

/// P9, A2: paired by its owner's hand while it waits in a pairing window, a peer is as known as any other: strangers
/// cannot take its place, and it has eight of them.
#[tokio::test]
async fn connections_that_wait_to_pair_take_known_places_when_a_manifest_names_their_peer() {
    let house = House::open().await;
    house.until_metric(KNOWN, 0.0).await;
    house.open_pairing_window().await;
    let key = Key::generate();
    let stranger = Appliance::builder(key.clone());
    let mut waiting = Vec::new();
    for _ in 0..MAX_PER_ID + 2 {
        waiting.push(stranger.open(house.addr()).await.unwrap().0);
    }
    house.until_metric(HALF_OPEN, count(MAX_PER_ID + 2)).await;
    house.write_peer(&key.endpoint_id(), "");
    house.until_metric(KNOWN, count(MAX_PER_ID)).await;
    house.until_metric(HALF_OPEN, 0.0).await;
    house.until_metric(&refused("too_many_connections"), 2.0).await;
    let mut served = 0;
    for connection in &mut waiting {
        served += usize::from(connection.status().await.is_ok());
    }
    assert_eq!(served, MAX_PER_ID);
}

/// A2: whichever of its connections brought the code.
#[tokio::test]
async fn pairing_on_one_connection_gives_no_more_than_eight_to_the_others() {
    let house = House::open().await;
    house.until_metric(KNOWN, 0.0).await;
    let code = house.open_pairing_window().await;
    let stranger = Appliance::builder(Key::generate());
    let mut waiting = Vec::new();
    for _ in 0..=MAX_PER_ID {
        waiting.push(stranger.open(house.addr()).await.unwrap().0);
    }
    assert_eq!(waiting.last_mut().unwrap().pair(&code).await.unwrap()["success"], true);
    house.until_metric(KNOWN, count(MAX_PER_ID)).await;
    house.until_metric(HALF_OPEN, 0.0).await;
    house.until_metric(&refused("too_many_connections"), 1.0).await;
}

fn count(n: usize) -> f64 {
    u32::try_from(n).unwrap().into()
}

/// P8: a limit that changes under a request decides it, and the peer hears one answer: the grant or the denial.
#[tokio::test]
async fn a_request_that_meets_a_new_policy_is_answered_by_it() {
    let house = House::open().await;
    let (mut connection, _) = house.bad.open(house.addr()).await.unwrap();
    let closed = house.gate.acquire().await.unwrap();
    let request = tokio::spawn(async move { connection.request(&Test::throughput(300)).await });
    house.write_peer(&house.bad_id, "  quotas:\n    maxTestDuration: 77s\n");
    let began = tokio::time::Instant::now();
    loop {
        let (_, hello) = house.bad.open(house.addr()).await.unwrap();
        if hello["policy_summary"]["max_test_duration_sec"] == 77 {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "the manifest is not in force");
    }
    drop(closed);
    let granted = request.await.unwrap().unwrap().granted().unwrap();
    assert_eq!(granted.payload["duration_sec"], 77);
}

/// What was measured until a stop is not lost with the connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_session_that_ends_with_the_process_still_reports_its_result() {
    let house = House::open().await;
    let mut connection = house.bad.connect(house.addr()).await.unwrap();
    connection.hello_with(&["throughput", "results"]).await.unwrap();
    let grant = connection.request(&Test::throughput(300)).await.unwrap().granted().unwrap();
    assert_eq!(house.reflector.sessions.drain(Duration::ZERO).await, 1);
    house.reflector.server.enter(Phase::Stopping);
    let result = connection.read_frame().await.unwrap();
    let payload = &result["payload"];
    assert_eq!(
        (&payload["type"], &payload["test_id"], &payload["end_reason"]),
        (&"session_result".into(), &grant.test_id.as_str().into(), &"shutdown".into())
    );
}

/// G6: the operator sees what is left of a peer's day before the peer shows up, too.
#[tokio::test]
async fn what_is_left_of_a_day_is_published_for_peers_that_never_connected() {
    let house = House::open().await;
    let name = house.bad_id[3..12].to_lowercase();
    house.until_metric(&format!("reflector_peer_bytes_remaining{{peer=\"config-{name}\"}}"), 7e9).await;
}
