//! What limited a session, as far as the reflector alone can tell (pure): its own caps, its host, its senders' sockets.
//! The client adds what it saw and decides again.

use std::sync::Arc;

use crate::engine::evidence::limit::{Direction, Facts, Granted, Limit, decide};
use crate::engine::evidence::{Evidence, float};
use crate::link::message::TestType;

use super::observer::SessionRecord;

/// Of a session that has ended, unless its engine knew. `max_rate` is the peer's, in bits per second.
pub(super) fn note(record: &mut SessionRecord, max_rate: Option<u64>) {
    let Some(limit) = by(record, max_rate) else { return };
    let Some(ended) = &mut record.ended else { return };
    let measured = ended.measured.get_or_insert_default();
    Arc::make_mut(measured).limit.get_or_insert(limit);
}

/// Nothing limits an echo, or a test that never moved a byte.
fn by(record: &SessionRecord, max_rate: Option<u64>) -> Option<Limit> {
    if record.plan.test_type != TestType::Throughput || record.bytes == 0 {
        return None;
    }
    let nothing = Evidence::default();
    let evidence = record.measured().map_or(&nothing, |measured| &measured.evidence);
    let facts = Facts {
        direction: if record.plan.reverse { Direction::Down } else { Direction::Up },
        mode: record.mode,
        end_reason: Some(record.reason()),
        run_s: record.duration().as_secs_f64(),
        bytes: record.bytes,
        mbps: record.mbps(),
        asked_mbps: None,
        granted: Granted {
            duration_s: Some(record.plan.duration.as_secs_f64()),
            bytes: None,
            mbps: max_rate.map(|rate| float(rate) / 1e6),
        },
        udp: None,
        loaded_echo_us: None,
        idle_echo_us: None,
        local: &nothing,
        reflector: evidence,
    };
    Some(decide(&facts))
}
