//! Fixtures are YAML, read as a feeder reads them: to JSON, to the type, through the validator.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;

use crate::Problem;
use crate::names::MAX_NAME;
use crate::quotas::{
    MAX_BYTE_AMOUNT, MAX_CONCURRENT_TESTS, MAX_ECHO_PPS, MAX_STREAMS, MAX_TEST_DURATION, MAX_TESTS_PER_HOUR,
    TestType, ValidQuotas,
};

use super::*;

const ID: &str = "PP-7DN2-FF6E-PTJ2-TRN3-N382-MVRD-EDJK-45BQ-3QH4-79HT-R14A-32TS-V8MG-K";
const OTHER: &str = "PP-0EGG-FFZK-SR8B-W7BG-VMCE-EJY0-K5KY-9NHG-KEJG-TQRX-VJ36-84JN-66W0-A";

fn json(yaml: &str) -> Value {
    serde_yaml::from_str(yaml).expect("fixture is YAML")
}

fn check(yaml: &str) -> Result<ValidPeer, Vec<String>> {
    let texts = |problems: Vec<Problem>| problems.iter().map(ToString::to_string).collect::<Vec<_>>();
    read(json(yaml)).and_then(|peer| validate(&peer)).map_err(texts)
}

/// An object with these lines in its spec, besides a good reference.
fn with(lines: &str) -> String {
    let lines = lines.lines().fold(String::new(), |all, line| all + "  " + line + "\n");
    format!(
        "apiVersion: packetparamedic.io/v1alpha1\nkind: ReflectorPeer\nmetadata:\n  name: living-room\nspec:\n  \
         reflectorRef: {{ kind: Reflector, name: attic }}\n{lines}"
    )
}

#[test]
fn every_field_reaches_the_valid_peer() {
    let peer = check(&with(&format!(
        "endpointId: {ID}\npairing: {{ ttl: 20m, round: 3 }}\ndisplayName: Living room\nexpiresAt: 2026-12-31T00:00:00Z\n\
         suspend: true\nquotas:\n  maxTestDuration: 45s\n  maxConcurrentTests: 2\n  testsPerHour: 11\n  bytesPerDay: 6G\n  \
         cooldown: 7s\n  allowedTests: [UdpEcho]\n  maxStreams: 9\n  maxEchoPps: 8000\n  maxRate: 500M"
    )))
    .unwrap();
    assert_eq!(
        peer,
        ValidPeer {
            name: "living-room".into(),
            created: None,
            reflector: ValidRef { kind: RefKind::Reflector, name: "attic".into() },
            endpoint_id: Some(ID.parse().unwrap()),
            pairing_ttl: Duration::from_secs(1200),
            pairing_round: 3,
            display_name: Some("Living room".into()),
            quotas: ValidQuotas {
                max_test_duration: Some(Duration::from_secs(45)),
                max_concurrent_tests: Some(2),
                tests_per_hour: Some(11),
                bytes_per_day: Some(6_000_000_000),
                cooldown: Some(Duration::from_secs(7)),
                allow_throughput: Some(false),
                allow_udp_echo: Some(true),
                max_streams: Some(9),
                max_echo_pps: Some(8000),
                max_rate: Some(500_000_000),
            },
            expires_at: Some("2026-12-31T00:00:00Z".parse().unwrap()),
            suspended: true,
        }
    );
}

#[test]
fn good_objects_are_accepted() {
    for lines in [
        "",
        "endpointId: null\nquotas: null\nsuspend: null\npairing: { ttl: null }",
        "somethingNewer: { deep: [1, 2] }\nquotas: { aNewLimit: 5 }",
        "quotas: { bytesPerDay: 5000000000, cooldown: 5, maxTestDuration: 300 }",
        "quotas: { maxTestDuration: 300s, cooldown: 0s, maxStreams: 128, maxConcurrentTests: 64 }",
        "quotas: { allowedTests: [Throughput, UdpEcho] }",
        "pairing: { ttl: 24h }",
        "suspend: yes",
        "expiresAt: 2026-12-31T00:00:00.5+01:00",
        "displayName: '5'",
    ] {
        assert!(check(&with(lines)).is_ok(), "{lines}: {:?}", check(&with(lines)));
    }
    assert!(check(&with("suspend: yes")).unwrap().suspended, "read as kubectl reads it");
}

#[test]
fn bad_objects_are_refused_with_path_and_remedy() {
    for (lines, path, says) in [
        ("endpointId: PP-7DN2", "spec.endpointId", "53 symbols"),
        ("endpointId: 5", "spec.endpointId", "put it in quotes; found a number"),
        (&format!("endpointId: {}", ID.replace("FF6E", "FU6E")), "spec.endpointId", "'U' at position 10"),
        (&format!("endpointId: {}X", &ID[..68]), "spec.endpointId", "expected 'K'"),
        (&format!("endpointId: ' {ID}'"), "spec.endpointId", "spaces"),
        ("displayName: \"two\\nlines\"", "spec.displayName", "one line of text"),
        (&format!("displayName: {}", "x".repeat(129)), "spec.displayName", "longer than 128"),
        ("suspend: 'true'", "spec.suspend", "true or false, without quotes"),
        ("expiresAt: tomorrow", "spec.expiresAt", "2026-12-31T00:00:00Z"),
        ("expiresAt: 2026-12-31T00:00Z", "spec.expiresAt", "2026-12-31T00:00:00Z"),
        ("expiresAt: 2026-12-31", "spec.expiresAt", "2026-12-31T00:00:00Z"),
        ("pairing: { ttl: 25h }", "spec.pairing.ttl", "1s to 24h"),
        ("pairing: { ttl: 0s }", "spec.pairing.ttl", "1s to 24h"),
        ("pairing: { round: -1 }", "spec.pairing.round", "write 0 to"),
        ("pairing: soon", "spec.pairing", "indented below it; found text"),
        ("quotas: { maxTestDuration: 301s }", "spec.quotas.maxTestDuration", "1s to 300s"),
        ("quotas: { maxTestDuration: 0 }", "spec.quotas.maxTestDuration", "1s to 300s"),
        ("quotas: { maxTestDuration: 1h30m }", "spec.quotas.maxTestDuration", "90m instead of 1h30m"),
        ("quotas: { maxConcurrentTests: 65 }", "spec.quotas.maxConcurrentTests", "write 1 to 64"),
        ("quotas: { testsPerHour: 10001 }", "spec.quotas.testsPerHour", "write 1 to 10000"),
        ("quotas: { bytesPerDay: 5GB }", "spec.quotas.bytesPerDay", "5G instead of 5GB"),
        ("quotas: { bytesPerDay: 0 }", "spec.quotas.bytesPerDay", "at least 1"),
        ("quotas: { bytesPerDay: -5 }", "spec.quotas.bytesPerDay", "write digits"),
        ("quotas: { cooldown: 2d }", "spec.quotas.cooldown", "0s to 24h"),
        ("quotas: { allowedTests: [] }", "spec.quotas.allowedTests", "suspend: true"),
        (
            "quotas: { allowedTests: [Ping] }",
            "spec.quotas.allowedTests",
            "\"Ping\": write Throughput or UdpEcho",
        ),
        ("quotas: { allowedTests: [UdpEcho, UdpEcho] }", "spec.quotas.allowedTests", "write each once"),
        ("quotas: { allowedTests: UdpEcho }", "spec.quotas.allowedTests", "a list of names"),
        ("quotas: { maxStreams: 129 }", "spec.quotas.maxStreams", "write 1 to 128"),
        ("quotas: { maxStreams: 0 }", "spec.quotas.maxStreams", "write 1 to 128"),
        ("quotas: { maxStreams: '8' }", "spec.quotas.maxStreams", "without quotes; found text"),
        ("quotas: { maxStreams: 8.5 }", "spec.quotas.maxStreams", "whole number"),
        ("quotas: { maxEchoPps: 100001 }", "spec.quotas.maxEchoPps", "write 1 to 100000"),
        ("quotas: { maxRate: 11k }", "spec.quotas.maxRate", "at least 12000"),
    ] {
        let problems = check(&with(lines)).expect_err(lines);
        assert!(
            problems.iter().any(|p| p.starts_with(&format!("{path} ")) && p.contains(says)),
            "{lines}: {problems:?} should name {path} and say {says}"
        );
    }
}

#[test]
fn names_and_references_are_checked() {
    let good = with("");
    for (from, to, path) in [
        ("name: living-room", "name: Living_Room", "metadata.name"),
        ("name: living-room", "name: ''", "metadata.name"),
        ("name: living-room", "name: -x", "metadata.name"),
        ("kind: Reflector,", "kind: Relay,", "spec.reflectorRef.kind"),
        ("kind: Reflector,", "", "spec.reflectorRef.kind"),
        ("name: attic", "name: at/tic", "spec.reflectorRef.name"),
        ("reflectorRef: { kind: Reflector, name: attic }", "endpointId: null", "spec.reflectorRef.name"),
    ] {
        let problems = check(&good.replacen(from, to, 1)).expect_err(to);
        assert!(problems.iter().any(|p| p.starts_with(path)), "{to}: {problems:?}");
    }
    assert!(
        check("kind: ReflectorPeer\nmetadata: { name: x }").unwrap_err()[0].starts_with("spec is missing")
    );
}

#[test]
fn all_problems_of_an_object_are_told_at_once() {
    let problems = check(&with("expiresAt: never\nquotas: { maxStreams: 0, cooldown: 9d }")).unwrap_err();
    assert_eq!(problems.len(), 3, "{problems:?}");
}

#[test]
fn a_problem_stays_short_whatever_was_typed() {
    let problems = check(&with(&format!("endpointId: PP-{}", "é".repeat(100_000)))).unwrap_err();
    assert!(problems.iter().all(|p| p.chars().count() < 400), "{}", problems[0].len());
}

#[test]
fn an_unknown_enum_value_survives_reading_and_returns_as_typed() {
    let peer = read(json(&with("quotas: { allowedTests: [Jitter] }"))).unwrap();
    assert_eq!(
        peer.spec.quotas.as_ref().unwrap().allowed_tests,
        Some(vec![TestType::Unknown("Jitter".into())])
    );
    assert_eq!(serde_json::to_value(&peer).unwrap()["spec"]["quotas"]["allowedTests"][0], "Jitter");
}

#[test]
fn an_object_returns_as_typed() {
    let typed = json(&with(&format!(
        "endpointId: {ID}\nquotas: {{ maxTestDuration: 60s, bytesPerDay: 1500M, cooldown: 5, maxRate: 500000000 }}"
    )));
    let peer = read(typed.clone()).unwrap();
    assert_eq!(serde_json::to_value(&peer).unwrap(), typed);
}

#[test]
fn spec_endpoint_id_wins_over_a_bound_one() {
    let bound = format!("status:\n  endpointId: {OTHER}\n");
    let both = check(&(with(&format!("endpointId: {ID}")) + &bound)).unwrap();
    assert_eq!(both.endpoint_id, Some(ID.parse().unwrap()));
    let only = check(&(with("") + &bound)).unwrap();
    assert_eq!(only.endpoint_id, Some(OTHER.parse().unwrap()));
    let problems = check(&(with("") + "status: { endpointId: PP-1 }")).unwrap_err();
    assert!(problems[0].starts_with("status.endpointId"), "{problems:?}");
}

#[test]
fn the_older_object_wins_then_the_first_key() {
    let at = |text: &str| Some(text.parse().unwrap());
    let seniority = |created, key| Seniority { created, key };
    assert!(seniority(at("2026-01-01T00:00:00Z"), "z") < seniority(at("2026-01-02T00:00:00Z"), "a"));
    assert!(seniority(at("2026-01-01T00:00:00Z"), "a") < seniority(at("2026-01-01T00:00:00Z"), "b"));
    assert!(seniority(None, "z") < seniority(at("2026-01-01T00:00:00Z"), "a"));
}

#[test]
fn the_schema_and_the_validator_know_the_same_bounds() {
    let spec = &crate::definition::PEER.part("spec")["properties"];
    let quotas = &spec["quotas"]["properties"];
    for (field, most) in [
        ("maxConcurrentTests", MAX_CONCURRENT_TESTS),
        ("testsPerHour", MAX_TESTS_PER_HOUR),
        ("maxStreams", MAX_STREAMS),
        ("maxEchoPps", MAX_ECHO_PPS),
    ] {
        assert_eq!(quotas[field]["maximum"].as_f64(), Some(f64::from(most)), "{field}");
        assert_eq!(quotas[field]["minimum"].as_f64(), Some(1.0), "{field}");
    }
    assert_eq!(spec["displayName"]["maxLength"], MAX_DISPLAY_NAME);
    assert_eq!(spec["reflectorRef"]["properties"]["name"]["maxLength"], MAX_NAME);
}

proptest! {
    #[test]
    fn validation_never_panics_and_quotas_stay_inside_their_bounds(
        duration in "[0-9]{0,4}[smhd]?", concurrent in any::<i64>(), streams in -2i64..200, bytes in "[0-9]{1,4}[kMGTPE]?",
    ) {
        let lines = format!(
            "quotas: {{ maxTestDuration: '{duration}', maxConcurrentTests: {concurrent}, maxStreams: {streams}, bytesPerDay: '{bytes}' }}"
        );
        if let Ok(peer) = check(&with(&lines)) {
            let q = peer.quotas;
            prop_assert!(q.max_test_duration.unwrap() <= MAX_TEST_DURATION && !q.max_test_duration.unwrap().is_zero());
            prop_assert!((1..=MAX_CONCURRENT_TESTS).contains(&q.max_concurrent_tests.unwrap()));
            prop_assert!((1..=MAX_STREAMS).contains(&q.max_streams.unwrap()));
            prop_assert!((1..=MAX_BYTE_AMOUNT).contains(&q.bytes_per_day.unwrap()));
        }
    }
}
