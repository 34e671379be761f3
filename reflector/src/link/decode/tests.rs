use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::link::frame::MAX_PAYLOAD;
use crate::link::message::{Message, Mode, Protocol, SessionParams, TestType};

fn envelope(payload: &serde_json::Value) -> Vec<u8> {
    json!({"request_id": "q-7", "payload": payload}).to_string().into_bytes()
}

fn message(payload: &serde_json::Value) -> Message {
    decode(&envelope(payload)).unwrap().payload
}

fn refused(payload: &[u8]) -> (Option<String>, DecodeErrorKind) {
    let error = decode(payload).unwrap_err();
    (error.request_id, error.kind)
}

/// P7
#[test]
fn broken_json_still_finds_its_request() {
    for broken in [
        r#"{"request_id":"q-7","payload":{"type":"hello","version":"#,
        r#"{"request_id":"q-7","payload":{"type":"hello"}"#,
        r#"{"request_id":"q-7","payload":{"type":"hello"}}}"#,
        r#"{"request_id":"q-7","payload":nonsense}"#,
        r#"{"request_id":"q-7"}"#,
        r#"{"x":[1,{}],"request_id":"q-7","request_id":"q-8","payload":{"type":"ok"}}"#,
    ] {
        let (id, kind) = refused(broken.as_bytes());
        assert_eq!(id.as_deref(), Some("q-7"), "{broken}");
        assert!(matches!(kind, DecodeErrorKind::BadJson { .. }), "{broken}: {kind:?}");
    }
    for nameless in ["", "[]", "null", "7", "{", "{}", r#"{"payload":{"type":"ok"}}"#, "{\"request_id\":\"q"]
    {
        let (id, kind) = refused(nameless.as_bytes());
        assert_eq!(id, None, "{nameless}");
        assert!(matches!(kind, DecodeErrorKind::BadJson { .. }), "{nameless}: {kind:?}");
    }
}

/// P7
#[test]
fn text_that_is_not_utf8_still_finds_its_request() {
    let mut bytes = envelope(&json!({"type": "pair_request", "token": "abCD2345"}));
    let at = bytes.len() - 6;
    bytes[at] = 0xff;
    assert_eq!(refused(&bytes), (Some("q-7".to_owned()), DecodeErrorKind::NotUtf8));
    assert_eq!(refused(b"\xff\xfe"), (None, DecodeErrorKind::NotUtf8));
    // Hidden in a field nobody reads it is refused all the same.
    let mut ignored = envelope(&json!({"type": "ok", "x": "????"}));
    let at = ignored.len() - 5;
    ignored[at] = 0xc0;
    assert_eq!(refused(&ignored).1, DecodeErrorKind::NotUtf8);
}

/// P7
#[test]
fn an_unknown_type_is_named_in_the_error() {
    let (id, kind) = refused(&envelope(&json!({"type": "tele\nport"})));
    assert_eq!(id.as_deref(), Some("q-7"));
    assert_eq!(kind, DecodeErrorKind::UnknownType { given: "tele\\nport".to_owned() });
    for bad in [json!({}), json!({"type": 7}), json!(["hello"]), json!("hello"), json!(null)] {
        let kind = refused(&envelope(&bad)).1;
        assert!(matches!(kind, DecodeErrorKind::BadFields { message: "payload", .. }), "{bad}: {kind:?}");
    }
}

/// P7
#[test]
fn missing_fields_are_a_bad_frame_that_says_which() {
    for (name, payload, field) in [
        ("hello", json!({"type": "hello", "version": "1.0"}), "features"),
        ("pair_request", json!({"type": "pair_request", "token": null}), "expected a string"),
        ("session_close", json!({"type": "session_close", "test_id": "nope"}), "UUID"),
        ("session_request", json!({"type": "session_request", "test_type": "throughput"}), "params"),
        ("session_request", json!({"type": "session_request", "params": {"duration_sec": 5}}), "test_type"),
        (
            "session_request",
            json!({"type": "session_request", "test_type": "throughput", "params": {}}),
            "duration_sec",
        ),
        (
            "session_request",
            json!({"type": "session_request", "test_type": "throughput", "params": [5]}),
            "object",
        ),
    ] {
        let (id, kind) = refused(&envelope(&payload));
        assert_eq!(id.as_deref(), Some("q-7"));
        let DecodeErrorKind::BadFields { message, detail } = kind else { panic!("{payload}: {kind:?}") };
        assert_eq!(message, name);
        assert!(detail.contains(field), "{payload}: {detail}");
    }
}

#[test]
fn optional_fields_may_be_null_or_missing_and_unknown_ones_are_skipped() {
    let bare = SessionParams { duration_sec: 30, protocol: None, streams: None, reverse: None, mode: None };
    for params in [
        json!({"duration_sec": 30}),
        json!({"duration_sec": 30, "protocol": null, "streams": null, "reverse": null, "mode": null, "x": [{}]}),
    ] {
        let request = json!({"type": "session_request", "test_type": "udp_echo", "params": params, "y": 1});
        let expected = Message::SessionRequest { test_type: TestType::UdpEcho, params: bare.clone() };
        assert_eq!(message(&request), expected);
    }
    let denied = Message::SessionDeny {
        reason: crate::reason::DenyReason::Busy,
        message: "m".to_owned(),
        retry_after_sec: None,
    };
    assert_eq!(message(&json!({"type": "session_deny", "reason": "busy", "message": "m"})), denied);
    let response = Message::PairResponse { success: false, message: "m".to_owned(), endpoint_id: None };
    assert_eq!(message(&json!({"type": "pair_response", "success": false, "message": "m"})), response);
    let meta = json!({"type": "path_meta", "cpu_load": 0.5, "memory_used_mb": 1, "memory_total_mb": 2,
        "load_avg": [0.1, 0.2, 0.3], "time_synced": true, "build_version": "v", "build_hash": "h"});
    assert!(matches!(message(&meta), Message::PathMeta(m) if m.mtu.is_none()));
    let id = "PP-7DN2-FF6E-PTJ2-TRN3-N382-MVRD-EDJK-45BQ-3QH4-79HT-R14A-32TS-V8MG-K";
    let status = json!({"type": "status_snapshot", "endpoint_id": id, "uptime_sec": 1, "tests_today": 2, "bytes_today": 3});
    assert!(matches!(message(&status), Message::StatusSnapshot(s) if s.active_test.is_none()));
}

#[test]
fn every_value_of_a_request_arrives_in_its_own_field() {
    let request = json!({"type": "session_request", "test_type": "throughput", "params":
        {"duration_sec": 31, "protocol": "udp", "streams": 3, "reverse": true, "mode": "tunneled"}});
    let params = SessionParams {
        duration_sec: 31,
        protocol: Some(Protocol::Udp),
        streams: Some(3),
        reverse: Some(true),
        mode: Some(Mode::Tunneled),
    };
    assert_eq!(message(&request), Message::SessionRequest { test_type: TestType::Throughput, params });
}

/// G9: what no policy can allow is denied by name, not treated as a broken frame.
#[test]
fn values_that_never_become_valid_are_denied_naming_field_and_limit() {
    let request = |test_type: &str, params: &str| {
        format!(
            r#"{{"request_id":"q-7","payload":{{"type":"session_request","test_type":{test_type},"params":{params}}}}}"#
        )
    };
    let throughput = |params: &str| request(r#""throughput""#, params);
    let duration = |value: &str| throughput(&format!(r#"{{"duration_sec":{value}}}"#));
    let with = |field: &str| throughput(&format!(r#"{{"duration_sec":9,{field}}}"#));
    let mut table: Vec<(String, &str, &str)> = Vec::new();
    for value in
        ["-1", "1.5", "30.0", "3e1", "1e400", "-0", "18446744073709551616", "\"30\"", "true", "null", "[5]"]
    {
        table.push((duration(value), "params.duration_sec", "whole number of seconds from 1"));
    }
    for value in ["-1", "0.5", "4294967296", "1e9", "\"4\"", "{}"] {
        table.push((with(&format!(r#""streams":{value}"#)), "params.streams", "4294967295"));
    }
    for value in ["\"sctp\"", "\"TCP\"", "6", "{\"tcp\":null}"] {
        table.push((with(&format!(r#""protocol":{value}"#)), "params.protocol", "\"tcp\", \"udp\""));
    }
    for value in ["\"yes\"", "1"] {
        table.push((with(&format!(r#""reverse":{value}"#)), "params.reverse", "true, false"));
    }
    table.push((with(r#""mode":"auto""#), "params.mode", "\"tunneled\""));
    table.push((request("\"ping\"", r#"{"duration_sec":9}"#), "test_type", "\"udp_echo\""));
    table.push((request("null", r#"{"duration_sec":9}"#), "test_type", "\"udp_echo\""));
    for (json, field, limit) in table {
        let error = decode(json.as_bytes()).unwrap_err();
        assert_eq!(error.request_id.as_deref(), Some("q-7"), "{json}");
        assert!(
            matches!(error.kind, DecodeErrorKind::BadRequest { field: f, .. } if f == field),
            "{json}: {error}"
        );
        assert!(error.to_string().contains(limit), "{json}: {error}");
    }
}

#[test]
fn a_request_id_of_256_bytes_is_the_longest() {
    let with = |id: &str| json!({"request_id": id, "payload": {"type": "ok"}}).to_string().into_bytes();
    let longest = "ä".repeat(MAX_REQUEST_ID / 2);
    assert_eq!(decode(&with(&longest)).unwrap().request_id, longest);
    assert_eq!(refused(&with(&format!("{longest}x"))), (None, DecodeErrorKind::BadRequestId));
    assert_eq!(refused(&with(&"x".repeat(MAX_PAYLOAD - 64))), (None, DecodeErrorKind::BadRequestId));
    assert_eq!(
        refused(br#"{"request_id":7,"payload":{"type":"ok"}}"#),
        (None, DecodeErrorKind::BadRequestId)
    );
    // Escapes are longer than what they stand for.
    let escaped =
        format!(r#"{{"request_id":"{}","payload":{{"type":"ok"}}}}"#, "\\u0041".repeat(MAX_REQUEST_ID));
    assert_eq!(decode(escaped.as_bytes()).unwrap().request_id, "A".repeat(MAX_REQUEST_ID));
}

#[test]
fn a_hello_with_too_many_features_is_refused() {
    let hello = |n| json!({"type": "hello", "version": "1.0", "features": vec!["throughput"; n]});
    assert!(
        matches!(message(&hello(MAX_FEATURES)), Message::Hello { features, .. } if features.len() == MAX_FEATURES)
    );
    let (_, kind) = refused(&envelope(&hello(MAX_FEATURES + 1)));
    assert!(matches!(&kind, DecodeErrorKind::BadFields { detail, .. } if detail.contains("64")), "{kind:?}");
}

/// P1: half a mebibyte of brackets uses no stack and no tree.
#[test]
fn nesting_as_deep_as_a_frame_costs_no_stack() {
    let depth = 500_000;
    let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let small_stack = std::thread::Builder::new().stack_size(128 * 1024);
    let decoded = small_stack.spawn(move || {
        let ignored = format!(r#"{{"x":{deep},"request_id":"q-7","payload":{{"type":"ok"}}}}"#);
        assert_eq!(decode(ignored.as_bytes()).unwrap().payload, Message::Ok);
        let request = format!(
            r#"{{"request_id":"q-7","payload":{{"type":"session_request","test_type":"udp_echo","params":{{"duration_sec":{deep}}}}}}}"#
        );
        assert!(matches!(refused(request.as_bytes()).1, DecodeErrorKind::BadRequest { .. }));
        for place in [format!("\"version\":{deep}"), format!("\"features\":[{deep}]")] {
            let hello = format!(r#"{{"request_id":"q-7","payload":{{"type":"hello",{place}}}}}"#);
            assert!(matches!(refused(hello.as_bytes()).1, DecodeErrorKind::BadFields { .. }));
        }
        assert!(matches!(refused("[".repeat(depth).as_bytes()).1, DecodeErrorKind::BadJson { .. }));
        assert!(matches!(refused("{\"a\":".repeat(depth / 3).as_bytes()).1, DecodeErrorKind::BadJson { .. }));
    });
    decoded.unwrap().join().unwrap();
}

#[test]
fn errors_carry_a_bounded_piece_of_foreign_text() {
    let huge = "\u{1b}[31m".repeat(100_000);
    for payload in [
        json!({"type": huge}),
        json!({"type": "session_request", "test_type": huge, "params": {"duration_sec": 1}}),
        json!({"type": "session_deny", "reason": huge, "message": "m"}),
        json!({"type": "session_close", "test_id": huge}),
    ] {
        let error = decode(&envelope(&payload)).unwrap_err();
        assert!(error.to_string().len() < 1024, "{}", error.to_string().len());
        assert!(error.to_string().chars().all(|c| !c.is_control()), "{error}");
        assert!(error.answer().request_id == "q-7");
    }
}

proptest! {
    /// P7
    #[test]
    fn no_payload_panics(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode(&bytes);
    }

    /// P7
    #[test]
    fn no_damaged_message_panics(at in any::<prop::sample::Index>(), to in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let request = json!({"type": "session_request", "test_type": "throughput", "params":
            {"duration_sec": 31, "protocol": "udp", "streams": 3, "reverse": true, "mode": "tunneled"}});
        let mut bytes = envelope(&request);
        let index = at.index(bytes.len());
        bytes[index] = to;
        bytes.truncate(cut.index(bytes.len() + 1));
        let _ = decode(&bytes).map_err(|error| error.answer());
    }
}
