//! The nine audit events, each from the scenario that causes it, with every field; and what strangers can write there.

use std::collections::BTreeSet;

use super::*;

/// Every line has these, null where they do not apply.
const FIELDS: [&str; 16] = [
    "seq",
    "timestamp",
    "event_type",
    "endpoint_id",
    "peer_id",
    "peer",
    "source",
    "test_id",
    "test_type",
    "params",
    "decision",
    "reason",
    "bytes",
    "duration",
    "prev",
    "hash",
];

/// Handshakes of a flood from one source, and how many of them are written in a minute.
const FLOOD: u64 = 40;
const PER_MINUTE: u64 = 10;

/// L1
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_of_the_nine_events_comes_from_its_scenario_with_all_its_fields() {
    let began = jiff::Timestamp::now();
    let bed = Bed::start().await;
    let key = Key::generate();
    let id = key.endpoint_id();
    forbidden(open(&bed, &key).await);
    let code = bed.json(&["pair", "--ttl", "90s", "--json"])["code"].as_str().unwrap().to_owned();
    let (mut control, _) = open(&bed, &key).await.unwrap();
    control.pair(&code).await.unwrap();
    let mut asked = Test::throughput(5);
    asked.streams = Some(2);
    let grant = control.request(&asked).await.unwrap().granted().unwrap();
    let limits = Limits { bytes: Some(123_457), rate: Some(500_000), time: None };
    transfer(&Target::from(&grant), Direction::Upload, limits).finish().await.unwrap();
    end_of(&bed, &grant).await;
    let mut greedy = Test::throughput(7);
    greedy.streams = Some(99);
    control.request(&greedy).await.unwrap().denied().unwrap();
    bed.json(&["rotate-identity", "--json"]);
    let name = bed.json(&["peers", "list", "--json"])["peers"][0]["name"].as_str().unwrap().to_owned();
    bed.json(&["peers", "revoke", &name, "--json"]);
    bed.audited("peer_removed", |_| true).await;

    let audit = bed.audit();
    let only = |kind: &str| {
        let found: Vec<_> = audit.iter().filter(|line| line["event_type"] == kind).collect();
        assert_eq!(found.len(), 1, "{kind}: {found:#?}");
        found[0].clone()
    };
    let (peer, ours) = (Value::from(id.as_str()), Value::from(bed.endpoint_id.as_str()));
    // Who, where, which session, which type, decision, reason.
    let said = |line: &Value| {
        ["peer_id", "peer", "source", "test_id", "test_type", "decision", "reason"]
            .map(|field| line[field].clone())
    };
    let (null, here) = (Value::Null, Value::from("127.0.0.1"));
    let (attic, test) = (Value::from(name.as_str()), Value::from(grant.test_id.as_str()));
    let (throughput, allowed, denied) =
        (Value::from("throughput"), Value::from("allowed"), Value::from("denied"));

    let enabled = only("pairing_enabled");
    assert_eq!(said(&enabled), [&null, &null, &null, &null, &null, &allowed, &null].map(Clone::clone));
    assert_eq!(enabled["params"]["ttl_sec"], 90);
    assert_eq!(
        said(&only("peer_paired")),
        [&peer, &attic, &here, &null, &null, &allowed, &null].map(Clone::clone)
    );
    assert_eq!(
        said(&only("connection_accepted")),
        [&peer, &attic, &here, &null, &null, &allowed, &null].map(Clone::clone)
    );
    let granted = only("session_granted");
    assert_eq!(said(&granted), [&peer, &attic, &here, &test, &throughput, &allowed, &null].map(Clone::clone));
    let expected = serde_json::json!({
        "duration_sec": 5, "protocol": "tcp", "streams": 2, "reverse": false, "mode": grant.mode, "port": grant.port,
    });
    assert_eq!(granted["params"], expected);
    let completed = only("session_completed");
    let reason = Value::from("completed");
    assert_eq!(
        said(&completed),
        [&peer, &attic, &here, &test, &throughput, &null, &reason].map(Clone::clone)
    );
    assert_eq!(completed["bytes"], 123_457);
    assert!(
        completed["duration"].as_f64().is_some_and(|seconds| seconds > 0.0 && seconds < 5.0),
        "{completed}"
    );
    let refused = only("session_denied");
    let reason = Value::from("invalid_params");
    assert_eq!(
        said(&refused),
        [&peer, &attic, &here, &null, &throughput, &denied, &reason].map(Clone::clone)
    );
    assert_eq!((&refused["params"]["streams"], &refused["params"]["duration_sec"]), (&99.into(), &7.into()));
    let rotated = only("identity_rotated");
    assert_eq!((&rotated["endpoint_id"], &rotated["decision"]), (&ours, &allowed));
    let removed = only("peer_removed");
    let reason = Value::from("suspended");
    assert_eq!(said(&removed), [&peer, &attic, &null, &null, &null, &denied, &reason].map(Clone::clone));
    let unknown: Vec<_> = audit.iter().filter(|line| line["reason"] == "unknown_peer").collect();
    let reason = Value::from("unknown_peer");
    assert_eq!(unknown.len(), 1);
    assert_eq!(unknown[0]["event_type"], "connection_denied");
    assert_eq!(said(unknown[0]), [&peer, &null, &here, &null, &null, &denied, &reason].map(Clone::clone));

    let kinds: BTreeSet<&str> = audit.iter().map(|line| line["event_type"].as_str().unwrap()).collect();
    assert_eq!(kinds.len(), 9, "{kinds:?}");
    let mut before = began - Duration::from_millis(1);
    for (line, seq) in audit.iter().zip(1_u64..) {
        let fields: Vec<&str> = line.as_object().unwrap().keys().map(String::as_str).collect();
        for field in FIELDS {
            assert!(fields.contains(&field), "{field} is missing in {line}");
        }
        let at: jiff::Timestamp = line["timestamp"].as_str().unwrap().parse().unwrap();
        assert!(line["seq"] == seq && at >= before && at <= jiff::Timestamp::now(), "{line}");
        before = at;
        let after_rotation = line["seq"].as_u64() > rotated["seq"].as_u64();
        assert_eq!(line["endpoint_id"] == ours, !after_rotation, "{line}");
    }
}

/// L2: what strangers do is written down, a few lines a minute of each source, and the rest is counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn strangers_are_audited_and_cannot_fill_the_disk() {
    let bed = Bed::start().await;
    let (good, _) = bed.appliance("attic").await;
    let victim = good.endpoint_id();
    let from = |n: u8| std::net::IpAddr::from([127, 0, 0, n]);
    let thief = Appliance::builder(Key::generate()).bind(from(2));
    assert_eq!(thief.clone().forged_san(&victim).open(bed.addr).await.unwrap_err().alert(), Some(42));
    assert_eq!(thief.clone().no_client_certificate().open(bed.addr).await.unwrap_err().alert(), Some(116));
    assert_eq!(thief.clone().alpn(Some(b"h2")).open(bed.addr).await.unwrap_err().alert(), Some(120));
    for (reason, peer) in [
        ("identity_forged", Some(thief.key().endpoint_id())),
        ("no_client_certificate", None),
        ("wrong_alpn", None),
    ] {
        let line = bed.audited("connection_denied", |line| line["reason"] == reason).await;
        assert_eq!((&line["source"], &line["decision"]), (&"127.0.0.2".into(), &"denied".into()), "{line}");
        assert_eq!(line["peer_id"].as_str(), peer.as_deref(), "{line}");
    }

    // Forty of one source: ten lines. The next of another source says how many are missing.
    let flood = Appliance::builder(Key::generate()).bind(from(3)).alpn(Some(b"h2"));
    for _ in 0..FLOOD {
        flood.open(bed.addr).await.unwrap_err();
    }
    Appliance::builder(Key::generate()).bind(from(4)).alpn(Some(b"h2")).open(bed.addr).await.unwrap_err();
    let last = bed.audited("connection_denied", |line| line["source"] == "127.0.0.4").await;
    assert_eq!(last["suppressed"], FLOOD - PER_MINUTE, "{last}");
    let written = bed.audit().iter().filter(|line| line["source"] == "127.0.0.3").count() as u64;
    assert_eq!(written, PER_MINUTE);
    assert!(number(&bed, "reflector_connections_refused_total{reason=\"wrong_alpn\"}").await >= FLOOD);
    assert!(bed.cli(&["audit", "verify"]).status.success());
    open(&bed, &good).await.unwrap();
}
