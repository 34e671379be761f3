//! One message of each type and shape. No two fields share a value, so a swap shows.

use crds::EndpointId;
use jiff::Timestamp;
use reflector::engine::measured::{Measured, StreamMeasured};
use reflector::ledger::quota::LastTest;
use reflector::link::message::{
    ActiveTest, Message, Mode, PathMeta, PolicySummary, Protocol, ServerHello, SessionGrant, SessionParams,
    SessionResult, StatusSnapshot, TestType,
};
use reflector::reason::{DenyReason, EndReason};
use uuid::Uuid;

/// Name of the golden file and the message.
pub(crate) fn samples() -> Vec<(&'static str, Message)> {
    [hellos(), requests(), answers(), facts(), others()].concat()
}

fn id() -> EndpointId {
    EndpointId::from_public_key([0x42; 32])
}

fn test_id() -> Uuid {
    Uuid::from_u128(0x0f1e_2d3c_4b5a_4978_8695_a4b3_c2d1_e0f1)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn hellos() -> Vec<(&'static str, Message)> {
    let features = vec!["throughput".to_owned(), "udp_echo".to_owned()];
    let policy_summary = PolicySummary {
        max_test_duration_sec: 60,
        max_concurrent_tests: 1,
        max_tests_per_hour: 10,
        allowed_test_types: vec![TestType::Throughput, TestType::UdpEcho],
    };
    let hello = ServerHello {
        version: "1.0".into(),
        features: features.clone(),
        policy_summary,
        network_position: Some("wan".into()),
        bytes_remaining: None,
        succession: None,
    };
    let extended = ServerHello { network_position: None, bytes_remaining: Some(99), ..hello.clone() };
    vec![
        ("hello", Message::Hello { version: "1.0".into(), features }),
        ("server_hello", Message::ServerHello(hello)),
        ("server_hello-extended", Message::ServerHello(extended)),
    ]
}

fn requests() -> Vec<(&'static str, Message)> {
    let request = |test_type, params| Message::SessionRequest { test_type, params };
    let bare = SessionParams { duration_sec: 7, protocol: None, streams: None, reverse: None, mode: None };
    let full = SessionParams {
        duration_sec: 30,
        protocol: Some(Protocol::Tcp),
        streams: Some(4),
        reverse: Some(false),
        mode: None,
    };
    let tunneled = SessionParams { mode: Some(Mode::Tunneled), ..full.clone() };
    vec![
        ("session_request", request(TestType::Throughput, full)),
        ("session_request-tunnel", request(TestType::Throughput, tunneled)),
        ("session_request-echo", request(TestType::UdpEcho, bare)),
        ("session_close", Message::SessionClose { test_id: test_id() }),
    ]
}

fn answers() -> Vec<(&'static str, Message)> {
    let grant = SessionGrant {
        test_id: test_id(),
        mode: Mode::DirectEphemeral,
        port: 4000,
        token: "5f0c1a52-9f3e-4a57-8d43-6f6f2a1f7c11".into(),
        expires_at: at(1_767_225_665),
        duration_sec: None,
        max_rate: None,
    };
    let deny = |reason, message: &str, retry_after_sec| Message::SessionDeny {
        reason,
        message: message.into(),
        retry_after_sec,
    };
    let result = SessionResult {
        test_id: test_id(),
        mode: Mode::Tunneled,
        end_reason: EndReason::QuotaExceeded,
        duration_ms: 10_004,
        bytes: 1_234_567_890,
        unread_bytes: 4_321,
        measured: Measured {
            streams: vec![StreamMeasured { id: 3, sender: true, bytes: 987, retransmits: Some(6) }],
            echo_dropped: vec![("rate".into(), 5)],
            ..Measured::default()
        },
    };
    vec![
        ("session_grant", Message::SessionGrant(grant.clone())),
        (
            "session_grant-duration",
            Message::SessionGrant(SessionGrant {
                duration_sec: Some(60),
                max_rate: Some(50_000_000),
                ..grant
            }),
        ),
        ("session_deny", deny(DenyReason::Busy, "another test runs", Some(17))),
        ("session_deny-final", deny(DenyReason::InvalidParams, "streams: at most 8", None)),
        ("session_result", Message::SessionResult(Box::new(result))),
    ]
}

fn facts() -> Vec<(&'static str, Message)> {
    let active = ActiveTest {
        test_id: test_id(),
        test_type: TestType::Throughput,
        peer_id: EndpointId::from_public_key([0x17; 32]),
        started_at: at(1_767_225_600),
        remaining_sec: 12,
    };
    let status = StatusSnapshot {
        endpoint_id: id(),
        uptime_sec: 86_400,
        active_test: Some(active),
        tests_today: 3,
        bytes_today: 4_500_000_001,
        network_position: Some("hybrid".into()),
        last_test: None,
    };
    let last = LastTest {
        test_id: test_id(),
        test_type: TestType::UdpEcho,
        reason: EndReason::QuotaExceeded,
        bytes: 77,
        duration_ms: 1_234,
        at: at(1_767_225_601),
    };
    let idle =
        StatusSnapshot { active_test: None, network_position: None, last_test: Some(last), ..status.clone() };
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
    vec![
        ("get_status", Message::GetStatus),
        ("status_snapshot", Message::StatusSnapshot(status)),
        ("status_snapshot-idle", Message::StatusSnapshot(idle)),
        ("get_path_meta", Message::GetPathMeta),
        ("path_meta", Message::PathMeta(meta.clone())),
        ("path_meta-no-mtu", Message::PathMeta(PathMeta { mtu: None, ..meta })),
    ]
}

fn others() -> Vec<(&'static str, Message)> {
    let paired = |success, message: &str, endpoint_id| Message::PairResponse {
        success,
        message: message.into(),
        endpoint_id,
    };
    vec![
        ("pair_request", Message::PairRequest { token: "abCD2345".into() }),
        ("pair_response", paired(true, "paired", Some(id()))),
        ("pair_response-refused", paired(false, "wrong code", None)),
        ("ok", Message::Ok),
        ("error", Message::Error { code: 403, message: "pair first".into() }),
    ]
}
