//! What the reflector says. Each function builds one answer from what the other rooms know; none of them waits.

use std::time::Duration;

use crate::access::policy::{Quotas, Refusal, Verdict};
use crate::audit::{Event, EventType};
use crate::clock;
use crate::engine::path;
use crate::link::features::{Feature, Features, VERSION};
use crate::link::message::{
    ActiveTest, Envelope, Message, PolicySummary, ServerHello, SessionResult, StatusSnapshot, TestType,
};
use crate::link::reply::{self, FORBIDDEN, INTERNAL, PAIRING_HELPS};
use crate::reason::{DenyReason, RefuseReason};
use crate::session::Denied;

use super::connection::Connection;
use super::requests::SessionEnd;

/// Messages a reflector takes. The others it only sends.
pub(super) fn is_request(message: &Message) -> bool {
    matches!(
        message,
        Message::Hello { .. }
            | Message::SessionRequest { .. }
            | Message::SessionClose { .. }
            | Message::GetStatus
            | Message::GetPathMeta
            | Message::PairRequest { .. }
    )
}

/// To `hello`.
pub(super) fn server_hello(connection: &Connection) -> Message {
    let services = &connection.shared.services;
    let (policy, bytes_remaining) = match &connection.standing.borrow().verdict {
        Verdict::Allowed(policy) => {
            seen(connection);
            let quotas = &policy.seen_from(connection.remote.ip()).quotas;
            let usage = services.ledger.usage(&connection.peer).unwrap_or_default();
            (policy_summary(quotas, policy.total_concurrent_tests), usage.remaining(quotas.bytes_per_day))
        }
        // Who may only pair learns what pairing would give, by default.
        Verdict::Refused(_) => (services.default_summary.clone(), None),
    };
    let succession = connection
        .features
        .has(Feature::Succession)
        .then(|| services.identity.borrow().succession.clone())
        .flatten();
    Message::ServerHello(ServerHello {
        version: VERSION.to_owned(),
        features: connection.features.names(),
        policy_summary: policy,
        network_position: Some(services.position.to_owned()),
        bytes_remaining,
        succession,
    })
}

/// A peer that policy lets in is here.
pub(super) fn seen(connection: &Connection) {
    let services = &connection.shared.services;
    services.ledger.seen(connection.peer);
    if let Some(witness) = &services.witness {
        witness.seen(connection.peer, connection.remote.ip(), clock::now().wall);
    }
}

pub(super) fn policy_summary(quotas: &Quotas, total_concurrent_tests: u32) -> PolicySummary {
    let tests = [(TestType::Throughput, quotas.allow_throughput), (TestType::UdpEcho, quotas.allow_udp_echo)];
    PolicySummary {
        max_test_duration_sec: quotas.max_test_duration.as_secs(),
        max_concurrent_tests: quotas.max_concurrent_tests.min(total_concurrent_tests),
        max_tests_per_hour: quotas.tests_per_hour,
        allowed_test_types: tests.into_iter().filter(|(_, on)| *on).map(|(test, _)| test).collect(),
    }
}

/// Why a peer may not be here, in words it can show its owner.
pub(super) fn refusal(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Unknown => {
            return format!(
                "this reflector does not know you: {PAIRING_HELPS} (reflector pair), or to add your Endpoint ID \
                 (reflector peers add)"
            );
        }
        Refusal::NeverLoaded => "this reflector has no policy yet: try again in a minute, or ask its owner",
        Refusal::GraceOver => "this reflector lost its policy source for too long: ask its owner",
        Refusal::Invalid { .. } => "the entry that names you is broken: ask the owner of this reflector",
        Refusal::Expired { .. } => "your access has expired: ask the owner of this reflector",
        // No hint how to come back: it was a person's decision.
        Refusal::Removed | Refusal::Suspended { .. } => "access is revoked",
    }
    .to_owned()
}

/// Answers to messages that need no waiting.
pub(super) async fn simple(connection: &Connection, question: &Envelope) -> Envelope {
    let services = &connection.shared.services;
    let payload = match &question.payload {
        Message::GetStatus => Message::StatusSnapshot(status(connection)),
        Message::GetPathMeta => Message::PathMeta(path::collect(connection.local.ip())),
        Message::SessionClose { test_id } => {
            if let Err(not_yours) = services.sessions.close(&connection.peer, test_id).await {
                services.audit.record_limited(Event {
                    test_id: Some(*test_id),
                    decision: Some("denied"),
                    reason: Some(RefuseReason::ForeignSession.as_str()),
                    ..about(connection, EventType::SessionDenied)
                });
                return reply::error(question.request_id.as_str(), FORBIDDEN, not_yours.to_string());
            }
            Message::Ok
        }
        _ => return reply::error(question.request_id.as_str(), INTERNAL, "no answer for this message"),
    };
    Envelope { request_id: question.request_id.clone(), payload }
}

/// All numbers are the asking peer's own.
fn status(connection: &Connection) -> StatusSnapshot {
    let services = &connection.shared.services;
    let usage = services.ledger.usage(&connection.peer).unwrap_or_default();
    let uptime = clock::now().mono_ms.saturating_sub(services.started.mono_ms);
    let active_test = services.sessions.active(Some(&connection.peer)).pop().map(|newest| ActiveTest {
        test_id: newest.test_id,
        test_type: newest.test_type,
        peer_id: newest.peer,
        started_at: newest.started_at,
        remaining_sec: newest.remaining.as_secs(),
    });
    StatusSnapshot {
        endpoint_id: services.identity.borrow().identity.id(),
        uptime_sec: Duration::from_millis(uptime).as_secs(),
        active_test,
        tests_today: usage.tests_today,
        bytes_today: usage.bytes_today,
        network_position: Some(services.position.to_owned()),
        last_test: usage.last_test,
    }
}

/// Pushed after a session to peers that asked for results.
pub(super) fn session_result(features: Features, (request_id, record): SessionEnd) -> Option<Envelope> {
    let record = record.filter(|_| features.has(Feature::Results))?;
    let result = SessionResult {
        test_id: record.test_id,
        mode: record.mode,
        end_reason: record.reason(),
        duration_ms: u64::try_from(record.duration().as_millis()).unwrap_or(u64::MAX),
        bytes: record.bytes,
        unread_bytes: record.unread_bytes,
        measured: record.measured().cloned().unwrap_or_default(),
    };
    Some(Envelope { request_id, payload: Message::SessionResult(Box::new(result)) })
}

/// We could not even look at the socket: no place for a test.
pub(super) fn no_descriptors() -> Denied {
    Denied {
        reason: DenyReason::ResourceExhausted,
        message: "no descriptor is free for another test: try again in a minute".to_owned(),
        retry_after_sec: Some(60),
    }
}

/// The TLS connection gave no keys for a test: cannot happen after a handshake, and is not the peer's doing.
pub(super) fn no_keys() -> Denied {
    Denied {
        reason: DenyReason::Busy,
        message: "this connection cannot make keys for a test: connect again".to_owned(),
        retry_after_sec: Some(60),
    }
}

/// An event about this connection.
pub(super) fn about(connection: &Connection, kind: EventType) -> Event {
    Event { peer_id: Some(connection.peer), source: Some(connection.remote.ip()), ..Event::new(kind) }
}
