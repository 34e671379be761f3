//! Asking for what is not one's own.

use e2e::appliance::{Appliance, Key, Test};
use serde_json::{Value, json};

use super::{Bed, Good, closes, until, until_metric};

const NOT_YOURS: &str = "no session of yours has this test_id";

/// A7
#[tokio::test]
async fn before_pairing_only_hello_and_pair_request_pass() {
    let bed = Bed::start().await;
    let good = Good::of(&bed);
    bed.pair();
    let (mut stranger, _) = Appliance::builder(Key::generate()).open(bed.addr).await.unwrap();
    let request =
        |params: Value| json!({ "type": "session_request", "test_type": "throughput", "params": params });
    let questions = [
        json!({ "type": "get_status" }),
        json!({ "type": "get_path_meta" }),
        json!({ "type": "session_close", "test_id": "0b6cfd5c-3f3d-4c62-9a4e-a4f0b1f9f6a1" }),
        request(json!({ "duration_sec": 10 })),
        request(json!({ "duration_sec": -1 })),
        request(json!({ "duration_sec": 10, "protocol": "sctp" })),
    ];
    for question in questions {
        let answer = good.during(stranger.ask(&question, "an answer")).await.unwrap();
        let message = "pair first: until then only pair_request is answered";
        assert_eq!(answer, json!({ "type": "error", "code": 403, "message": message }), "{question}");
    }
    assert_eq!(stranger.pair("WRONG123").await.unwrap()["success"], false);
    assert!(!bed.audit().iter().any(|line| line["event_type"] == "session_denied"));
}

/// A9
#[tokio::test]
async fn only_own_sessions_can_be_closed_from_any_connection() {
    let bed = Bed::start().await;
    let good = Good::of(&bed);
    let (key, mut owner) = bed.appliance("owner").await;
    let (stranger_key, mut foreign) = bed.appliance("foreign").await;
    let grant = owner.request(&Test::throughput(30)).await.unwrap().granted().unwrap();

    let unknown = "0b6cfd5c-3f3d-4c62-9a4e-a4f0b1f9f6a1";
    for test_id in [grant.test_id.as_str(), unknown] {
        let refused = good.during(foreign.close_session(test_id)).await.unwrap_err();
        assert_eq!(refused.code(), Some(403));
        assert_eq!(refused.to_string(), format!("the server answered error 403: {NOT_YOURS}"));
        let line = bed.audited("session_denied", |line| line["test_id"] == test_id).await;
        assert_eq!(line["reason"], "foreign_session");
        assert_eq!(line["peer_id"], stranger_key.endpoint_id());
    }
    assert_eq!(owner.status().await.unwrap()["active_test"]["test_id"], grant.test_id.as_str(), "it runs on");

    let (mut second, _) = Appliance::builder(key).open(bed.addr).await.unwrap();
    second.close_session(&grant.test_id).await.unwrap();
    let done = bed.audited("session_completed", |line| line["test_id"] == grant.test_id.as_str()).await;
    assert_eq!(done["reason"], "client_terminated");
    assert_eq!(owner.status().await.unwrap()["active_test"], Value::Null);
    let again = second.close_session(&grant.test_id).await.unwrap_err();
    assert_eq!(again.code(), Some(403), "an ended session is nobody's");
}

/// A9
#[tokio::test]
async fn get_status_shows_a_peer_its_own_sessions_only() {
    let bed = Bed::start().await;
    let (key, mut owner) = bed.appliance("owner").await;
    let (_, mut other) = bed.appliance("other").await;
    let grant = owner.request(&Test::throughput(30)).await.unwrap().granted().unwrap();
    let target = e2e::appliance::data::Target::from(&grant);
    let limits = e2e::appliance::data::Limits { bytes: Some(123_456), ..Default::default() };
    let direction = e2e::appliance::Direction::Upload;
    let transfer = e2e::appliance::data::transfer(&target, direction, limits);

    let theirs = other.status().await.unwrap();
    assert_eq!(theirs["active_test"], Value::Null);
    assert_eq!((&theirs["tests_today"], &theirs["bytes_today"]), (&0.into(), &0.into()));
    let moved = transfer.finish().await.unwrap();
    bed.audited("session_completed", |line| line["test_id"] == grant.test_id.as_str()).await;
    let grant = owner.request(&Test::throughput(30).download()).await.unwrap().granted().unwrap();
    let own = owner.status().await.unwrap();
    let active = &own["active_test"];
    assert_eq!((&active["test_id"], &active["peer_id"]), (&grant.test_id.into(), &key.endpoint_id().into()));
    assert_eq!((&active["test_type"], &own["bytes_today"]), (&"throughput".into(), &moved.bytes.into()));
    assert!(active["remaining_sec"].as_u64().unwrap() <= 30);
    let theirs = other.status().await.unwrap();
    assert_eq!(theirs["active_test"], Value::Null);
    assert_eq!((&theirs["tests_today"], &theirs["bytes_today"]), (&0.into(), &0.into()));
}

/// A8
#[tokio::test]
async fn the_unknown_learn_how_to_pair_and_the_revoked_do_not() {
    let bed = Bed::start().await;
    let good = Good::of(&bed);
    let unknown = "this reflector does not know you: ask its owner for a pairing code (reflector pair), or to add \
                   your Endpoint ID (reflector peers add)";
    let refusal = async |appliance: &Appliance| {
        let mut connection = appliance.connect(bed.addr).await.unwrap();
        let refused = good.during(connection.hello()).await.unwrap_err();
        closes(&mut connection).await;
        refused.to_string()
    };
    let said = |message: &str| format!("the server answered error 403: {message}");
    let stranger = Appliance::builder(Key::generate());
    assert_eq!(refusal(&stranger).await, said(unknown));

    let (key, mut connection) = bed.appliance("former").await;
    assert!(bed.cli(&["peers", "revoke", "former"]).status.success());
    closes(&mut connection).await;
    let former = Appliance::builder(key.clone());
    assert_eq!(refusal(&former).await, said("access is revoked"));
    // Not even while a code is live.
    bed.pair();
    assert_eq!(refusal(&former).await, said("access is revoked"));
    stranger.open(bed.addr).await.unwrap();
    let count = || {
        let of = |reason: &str, appliance: &Appliance| {
            let id = appliance.key().endpoint_id();
            let ours = |line: &&Value| line["reason"] == reason && line["peer_id"] == id.as_str();
            bed.audit().iter().filter(|line| line["event_type"] == "connection_denied").filter(ours).count()
        };
        // Twice at hello, once by losing the connection that was open.
        (of("unknown_peer", &stranger) == 1 && of("suspended", &former) == 3).then_some(())
    };
    until(count, "audit lines of the unknown and the revoked").await;
    until_metric(&bed, "reflector_connections_refused_total{reason=\"unknown_peer\"}", 1.0).await;
}
