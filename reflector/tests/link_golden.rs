//! Every message against the bytes on file, and captured appliance frames against the Facts of pp-link/1.
//!
//! A changed byte is a changed protocol: appliances in the field abort on it. Rerun with `UPDATE_GOLDEN=1` only when
//! the change is meant.

use std::fs;
use std::path::PathBuf;

use crds::EndpointId;
use jiff::Timestamp;
use proptest::prelude::*;
use reflector::link::message::{
    ActiveTest, Envelope, Message, Mode, PathMeta, PolicySummary, Protocol, ServerHello, SessionGrant,
    SessionParams, SessionResult, StatusSnapshot, TestType,
};
use reflector::link::{FrameDecoder, decode, encode};
use reflector::reason::{DenyReason, EndReason};
use uuid::Uuid;

const UPDATE: &str = "UPDATE_GOLDEN=1 cargo test -p reflector --test link_golden";

/// Name of the file, the `request_id` and the message. No two fields share a value.
fn samples() -> Vec<(&'static str, Message)> {
    let id = EndpointId::from_public_key([0x42; 32]);
    let peer = EndpointId::from_public_key([0x17; 32]);
    let test_id = Uuid::from_u128(0x0f1e_2d3c_4b5a_4978_8695_a4b3_c2d1_e0f1);
    let at = |second| Timestamp::from_second(second).unwrap();
    let policy_summary = PolicySummary {
        max_test_duration_sec: 60,
        max_concurrent_tests: 1,
        max_tests_per_hour: 10,
        allowed_test_types: vec![TestType::Throughput, TestType::UdpEcho],
    };
    let hello = ServerHello {
        version: "1.0".into(),
        features: vec!["throughput".into(), "udp_echo".into()],
        policy_summary,
        network_position: Some("wan".into()),
        bytes_remaining: None,
    };
    let active = ActiveTest {
        test_id,
        test_type: TestType::Throughput,
        peer_id: peer,
        started_at: at(1_767_225_600),
        remaining_sec: 12,
    };
    let status = StatusSnapshot {
        endpoint_id: id,
        uptime_sec: 86_400,
        active_test: Some(active),
        tests_today: 3,
        bytes_today: 4_500_000_001,
        network_position: Some("hybrid".into()),
    };
    let grant = SessionGrant {
        test_id,
        mode: Mode::DirectEphemeral,
        port: 4000,
        token: "5f0c1a52-9f3e-4a57-8d43-6f6f2a1f7c11".into(),
        expires_at: at(1_767_225_665),
        duration_sec: None,
    };
    let meta = PathMeta {
        cpu_load: 0.25,
        memory_used_mb: 512,
        memory_total_mb: 8062,
        load_avg: [0.5, 0.75, 1.0],
        mtu: Some(1500),
        time_synced: true,
        build_version: "0.1.0".into(),
        build_hash: "7a2fa7d".into(),
    };
    let result = SessionResult {
        test_id,
        mode: Mode::Tunneled,
        end_reason: EndReason::QuotaExceeded,
        duration_ms: 10_004,
        bytes: 1_234_567_890,
    };
    let params = SessionParams {
        duration_sec: 30,
        protocol: Some(Protocol::Tcp),
        streams: Some(4),
        reverse: Some(false),
        mode: None,
    };
    let request = |test_type, params| Message::SessionRequest { test_type, params };
    let deny = |reason, message: &str, retry_after_sec| Message::SessionDeny {
        reason,
        message: message.into(),
        retry_after_sec,
    };
    let paired = |success, message: &str, endpoint_id| Message::PairResponse {
        success,
        message: message.into(),
        endpoint_id,
    };
    vec![
        (
            "hello",
            Message::Hello { version: "1.0".into(), features: vec!["throughput".into(), "udp_echo".into()] },
        ),
        ("server_hello", Message::ServerHello(hello.clone())),
        (
            "server_hello-extended",
            Message::ServerHello(ServerHello { network_position: None, bytes_remaining: Some(99), ..hello }),
        ),
        ("session_request", request(TestType::Throughput, params.clone())),
        (
            "session_request-tunnel",
            request(TestType::Throughput, SessionParams { mode: Some(Mode::Tunneled), ..params }),
        ),
        (
            "session_request-echo",
            request(
                TestType::UdpEcho,
                SessionParams { duration_sec: 7, protocol: None, streams: None, reverse: None, mode: None },
            ),
        ),
        ("session_grant", Message::SessionGrant(grant.clone())),
        ("session_grant-duration", Message::SessionGrant(SessionGrant { duration_sec: Some(60), ..grant })),
        ("session_deny", deny(DenyReason::Busy, "another test runs", Some(17))),
        ("session_deny-final", deny(DenyReason::InvalidParams, "streams: at most 8", None)),
        ("session_close", Message::SessionClose { test_id }),
        ("get_status", Message::GetStatus),
        ("status_snapshot", Message::StatusSnapshot(status.clone())),
        (
            "status_snapshot-idle",
            Message::StatusSnapshot(StatusSnapshot { active_test: None, network_position: None, ..status }),
        ),
        ("get_path_meta", Message::GetPathMeta),
        ("path_meta", Message::PathMeta(meta.clone())),
        ("path_meta-no-mtu", Message::PathMeta(PathMeta { mtu: None, ..meta })),
        ("pair_request", Message::PairRequest { token: "abCD2345".into() }),
        ("pair_response", paired(true, "paired", Some(id))),
        ("pair_response-refused", paired(false, "wrong code", None)),
        ("ok", Message::Ok),
        ("error", Message::Error { code: 403, message: "pair first".into() }),
        ("session_result", Message::SessionResult(result)),
    ]
}

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/link").join(format!("{name}.json"))
}

#[expect(clippy::disallowed_methods, reason = "how a person asks for new golden files")]
fn updating() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

/// The payload of the one frame in `bytes`.
fn payload(bytes: &[u8]) -> Vec<u8> {
    let mut decoder = FrameDecoder::new();
    decoder.push(bytes);
    let payload = decoder.pull().unwrap().expect("a whole frame").to_vec();
    assert!(!decoder.is_mid_frame(), "nothing behind the frame");
    payload
}

/// P2
#[test]
fn every_message_matches_its_golden_file_byte_for_byte() {
    for (name, message) in samples() {
        let envelope = Envelope { request_id: format!("req-{name}"), payload: message };
        let written = payload(&encode(&envelope).unwrap());
        let path = golden(name);
        if updating() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &written).unwrap();
        }
        let on_file = fs::read(&path).unwrap_or_default();
        assert_eq!(
            String::from_utf8(written).unwrap(),
            String::from_utf8(on_file.clone()).unwrap(),
            "{} differs; if the protocol is meant to change, run: {UPDATE}",
            path.display()
        );
        assert_eq!(decode(&on_file).as_ref(), Ok(&envelope), "{name} is read back");
    }
}

/// P2
#[test]
fn the_golden_files_cover_every_type_and_nothing_else() {
    let names: Vec<_> = samples().into_iter().map(|(name, _)| name).collect();
    for kind in [
        "hello",
        "server_hello",
        "session_request",
        "session_grant",
        "session_deny",
        "session_close",
        "get_status",
        "status_snapshot",
        "get_path_meta",
        "path_meta",
        "pair_request",
        "pair_response",
        "ok",
        "error",
        "session_result",
    ] {
        let text = fs::read_to_string(golden(kind)).unwrap();
        assert!(text.contains(&format!(r#""payload":{{"type":"{kind}""#)), "{text}");
    }
    for file in fs::read_dir(golden("ok").parent().unwrap()).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let known = name.strip_suffix(".json").is_some_and(|n| names.contains(&n));
        assert!(known, "tests/golden/link/{name} belongs to no sample: delete it");
    }
}

/// Frames captured from an appliance: length in hex, payload.
const CAPTURED: [(&str, &str); 3] = [
    (
        "00000067",
        r#"{"request_id":"init-0","payload":{"type":"hello","version":"1.0","features":["throughput","udp_echo"]}}"#,
    ),
    (
        "0000009e",
        r#"{"request_id":"req-1","payload":{"type":"session_request","test_type":"throughput","params":{"duration_sec":30,"protocol":"tcp","streams":4,"reverse":false}}}"#,
    ),
    ("0000004b", r#"{"request_id":"req-1","payload":{"type":"pair_request","token":"abCD2345"}}"#),
];

/// P2
#[test]
fn captured_appliance_frames_are_read_and_written_byte_for_byte() {
    for (length, json) in CAPTURED {
        let mut frame = u32::from_str_radix(length, 16).unwrap().to_be_bytes().to_vec();
        frame.extend_from_slice(json.as_bytes());
        let envelope = decode(&payload(&frame)).unwrap();
        assert_eq!(encode(&envelope).unwrap(), frame, "{json}");
    }
}

fn test_types() -> impl Strategy<Value = TestType> {
    prop_oneof![Just(TestType::Throughput), Just(TestType::UdpEcho)]
}

fn modes() -> impl Strategy<Value = Mode> {
    prop_oneof![Just(Mode::Tunneled), Just(Mode::DirectEphemeral)]
}

fn ids() -> impl Strategy<Value = EndpointId> {
    any::<[u8; 32]>().prop_map(EndpointId::from_public_key)
}

fn uuids() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn seconds() -> impl Strategy<Value = Timestamp> {
    (0i64..253_000_000_000).prop_map(|s| Timestamp::from_second(s).unwrap())
}

fn texts() -> impl Strategy<Value = String> {
    any::<String>()
}

fn fractions() -> impl Strategy<Value = f64> {
    (0u32..1_000_000).prop_map(|n| f64::from(n) / 1024.0)
}

fn hellos() -> impl Strategy<Value = Message> {
    let summary = (any::<u64>(), any::<u32>(), any::<u32>(), prop::collection::vec(test_types(), 0..3))
        .prop_map(|(max_test_duration_sec, max_concurrent_tests, max_tests_per_hour, allowed_test_types)| {
            PolicySummary {
                max_test_duration_sec,
                max_concurrent_tests,
                max_tests_per_hour,
                allowed_test_types,
            }
        });
    let features = || prop::collection::vec(texts(), 0..5);
    prop_oneof![
        (texts(), features()).prop_map(|(version, features)| Message::Hello { version, features }),
        (texts(), features(), summary, any::<Option<String>>(), any::<Option<u64>>()).prop_map(
            |(version, features, policy_summary, network_position, bytes_remaining)| {
                Message::ServerHello(ServerHello {
                    version,
                    features,
                    policy_summary,
                    network_position,
                    bytes_remaining,
                })
            }
        ),
    ]
}

fn sessions() -> impl Strategy<Value = Message> {
    let protocol = prop::option::of(prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp)]);
    let params =
        (any::<u64>(), protocol, any::<Option<u32>>(), any::<Option<bool>>(), prop::option::of(modes()))
            .prop_map(|(duration_sec, protocol, streams, reverse, mode)| SessionParams {
                duration_sec,
                protocol,
                streams,
                reverse,
                mode,
            });
    let grant = (uuids(), modes(), any::<u16>(), texts(), seconds(), any::<Option<u64>>());
    prop_oneof![
        (test_types(), params).prop_map(|(test_type, params)| Message::SessionRequest { test_type, params }),
        grant.prop_map(|(test_id, mode, port, token, expires_at, duration_sec)| {
            Message::SessionGrant(SessionGrant { test_id, mode, port, token, expires_at, duration_sec })
        }),
        (prop::sample::select(DenyReason::ALL), texts(), any::<Option<u64>>()).prop_map(
            |(reason, message, retry_after_sec)| Message::SessionDeny { reason, message, retry_after_sec }
        ),
        uuids().prop_map(|test_id| Message::SessionClose { test_id }),
        (uuids(), modes(), prop::sample::select(EndReason::ALL), any::<u64>(), any::<u64>()).prop_map(
            |(test_id, mode, end_reason, duration_ms, bytes)| {
                Message::SessionResult(SessionResult { test_id, mode, end_reason, duration_ms, bytes })
            }
        ),
    ]
}

fn facts() -> impl Strategy<Value = Message> {
    let active = (uuids(), test_types(), ids(), seconds(), any::<u64>()).prop_map(
        |(test_id, test_type, peer_id, started_at, remaining_sec)| ActiveTest {
            test_id,
            test_type,
            peer_id,
            started_at,
            remaining_sec,
        },
    );
    let status =
        (ids(), any::<u64>(), prop::option::of(active), any::<u32>(), any::<u64>(), any::<Option<String>>());
    let meta = (
        (fractions(), any::<u64>(), any::<u64>(), [fractions(), fractions(), fractions()]),
        (any::<Option<u32>>(), any::<bool>(), texts(), texts()),
    );
    prop_oneof![
        Just(Message::GetStatus),
        Just(Message::GetPathMeta),
        status.prop_map(
            |(endpoint_id, uptime_sec, active_test, tests_today, bytes_today, network_position)| {
                Message::StatusSnapshot(StatusSnapshot {
                    endpoint_id,
                    uptime_sec,
                    active_test,
                    tests_today,
                    bytes_today,
                    network_position,
                })
            }
        ),
        meta.prop_map(|((cpu_load, memory_used_mb, memory_total_mb, load_avg), rest)| {
            let (mtu, time_synced, build_version, build_hash) = rest;
            Message::PathMeta(PathMeta {
                cpu_load,
                memory_used_mb,
                memory_total_mb,
                load_avg,
                mtu,
                time_synced,
                build_version,
                build_hash,
            })
        }),
    ]
}

fn others() -> impl Strategy<Value = Message> {
    prop_oneof![
        texts().prop_map(|token| Message::PairRequest { token }),
        (any::<bool>(), texts(), prop::option::of(ids())).prop_map(|(success, message, endpoint_id)| {
            Message::PairResponse { success, message, endpoint_id }
        }),
        Just(Message::Ok),
        (any::<u32>(), texts()).prop_map(|(code, message)| Message::Error { code, message }),
    ]
}

proptest! {
    /// P2
    #[test]
    fn every_message_round_trips(
        request_id in "\\PC{0,40}",
        payload in prop_oneof![hellos(), sessions(), facts(), others()],
    ) {
        let envelope = Envelope { request_id, payload };
        let frame = encode(&envelope).unwrap();
        let mut decoder = FrameDecoder::new();
        decoder.push(&frame);
        prop_assert_eq!(decode(decoder.pull().unwrap().unwrap()), Ok(envelope));
    }
}
