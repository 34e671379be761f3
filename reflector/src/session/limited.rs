//! What limited a session, as far as the reflector alone can tell (pure): its own caps, its host, its senders' sockets.
//! The client adds what it saw and decides again.

use crate::engine::evidence::limit::{Direction, Facts, Granted, Limit, decide};
use crate::engine::evidence::{Evidence, NOTHING, float};
use crate::link::message::TestType;

use super::observer::SessionRecord;

/// Of a throughput session that has ended; nothing limits an echo. `max_rate` is the peer's, in bits per second.
pub(super) fn by(record: &SessionRecord, max_rate: Option<u64>) -> Option<Limit> {
    if record.plan.test_type != TestType::Throughput || record.bytes == 0 {
        return None;
    }
    let evidence: &Evidence = record.measured().map_or(&NOTHING, |measured| &measured.evidence);
    let facts = Facts {
        direction: if record.plan.reverse { Direction::Down } else { Direction::Up },
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
        local: &NOTHING,
        reflector: evidence,
    };
    Some(decide(&facts))
}
