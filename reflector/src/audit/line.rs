//! What a line looks like. Every line has the same fields in the same order; what does not apply is `null`, so a
//! missing field is never mistaken for an absent value. Counts of what could not be written stand only where they
//! are not zero.

use std::net::IpAddr;
use std::time::Duration;

use crds::EndpointId;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::chain::{Hash, Head, seal};
use super::event::Event;

/// Longest `params`. They repeat a request, and a request may be 1 MiB.
/// Test: `no_event_makes_a_line_longer_than_a_reader_takes`.
pub(super) const MAX_PARAMS: usize = 2048;
/// Longest object name: Kubernetes' own limit. Escaped, a byte may take six.
const MAX_NAME: usize = 253;
/// Longest line: params, a fully escaped name and every other field at its widest, rounded up. What a verifier reads
/// before it gives a line up. Test: `no_event_makes_a_line_longer_than_a_reader_takes`.
pub(super) const MAX_LINE: usize = 8192;

/// An event with everything the moment adds to it; waits in the queue.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) event: Event,
    /// When it happened, not when the disk was ready.
    pub(super) at: Timestamp,
    /// Who we were then: an identity may be rotated while lines wait.
    pub(super) endpoint_id: EndpointId,
    /// Events of this kind that were counted instead of written.
    pub(super) suppressed: u64,
}

/// Why a line is the first of its file. Without it, a file whose first lines were cut off would look like a file
/// that begins after a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Opens {
    /// First line ever.
    New,
    /// The file before was renamed (or is gone).
    Rotated,
    /// The file was cut to nothing while we wrote to it (`copytruncate`).
    Truncated,
}

#[derive(Serialize)]
struct Line<'a> {
    seq: u64,
    timestamp: String,
    event_type: &'static str,
    endpoint_id: EndpointId,
    peer_id: Option<EndpointId>,
    peer: Option<&'a str>,
    source: Option<IpAddr>,
    test_id: Option<Uuid>,
    test_type: Option<&'static str>,
    params: Option<Value>,
    decision: Option<&'static str>,
    reason: Option<&'static str>,
    bytes: Option<u64>,
    duration: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    opens: Option<Opens>,
    #[serde(skip_serializing_if = "is_zero")]
    lost: u64,
    #[serde(skip_serializing_if = "is_zero")]
    suppressed: u64,
    prev: Hash,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands fields over by reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The line of `entry` after `head`, without a newline, and the head it makes.
pub(super) fn render(
    entry: &Entry,
    head: Head,
    opens: Option<Opens>,
    lost: u64,
) -> Result<(String, Head), serde_json::Error> {
    let event = &entry.event;
    let line = Line {
        seq: head.seq.saturating_add(1),
        timestamp: format!("{:.3}", entry.at),
        event_type: event.kind.as_str(),
        endpoint_id: entry.endpoint_id,
        peer_id: event.peer_id,
        peer: event.peer_name.as_deref().map(|name| cut(name, MAX_NAME)),
        source: event.source,
        test_id: event.test_id,
        test_type: event.test_type,
        params: event.params.as_ref().map(bounded),
        decision: event.decision,
        reason: event.reason,
        bytes: event.bytes,
        duration: event.duration.map(seconds),
        opens,
        lost,
        suppressed: entry.suppressed,
        prev: head.hash,
    };
    let seq = line.seq;
    let (line, hash) = seal(serde_json::to_string(&line)?, head.hash);
    Ok((line, Head { seq, hash }))
}

/// Seconds with three decimals: what a person reads and a spreadsheet adds up.
fn seconds(duration: Duration) -> f64 {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(millis).as_secs_f64()
}

fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    end.and_then(|end| text.get(..end)).unwrap_or_default()
}

fn bounded(params: &Value) -> Value {
    let size = params.to_string().len();
    if size <= MAX_PARAMS { params.clone() } else { json!({ "omitted_bytes": size }) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::chain::open;
    use super::super::event::EventType;
    use super::*;

    fn entry(event: Event) -> Entry {
        Entry {
            event,
            at: "2025-03-01T10:20:30.4567Z".parse().unwrap(),
            endpoint_id: EndpointId::from_public_key([1; 32]),
            suppressed: 0,
        }
    }

    fn full(kind: EventType) -> Event {
        Event {
            peer_id: Some(EndpointId::from_public_key([2; 32])),
            peer_name: Some("attic".to_owned()),
            source: Some("192.0.2.7".parse().unwrap()),
            test_id: Some(Uuid::from_u128(3)),
            test_type: Some("throughput"),
            params: Some(json!({ "duration_sec": 30 })),
            decision: Some("allowed"),
            reason: Some("completed"),
            bytes: Some(4_000_000_001),
            duration: Some(Duration::from_micros(30_002_900)),
            ..Event::new(kind)
        }
    }

    /// L1: each of the nine types has every field, by name, in one order.
    #[test]
    fn every_event_type_makes_a_line_with_every_field() {
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
        for kind in EventType::ALL {
            for event in [full(kind), Event::new(kind)] {
                let (line, _) = render(&entry(event), Head::GENESIS, None, 0).unwrap();
                let value: Value = serde_json::from_str(&line).unwrap();
                let names: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
                assert_eq!(names, FIELDS);
                assert_eq!(value["event_type"], kind.as_str());
            }
        }
    }

    /// L1
    #[test]
    fn a_line_says_what_happened() {
        let head = Head { seq: 41, ..Head::GENESIS };
        let (line, after) = render(&entry(full(EventType::SessionCompleted)), head, None, 0).unwrap();
        let id = EndpointId::from_public_key([1; 32]);
        let peer = EndpointId::from_public_key([2; 32]);
        let zero = Hash::ZERO;
        let hash = after.hash;
        assert_eq!(after.seq, 42);
        assert_eq!(
            line,
            format!(
                "{{\"seq\":42,\"timestamp\":\"2025-03-01T10:20:30.456Z\",\"event_type\":\"session_completed\",\
                 \"endpoint_id\":\"{id}\",\"peer_id\":\"{peer}\",\"peer\":\"attic\",\"source\":\"192.0.2.7\",\
                 \"test_id\":\"00000000-0000-0000-0000-000000000003\",\"test_type\":\"throughput\",\
                 \"params\":{{\"duration_sec\":30}},\"decision\":\"allowed\",\"reason\":\"completed\",\
                 \"bytes\":4000000001,\"duration\":30.002,\"prev\":\"{zero}\",\"hash\":\"{hash}\"}}"
            )
        );
    }

    #[test]
    fn counts_of_what_was_not_written_stand_in_the_line() {
        let entry = Entry { suppressed: 12, ..entry(Event::new(EventType::ConnectionDenied)) };
        let (line, _) = render(&entry, Head::GENESIS, Some(Opens::Rotated), 5).unwrap();
        assert!(line.contains("\"opens\":\"rotated\",\"lost\":5,\"suppressed\":12,\"prev\""), "{line}");
    }

    #[test]
    fn params_that_are_too_long_are_replaced_by_their_size() {
        let fits = json!("x".repeat(MAX_PARAMS - 2));
        assert_eq!(bounded(&fits), fits);
        assert_eq!(bounded(&json!("x".repeat(MAX_PARAMS - 1))), json!({ "omitted_bytes": MAX_PARAMS + 1 }));
    }

    proptest! {
        #[test]
        fn no_event_makes_a_line_longer_than_a_reader_takes(name in "\\PC{0,400}|[\u{0}-\u{1f}]{0,400}", params in "\\PC{0,3000}|[\u{0}-\u{1f}]{0,3000}") {
            let event = Event {
                peer_name: Some(name),
                params: Some(json!({ "p": params })),
                bytes: Some(u64::MAX),
                duration: Some(Duration::MAX),
                ..full(EventType::ConnectionAccepted)
            };
            let entry = Entry { suppressed: u64::MAX, ..entry(event) };
            let head = Head { seq: u64::MAX, ..Head::GENESIS };
            let (line, _) = render(&entry, head, Some(Opens::Truncated), u64::MAX).unwrap();
            prop_assert!(line.len() < MAX_LINE, "{}", line.len());
            prop_assert!(!line.contains('\n'));
            prop_assert!(open(line.as_bytes()).is_ok());
        }

        #[test]
        fn durations_are_written_with_at_most_three_decimals(millis in 0_u64..400_000_000) {
            let text = serde_json::to_string(&seconds(Duration::from_millis(millis))).unwrap();
            let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
            prop_assert!(decimals <= 3, "{text}");
        }
    }
}
