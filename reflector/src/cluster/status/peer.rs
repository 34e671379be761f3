//! The pod's own entry in a peer's status, and the peer's columns when it names one Reflector.

use std::time::Duration;

use crds::EndpointId;
use crds::peer::{Claim, LastTest, PairingCounts, PeerReflectorStatus, Usage};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::engine::evidence::Real;
use crate::ledger;
use crate::link::message::{Mode, TestType};
use crate::session::SessionRecord;

use super::condition::whole_seconds;
use super::witness::Happened;

/// Whom a peer names, and what that means for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// This Reflector alone: its columns show our numbers.
    One,
    /// A fleet: the operator sums up, and lets a member write only into the entry it made for it.
    Fleet {
        /// Our entry is there.
        entered: bool,
    },
}

/// What is said about one peer.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerReport {
    /// Our entry.
    pub entry: PeerReflectorStatus,
    /// Whether others have one too.
    pub reach: Reach,
}

impl PeerReport {
    pub(super) fn may_be_written(&self) -> bool {
        self.reach != Reach::Fleet { entered: false }
    }
}

/// What goes into an entry.
#[derive(Debug, Clone)]
pub struct EntryFacts<'a> {
    /// Name of our Reflector.
    pub reflector: &'a str,
    /// Generation of the peer's object that is in force.
    pub generation: i64,
    /// The ID it is in force for.
    pub enforced_for: Option<EndpointId>,
    /// What that ID used of a day.
    pub usage: Option<Usage>,
    /// When the ledger saw it last, before this process.
    pub seen_before: Option<Timestamp>,
    /// Its last session, as the ledger has it.
    pub test_before: Option<LastTest>,
    /// What happened to it since the process started.
    pub happened: Happened,
    /// A claim on the object.
    pub claim: Option<Claim>,
    /// Wrong codes.
    pub pairing: Option<PairingCounts>,
}

/// The entry. `there` is what the API server has: what an earlier process wrote about the same appliance stays, so that a
/// restart neither loses nor writes anything.
pub fn entry(facts: EntryFacts<'_>, there: Option<&PeerReflectorStatus>) -> PeerReflectorStatus {
    let enforced_for = facts.enforced_for.map(|id| id.to_string());
    let mut entry = PeerReflectorStatus {
        name: facts.reflector.to_owned(),
        loaded_generation: Some(facts.generation),
        loaded_endpoint_id: enforced_for.clone(),
        claim: facts.claim,
        pairing: facts.pairing,
        ..PeerReflectorStatus::default()
    };
    if let Some(before) =
        there.filter(|there| enforced_for.is_none() || there.loaded_endpoint_id == enforced_for)
    {
        entry.revocation.clone_from(&before.revocation);
        if enforced_for.is_some() {
            entry.last_seen.clone_from(&before.last_seen);
            entry.last_address.clone_from(&before.last_address);
            entry.last_test.clone_from(&before.last_test);
        }
    }
    if enforced_for.is_none() {
        return entry;
    }
    let Happened { seen, address, test, revocation } = facts.happened;
    // The ledger's time is another clock: turned into a date twice, it may differ by a second, which would be a write.
    entry.last_seen =
        seen.map(whole_seconds).or(entry.last_seen).or_else(|| facts.seen_before.map(whole_seconds));
    entry.last_address = address.map(|address| address.to_string()).or(entry.last_address);
    entry.last_test = test.or(entry.last_test).or(facts.test_before);
    entry.revocation = revocation.or(entry.revocation);
    entry.usage = facts.usage;
    entry
}

/// Usage of a day. `limit` is the bytes a day may have.
pub fn usage(used: &ledger::Usage, limit: Option<u64>, now: Timestamp) -> Usage {
    let count = |n: u64| Some(i64::try_from(n).unwrap_or(i64::MAX));
    Usage {
        tests_today: count(used.tests_today.into()),
        bytes_today: count(used.bytes_today),
        bytes_remaining: used.remaining(limit).and_then(count),
        denied_today: count(used.denied_today.into()),
        day: Some(now.to_zoned(TimeZone::UTC).date().to_string()),
    }
}

/// A finished session, for status. The audit line and the peer's result have the same ID.
pub fn last_test(record: &SessionRecord, at: Timestamp) -> LastTest {
    let echo = record.plan.test_type == TestType::UdpEcho;
    LastTest {
        test_id: Some(record.test_id.to_string()),
        test_type: Some(type_name(record.plan.test_type).to_owned()),
        mode: Some(
            match record.mode {
                Mode::Tunneled => "Tunneled",
                Mode::DirectEphemeral => "Direct",
            }
            .to_owned(),
        ),
        direction: (!echo).then(|| if record.plan.reverse { "Download" } else { "Upload" }.to_owned()),
        bytes: i64::try_from(record.bytes).ok(),
        duration_ms: millis(record.duration()),
        mbps: record.mbps().filter(|_| record.bytes > 0 && !echo).map(Real::value),
        limit: record.limit().map(|limit| format!("{} / {}", limit.by, limit.cause)),
        end_reason: Some(record.reason().as_str().to_owned()),
        at: Some(whole_seconds(at)),
        ..LastTest::default()
    }
}

/// The last session as the ledger kept it over a restart: it has no speed, which depends on what the engine saw.
pub fn remembered_test(test: &ledger::quota::LastTest) -> LastTest {
    LastTest {
        test_id: Some(test.test_id.to_string()),
        test_type: Some(type_name(test.test_type).to_owned()),
        bytes: i64::try_from(test.bytes).ok(),
        duration_ms: i64::try_from(test.duration_ms).ok(),
        end_reason: Some(test.reason.as_str().to_owned()),
        at: Some(whole_seconds(test.at)),
        ..LastTest::default()
    }
}

/// As in objects; the wire has names of its own.
fn type_name(test_type: TestType) -> &'static str {
    match test_type {
        TestType::Throughput => "Throughput",
        TestType::UdpEcho => "UdpEcho",
    }
}

fn millis(duration: Duration) -> Option<i64> {
    i64::try_from(duration.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::super::tests::at;
    use super::*;

    fn id(n: u8) -> EndpointId {
        EndpointId::from_public_key([n; 32])
    }

    fn facts() -> EntryFacts<'static> {
        EntryFacts {
            reflector: "attic",
            generation: 4,
            enforced_for: Some(id(1)),
            usage: Some(Usage { bytes_today: Some(7), ..Usage::default() }),
            seen_before: Some(at(1)),
            test_before: Some(LastTest { bytes: Some(11), ..LastTest::default() }),
            happened: Happened::default(),
            claim: None,
            pairing: None,
        }
    }

    fn happened() -> Happened {
        Happened {
            seen: Some(at(50)),
            address: Some("192.0.2.9".parse().unwrap()),
            test: Some(LastTest { bytes: Some(13), ..LastTest::default() }),
            revocation: None,
        }
    }

    #[test]
    fn a_new_entry_says_what_the_ledger_remembers() {
        let entry = entry(facts(), None);
        assert_eq!((&*entry.name, entry.loaded_generation), ("attic", Some(4)));
        assert_eq!(entry.loaded_endpoint_id, Some(id(1).to_string()));
        assert_eq!((entry.last_seen, entry.last_address), (Some(whole_seconds(at(1))), None));
        assert_eq!(entry.last_test.unwrap().bytes, Some(11));
    }

    /// What an earlier process wrote stays, until something happens.
    #[test]
    fn a_restart_changes_nothing_and_what_happens_replaces_it() {
        let there = entry(EntryFacts { happened: happened(), ..facts() }, None);
        assert_eq!(entry(facts(), Some(&there)), there);
        let later = Happened { seen: Some(at(60)), ..Happened::default() };
        let entry = entry(EntryFacts { happened: later, ..facts() }, Some(&there));
        assert_eq!(entry.last_seen, Some(whole_seconds(at(60))));
        assert_eq!(entry.last_address.as_deref(), Some("192.0.2.9"));
    }

    #[test]
    fn another_appliance_inherits_nothing() {
        let there = entry(EntryFacts { happened: happened(), ..facts() }, None);
        let other = EntryFacts { enforced_for: Some(id(2)), seen_before: None, test_before: None, ..facts() };
        let entry = entry(other, Some(&there));
        assert_eq!((entry.last_seen, entry.last_address, entry.last_test), (None, None, None));
    }

    #[test]
    fn a_peer_that_waits_has_no_numbers() {
        let waiting = EntryFacts { enforced_for: None, happened: happened(), ..facts() };
        let entry = entry(waiting, None);
        let expected = PeerReflectorStatus {
            name: "attic".into(),
            loaded_generation: Some(4),
            ..PeerReflectorStatus::default()
        };
        assert_eq!(entry, expected);
    }

    #[test]
    fn usage_names_the_day_in_utc_and_what_is_left() {
        let used =
            ledger::Usage { bytes_today: 300, tests_today: 2, denied_today: 1, ..ledger::Usage::default() };
        let late = "2026-11-21T23:59:59Z".parse().unwrap();
        let expected = Usage {
            tests_today: Some(2),
            bytes_today: Some(300),
            bytes_remaining: Some(700),
            denied_today: Some(1),
            day: Some("2026-11-21".into()),
        };
        assert_eq!(usage(&used, Some(1_000), late), expected);
        assert_eq!(usage(&used, None, late).bytes_remaining, None);
    }
}
