//! Whatever a message holds, it reads back as it was written.

use crds::EndpointId;
use jiff::Timestamp;
use proptest::prelude::*;
use reflector::engine::measured::{Measured, StreamMeasured};
use reflector::link::message::{
    ActiveTest, Envelope, Message, Mode, PathMeta, PolicySummary, Protocol, ServerHello, SessionGrant,
    SessionParams, SessionResult, StatusSnapshot, TestType,
};
use reflector::link::{FrameDecoder, decode, encode};
use reflector::reason::{DenyReason, EndReason};
use uuid::Uuid;

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
                    succession: None,
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
    let grant =
        (uuids(), modes(), any::<u16>(), texts(), seconds(), (any::<Option<u64>>(), any::<Option<u64>>()));
    prop_oneof![
        (test_types(), params).prop_map(|(test_type, params)| Message::SessionRequest { test_type, params }),
        grant.prop_map(|(test_id, mode, port, token, expires_at, (duration_sec, max_rate))| {
            Message::SessionGrant(SessionGrant {
                test_id,
                mode,
                port,
                token,
                expires_at,
                duration_sec,
                max_rate,
            })
        }),
        (prop::sample::select(DenyReason::ALL), texts(), any::<Option<u64>>()).prop_map(
            |(reason, message, retry_after_sec)| Message::SessionDeny { reason, message, retry_after_sec }
        ),
        uuids().prop_map(|test_id| Message::SessionClose { test_id }),
        (uuids(), modes(), prop::sample::select(EndReason::ALL), any::<u64>(), any::<u64>()).prop_map(
            |(test_id, mode, end_reason, duration_ms, bytes)| {
                Message::SessionResult(Box::new(SessionResult {
                    test_id,
                    mode,
                    end_reason,
                    duration_ms,
                    bytes,
                    unread_bytes: bytes / 3,
                    measured: Measured {
                        streams: vec![StreamMeasured { id: 1, bytes, ..StreamMeasured::default() }],
                        ..Measured::default()
                    },
                }))
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
                    last_test: None,
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
