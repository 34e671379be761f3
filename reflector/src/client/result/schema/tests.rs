//! The schema, the samples, and the order of keys.

use std::path::Path;

use serde_json::Value;

use super::*;
use crate::client::result::samples;
use check::check;

#[path = "../../../../tests/support/schema.rs"]
mod check;

#[test]
#[expect(clippy::disallowed_methods, reason = "asks whether the reference is to be written")]
fn the_schema_in_the_reference_is_the_one_of_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/test-result.schema.json");
    let actual = serde_json::to_string_pretty(&json_schema()).unwrap() + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        actual == expected,
        "the format changed; if it only gained keys: UPDATE_GOLDEN=1 cargo test -p reflector --lib client::result"
    );
}

#[test]
fn every_sample_is_valid() {
    let schema = json_schema();
    for (name, sample) in samples::all() {
        let text = sample.to_json().unwrap();
        check(&schema, &schema, &serde_json::from_str(&text).unwrap(), name).unwrap();
        assert_eq!(TestResult::from_json(&text).unwrap(), sample, "{name}");
    }
}

/// The checker itself would see these.
#[test]
fn a_broken_result_is_not_valid() {
    let schema = json_schema();
    let good = serde_json::to_value(samples::complete()).unwrap();
    let breaks: [(&str, Value); 6] = [
        ("/schema", "reflector.test/2".into()),
        ("/phases/0/bytes", (-1).into()),
        ("/phases/0/mbps", "fast".into()),
        ("/phases/0/limit/by", "gremlins".into()),
        ("/phases/0/streams/0/id", Value::Null),
        ("/warnings", Value::Null),
    ];
    for (at, value) in breaks {
        let mut broken = good.clone();
        *broken.pointer_mut(at).unwrap() = value;
        assert!(check(&schema, &schema, &broken, "").is_err(), "{at}");
    }
    let mut short = good;
    short.as_object_mut().unwrap().shift_remove("usage");
    assert!(check(&schema, &schema, &short, "").is_err());
}

#[test]
fn another_format_is_refused_and_a_key_that_was_gained_is_not() {
    let mut value = serde_json::to_value(samples::complete()).unwrap();
    value["gained"] = 5.into();
    TestResult::from_json(&value.to_string()).unwrap();
    value["schema"] = "reflector.test/2".into();
    let refused = TestResult::from_json(&value.to_string()).unwrap_err().to_string();
    assert!(refused.contains("reflector.test/2"), "{refused}");
}

/// Order is part of the format: people read it, and diff it.
#[test]
fn keys_keep_the_order_of_the_specification() {
    let value = serde_json::to_value(samples::complete()).unwrap();
    let keys = |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    assert_eq!(
        keys(&value).join(", "),
        "schema, version, started_at, local, reflector, phases, responsiveness, tunnel_tax, usage, not_measured, warnings"
    );
    let phase = keys(&value["phases"][0]).into_iter().filter(|key| key != "transport" && key != "udp");
    assert_eq!(
        phase.collect::<Vec<_>>().join(", "),
        "name, mode, test_id, end_reason, duration_s, bytes, mbps, steady_mbps, streams, intervals, echo_idle, echo_loaded, cpu, limit"
    );
    let stream = keys(&value["phases"][0]["streams"][0]);
    assert_eq!(stream[..7].join(", "), "id, bytes, mbps, retransmits, rtt_us, min_rtt_us, cwnd_bytes");
    assert_eq!(keys(&value["phases"][0]["limit"]).join(", "), "by, cause, also, evidence");
}
