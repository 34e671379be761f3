//! Reports for tests: no two fields share a value, so that a swap shows.

mod pod;

use std::sync::Arc;

use crds::EndpointId;
use crds::peer::{LastTest, PairingCounts, PeerReflectorStatus, Revocation, Usage};
use crds::reasons::ReflectorReason;
use crds::reflector::SelfTestStatus;
use jiff::Timestamp;

use super::condition::whole_seconds;
use super::*;

pub(super) fn peer(n: u64) -> Subject {
    Subject::Peer { name: Arc::from(format!("peer-{n}")), uid: Arc::from(format!("uid-{n}")) }
}

pub(super) fn own() -> Subject {
    Subject::Own { uid: Arc::from("uid-own") }
}

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + second).unwrap()
}

pub(super) fn own_facts() -> OwnFacts {
    OwnFacts {
        pod_uid: Some("pod-1".into()),
        endpoint_id: EndpointId::from_public_key([1; 32]),
        version: "0.1.0".into(),
        policy_generation: Some(3),
        network_position: "lan".into(),
        self_test: Some(SelfTestStatus { verdict: Some("READY".into()), ..SelfTestStatus::default() }),
        active_tests: 2,
        accepting: Said::yes(ReflectorReason::Listening, ""),
        policy_current: Said::yes(ReflectorReason::Loaded, ""),
        hardware_ready: Said::unknown(ReflectorReason::NotTested, ""),
    }
}

pub(super) fn own_report(change: impl FnOnce(&mut OwnFacts)) -> Report {
    let mut facts = own_facts();
    change(&mut facts);
    Report::Own(Box::new(OwnReport::new(&facts, &[], at(0))))
}

pub(super) fn peer_report(change: impl FnOnce(&mut PeerReflectorStatus)) -> Report {
    peer_report_of(Reach::One, change)
}

pub(super) fn peer_report_of(reach: Reach, change: impl FnOnce(&mut PeerReflectorStatus)) -> Report {
    let mut entry = PeerReflectorStatus {
        name: "attic".into(),
        loaded_generation: Some(2),
        loaded_endpoint_id: Some(EndpointId::from_public_key([2; 32]).to_string()),
        last_seen: Some(whole_seconds(at(10))),
        last_address: Some("192.0.2.7".into()),
        usage: Some(Usage {
            tests_today: Some(4),
            bytes_today: Some(1_000),
            bytes_remaining: Some(4_000),
            denied_today: Some(5),
            day: Some("2026-11-21".into()),
        }),
        last_test: Some(LastTest { bytes: Some(600), ..LastTest::default() }),
        revocation: Some(Revocation { enforced_at: Some(whole_seconds(at(20))), latency_ms: Some(12.0) }),
        claim: None,
        pairing: Some(PairingCounts { wrong: Some(6), ..PairingCounts::default() }),
    };
    change(&mut entry);
    Report::Peer(Box::new(PeerReport { entry, reach }))
}
