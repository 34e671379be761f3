//! Session requests that can never be granted, and what they hear.

use e2e::appliance::Test;
use serde_json::{Value, json};

use super::{Bed, Good, until_metric};

fn deny(message: &str) -> Value {
    json!({ "type": "session_deny", "reason": "invalid_params", "message": message, "retry_after_sec": null })
}

/// G9
#[tokio::test]
async fn bad_parameters_are_denied_with_the_limit_by_name() {
    let bed = Bed::start().await;
    let good = Good::of(&bed);
    let (key, mut connection) = bed.appliance("demanding").await;
    let whole = "a whole number of seconds from 1 to 18446744073709551615";
    let streams = "params.streams must be a whole number from 1 to 4294967295 or null";
    let table = [
        (
            "throughput",
            json!({ "duration_sec": 0 }),
            "duration_sec must be at least 1; at most 60 is granted".to_owned(),
        ),
        (
            "udp_echo",
            json!({ "duration_sec": 0 }),
            "duration_sec must be at least 1; at most 60 is granted".to_owned(),
        ),
        ("throughput", json!({ "duration_sec": -5 }), format!("params.duration_sec must be {whole}; got -5")),
        (
            "throughput",
            json!({ "duration_sec": 1.5 }),
            format!("params.duration_sec must be {whole}; got 1.5"),
        ),
        (
            "throughput",
            json!({ "duration_sec": "30" }),
            format!("params.duration_sec must be {whole}; got \"30\""),
        ),
        (
            "throughput",
            json!({ "duration_sec": 10, "streams": 0 }),
            "streams must be 1 to 8; 0 were asked for".to_owned(),
        ),
        (
            "throughput",
            json!({ "duration_sec": 10, "streams": 9 }),
            "streams must be 1 to 8; 9 were asked for".to_owned(),
        ),
        (
            "throughput",
            json!({ "duration_sec": 10, "streams": 999 }),
            "streams must be 1 to 8; 999 were asked for".to_owned(),
        ),
        ("throughput", json!({ "duration_sec": 10, "streams": -4 }), format!("{streams}; got -4")),
        ("throughput", json!({ "duration_sec": 10, "streams": 2.5 }), format!("{streams}; got 2.5")),
        (
            "throughput",
            json!({ "duration_sec": 10, "protocol": "sctp" }),
            "params.protocol must be \"tcp\", \"udp\" or null; got \"sctp\"".to_owned(),
        ),
        (
            "teleport",
            json!({ "duration_sec": 10 }),
            "test_type must be \"throughput\" or \"udp_echo\"; got \"teleport\"".to_owned(),
        ),
        (
            "throughput",
            json!({ "duration_sec": 10, "reverse": "yes" }),
            "params.reverse must be true, false or null; got \"yes\"".to_owned(),
        ),
    ];
    let rows = table.len();
    for (test_type, params, message) in table {
        let answer = good.during(connection.request_raw(test_type, params.clone())).await.unwrap();
        assert_eq!(answer, deny(&message), "{test_type} {params}");
    }
    // Beyond what any number of the wire holds.
    let huge: Value = serde_json::from_str(r#"{"duration_sec":18446744073709551616}"#).unwrap();
    let answer = connection.request_raw("throughput", huge).await.unwrap();
    assert_eq!((&answer["reason"], &answer["retry_after_sec"]), (&"invalid_params".into(), &Value::Null));

    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    let denials = rows as f64 + 1.0;
    until_metric(&bed, "reflector_session_denied_total{reason=\"invalid_params\"}", denials).await;
    until_metric(&bed, "reflector_frames_bad_total{kind=\"bad_json\"}", 0.0).await;
    let of_us =
        |line: &Value| line["peer_id"] == key.endpoint_id().as_str() && line["reason"] == "invalid_params";
    bed.audited("session_denied", |line| of_us(line) && line["params"]["duration_sec"] == 0).await;
    let unread =
        |line: &Value| line["params"]["detail"].as_str().is_some_and(|text| text.ends_with("got -5"));
    bed.audited("session_denied", |line| of_us(line) && unread(line)).await;
    assert_eq!(connection.status().await.unwrap()["tests_today"], 0);
}

/// G9
#[tokio::test]
async fn ten_to_the_twelve_seconds_are_granted_as_the_longest_test() {
    let bed = Bed::start().await;
    let (_, mut connection) = bed.appliance("patient").await;
    let grant = connection.request(&Test::throughput(1_000_000_000_000)).await.unwrap().granted().unwrap();
    assert_eq!(grant.payload["duration_sec"], 60);
    let expires: jiff::Timestamp = grant.expires_at.parse().unwrap();
    let granted = bed.audited("session_granted", |line| line["test_id"] == grant.test_id.as_str()).await;
    let at: jiff::Timestamp = granted["timestamp"].as_str().unwrap().parse().unwrap();
    let lasts = expires.duration_since(at).as_secs_f64();
    // 60 s and 5 s of slack; the line was written a moment after the grant was decided.
    assert!((60.0..=65.5).contains(&lasts), "{lasts}");
    let left = connection.status().await.unwrap()["active_test"]["remaining_sec"].as_u64().unwrap();
    assert!(left <= 60, "{left}");
}
