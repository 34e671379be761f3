//! From findings and decisions to what people read.

use crds::peer::validate;

use super::*;
use crate::clock::Now;
use crate::metrics::Pairing;
use crate::peers::decide::decide;
use crate::peers::testing::{at, found, id, moment, named, peer, waiting};
use crate::writing::{Note, Severity};

const NOON: &str = "2026-01-02T12:00:00Z";

fn done(found: &Found) -> (OurStatus, Decision) {
    let (valid, now) = (validate(&found.peer).unwrap(), at(NOON));
    let decision = decide(found, &valid, valid.suspended || is_over(&valid, now.wall), now.wall);
    (status(found, &Progress::Done(&valid, &decision), now), decision)
}

/// `status reason` of a condition, and its message.
fn says(ours: &OurStatus, type_: &str) -> (String, String) {
    let condition = ours.condition(type_).unwrap_or_else(|| panic!("no {type_} in {ours:?}"));
    (format!("{} {}", condition.status, condition.reason), condition.message.clone())
}

/// attic has loaded this generation for this Endpoint ID.
fn loaded(byte: u8, more: &str) -> String {
    format!("reflectors: [{{ name: attic, loadedGeneration: 3, loadedEndpointId: {}, {more} }}]", id(byte))
}

fn declared(more_spec: &str, status: &str) -> Found {
    found(peer(&format!("endpointId: {}, {more_spec}", id(1)), status))
}

#[test]
fn each_state_has_its_reason_and_the_words_that_help() {
    let with = |change: fn(&mut Found)| {
        let mut found = declared("", &loaded(1, ""));
        change(&mut found);
        found
    };
    let claimed = format!("pairing: {{ state: Claimed, round: 0, confirm: {} }}", id(1).confirm());
    let full = || {
        let mut found = found(peer("", ""));
        found.waiting_beside = 64;
        found
    };
    let table = [
        (declared("", &loaded(1, "")), "True Authorized", ""),
        (declared("", ""), "False NotLoaded", "attic."),
        (declared("", &loaded(2, "")), "False NotLoaded", "attic."),
        (
            declared("", &loaded(1, "").replace("loadedGeneration: 3", "loadedGeneration: 2")),
            "False NotLoaded",
            "",
        ),
        (declared("suspend: true", &loaded(1, "")), "False Suspended", "Remove spec.suspend"),
        (declared("expiresAt: '2026-01-02T11:59:59Z'", ""), "False Expired", "Move spec.expiresAt"),
        (with(|found| found.named = None), "False ReflectorNotFound", "Reflector/attic"),
        (
            with(|found| found.older = Some(("old".into(), "attic".into()))),
            "False Duplicate",
            "old has it on attic",
        ),
        (with(|found| found.named = Some(named(&[]))), "False NoMembers", ""),
        (
            found(peer("", &waiting())),
            "False Waiting",
            "pairing-0f1e2d3c-0 has it until 2026-01-02T12:10:00Z",
        ),
        (found(peer("", &claimed)), "False Claimed", &*id(1).confirm()),
        (found(peer("", "pairing: { state: Expired, round: 0 }")), "False PairingExpired", "--again"),
        (full(), "False TooManyWaiting", "at most 64"),
        (found(peer("suspend: true", "")), "False Suspended", ""),
    ];
    for (found, expected, words) in table {
        let (ours, _) = done(&found);
        let (ready, message) = says(&ours, "Ready");
        assert_eq!(ready, expected);
        assert!(message.contains(words), "{expected}: {message}");
        assert!(ours.condition("Stalled").is_none() && ours.observed_generation == Some(3));
    }
}

/// A6
#[test]
fn a_fleet_wide_peer_is_ready_when_every_member_has_loaded_it() {
    let mut fleet = declared("", &loaded(1, ""));
    fleet.named = Some(named(&["attic", "barn", "c", "d", "e", "f", "g"]));
    let (ours, _) = done(&fleet);
    let (ready, message) = says(&ours, "Ready");
    assert_eq!(ready, "False NotLoaded");
    assert!(message.contains("barn, c, d, e, f and 1 more."), "{message}");
    let names: Vec<&str> = ours.reflectors.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["attic", "barn", "c", "d", "e", "f", "g"]);
}

#[test]
fn what_is_paired_and_what_is_not_says_how() {
    let paired = |found: &Found| says(&done(found).0, "Paired").0;
    assert_eq!(paired(&declared("", "")), "True Declared");
    let bound = format!("endpointId: {}, pairing: {{ state: Bound, round: 0 }}", id(1));
    assert_eq!(paired(&found(peer("", &bound))), "True Bound");
    let mut no_place = found(peer("pairing: { round: 1 }", &bound));
    no_place.waiting_beside = 64;
    assert_eq!(paired(&no_place), "True TooManyWaiting", "paired, and waits for a place");
    assert_eq!(paired(&found(peer("", &waiting()))), "False Waiting");
    assert_eq!(paired(&found(peer("suspend: true", ""))), "False PairingRequired");
    let (ours, _) = done(&found(peer("", &bound)));
    assert_eq!((ours.endpoint_id, ours.short_id), (Some(id(1).to_string()), Some(id(1).short())));
}

#[test]
fn a_revocation_is_true_only_when_every_reflector_has_it() {
    let revoked = |spec: &str, status: &str| says(&done(&declared(spec, status)).0, "Revoked").0;
    assert_eq!(revoked("", ""), "False NotRevoked");
    assert_eq!(revoked("suspend: true", ""), "False NotLoaded");
    assert_eq!(revoked("suspend: true", &loaded(1, "")), "True Suspended");
    assert_eq!(revoked("expiresAt: '2026-01-01T00:00:00Z'", &loaded(1, "")), "True Expired");
}

#[test]
fn that_an_id_was_replaced_is_said_and_stays_said() {
    let old = declared("", &format!("endpointId: {}", id(2)));
    let (first, _) = done(&old);
    let (reason, message) = says(&first, "Revoked");
    assert_eq!(reason, "False EndpointIdChanged");
    assert!(message.contains(&id(2).short()), "{message}");
    let mut later = (*old.peer).clone();
    let there = later.status.as_mut().unwrap();
    there.endpoint_id.clone_from(&first.endpoint_id);
    there.conditions.clone_from(&first.conditions);
    let (second, _) = done(&found(later));
    assert_eq!(says(&second, "Revoked"), (reason, message));
}

#[test]
fn quota_is_gone_when_nothing_is_left_today_and_back_the_next_day() {
    let quota = |usage: &str, now: &str| {
        let found = declared("", &loaded(1, &format!("usage: {{ {usage} }}")));
        let (valid, now) = (validate(&found.peer).unwrap(), at(now));
        let decision = decide(&found, &valid, false, now.wall);
        says(&status(&found, &Progress::Done(&valid, &decision), now), "QuotaAvailable").0
    };
    let empty = "bytesRemaining: 0, day: '2026-01-02'";
    assert_eq!(quota(empty, "2026-01-02T23:59:59Z"), "False BytesUsedUp");
    assert_eq!(quota(empty, "2026-01-03T00:00:00Z"), "True QuotaLeft");
    assert_eq!(quota("bytesRemaining: 1, day: '2026-01-02'", NOON), "True QuotaLeft");
    assert_eq!(quota("bytesToday: 9, day: '2026-01-02'", NOON), "True QuotaLeft", "no limit");
    assert_eq!(quota_edge(moment(NOON)), Some(moment("2026-01-03T00:00:00Z")));
    assert!(done(&found(peer("", &waiting()))).0.condition("QuotaAvailable").is_none(), "of whom?");
}

#[test]
fn what_was_written_is_not_written_again_however_late_it_is() {
    let claimed = format!("pairing: {{ state: Claimed, round: 0, confirm: {} }}", id(1).confirm());
    let expired = "pairing: { state: Expired, round: 0 }".to_owned();
    for (spec, status_text) in [
        (format!("endpointId: {}", id(1)), loaded(1, "lastAddress: 192.0.2.9")),
        (String::new(), waiting()),
        (String::new(), claimed),
        (String::new(), expired),
        ("suspend: true".to_owned(), waiting()),
    ] {
        let before = found(peer(&spec, &status_text));
        let (ours, _) = done(&before);
        assert!(!ours.is_in(&before.peer, false), "{status_text}");
        let mut there = serde_json::to_value(&*before.peer).unwrap();
        let written = serde_json::to_value(&ours).unwrap();
        // As the server merges it: lists of names keep what pods wrote.
        for (field, value) in written.as_object().unwrap() {
            if field != "reflectors" || there["status"][field].is_null() {
                there["status"][field] = value.clone();
            }
        }
        if written.get("pairing").is_none() {
            there["status"].as_object_mut().unwrap().remove("pairing");
        }
        let after = found(serde_json::from_value(there).unwrap());
        let valid = validate(&after.peer).unwrap();
        let late: Now = at("2026-01-02T12:09:59Z");
        let again = decide(&after, &valid, valid.suspended, late.wall);
        let ours = status(&after, &Progress::Done(&valid, &again), late);
        assert!(ours.is_in(&after.peer, false), "{ours:?}\n{:?}", after.peer.status);
    }
}

#[test]
fn an_invalid_spec_is_said_with_its_fields_and_takes_nothing_that_was_granted() {
    let status_text = format!("endpointId: {}, pairing: {{ state: Bound, round: 0 }}", id(1));
    let bad_id = found(peer("endpointId: PP-NONSENSE", &status_text));
    let problems = validate(&bad_id.peer).unwrap_err();
    let ours = status(&bad_id, &Progress::Invalid(&problems), at(NOON));
    assert_eq!(says(&ours, "Ready").0, "False InvalidEndpointId");
    assert_eq!(says(&ours, "Stalled").0, "True InvalidEndpointId");
    assert_eq!(ours.endpoint_id, Some(id(1).to_string()));
    assert!(ours.pairing.is_some());
    let bad = found(peer("displayName: \"a\\nb\"", ""));
    let problems = validate(&bad.peer).unwrap_err();
    let (reason, message) = says(&status(&bad, &Progress::Invalid(&problems), at(NOON)), "Ready");
    assert_eq!(reason, "False InvalidSpec");
    assert!(message.contains("spec.displayName"), "{message}");
}

#[test]
fn a_secret_that_cannot_be_made_is_said_but_whoever_is_in_stays_in() {
    let failed = |found: &Found| {
        let valid = validate(&found.peer).unwrap();
        let ours = status(found, &Progress::Failed(&valid, "create Secret x: forbidden".into()), at(NOON));
        says(&ours, "Ready")
    };
    let (reason, message) = failed(&found(peer("", "")));
    assert_eq!(reason, "False ApplyFailed");
    assert!(message.contains("create Secret x: forbidden"), "{message}");
    assert_eq!(failed(&declared("", &loaded(1, ""))).0, "True Authorized");
}

#[test]
fn the_numbers_of_one_reflector_are_its_pods_and_those_of_a_fleet_are_ours() {
    let status_text = loaded(1, "usage: { testsToday: 4, day: '2026-01-02' }");
    let mut one = declared("", &status_text);
    assert_eq!(done(&one).0.usage, None);
    one.named = Some(named(&["attic", "barn"]));
    let (ours, _) = done(&one);
    assert_eq!(ours.usage.clone().and_then(|usage| usage.tests_today), Some(4));
    one.named = Some(named(&["barn", "cellar"]));
    assert_eq!(done(&one).0.usage, None, "attic is no member any more");
    assert_eq!(one.departed(), ["attic"]);
}

#[test]
fn a_pairing_is_changed_without_touching_anything_else() {
    let before = declared("", &format!("endpointId: {}, {}, {}", id(1), waiting(), loaded(1, "")));
    let (ours, _) = done(&before);
    let mut there = (*before.peer).clone();
    let status = there.status.as_mut().unwrap();
    status.conditions.clone_from(&ours.conditions);
    status.observed_generation = Some(3);
    let expired = PairingStatus { round: Some(7), ..PairingStatus::default() };
    let changed = with_pairing(&there, expired.clone());
    assert!(!changed.is_in(&there, false));
    there.status.as_mut().unwrap().pairing = Some(expired);
    assert!(changed.is_in(&there, false), "{changed:?}");
}

fn told(before: &Found, after: &Found) -> Vec<(String, Severity)> {
    let (old, _) = done(before);
    let (new, decision) = done(after);
    let notes = notes(&old.conditions, &new, &decision.refused);
    notes.into_iter().map(|Note { reason, severity, .. }| (reason, severity)).collect()
}

#[test]
fn each_step_of_a_pairing_is_told_once() {
    let (waits, code) = (found(peer("", &waiting())), waiting());
    let expired = found(peer("", "pairing: { state: Expired, round: 0 }"));
    let bound = format!("endpointId: {}, pairing: {{ state: Bound, round: 0 }}", id(1));
    let (bound, loaded) = (found(peer("", &bound)), found(peer("", &format!("{bound}, {}", loaded(1, "")))));
    let forged = format!("{code}, reflectors: [{{ name: attic, claim: {{ endpointId: {} }} }}]", id(1));
    let forged = found(peer("", &forged));
    let one = |reason: &str, severity| vec![(reason.to_owned(), severity)];
    assert_eq!(told(&waits, &waits), []);
    assert_eq!(told(&expired, &waits), one("Waiting", Severity::Normal));
    assert_eq!(told(&waits, &expired), one("PairingExpired", Severity::Warning));
    assert_eq!(told(&waits, &bound), one("Bound", Severity::Normal), "that it is not loaded yet passes");
    assert_eq!(told(&bound, &loaded), one("Authorized", Severity::Normal));
    assert_eq!(told(&waits, &forged), one("ClaimRefused", Severity::Warning));
    assert_eq!(told(&forged, &forged), []);
    let mut alone = found(peer("", ""));
    alone.named = None;
    assert_eq!(told(&waits, &alone), one("ReflectorNotFound", Severity::Warning));
    let suspended = found(peer("suspend: true", &format!("endpointId: {}", id(1))));
    assert_eq!(told(&loaded, &suspended), one("Suspended", Severity::Normal));
}

#[test]
fn each_step_of_a_pairing_is_counted_once() {
    let counted = |before: &Found, after: &Found| {
        let (old, _) = done(before);
        let (new, decision) = done(after);
        let notes = notes(&old.conditions, &new, &decision.refused);
        steps(old.pairing.as_ref(), &new, &notes)
    };
    let (none, waits) = (found(peer("", "")), found(peer("", &waiting())));
    let expired = found(peer("", "pairing: { state: Expired, round: 0 }"));
    let bound = found(peer("", &format!("endpointId: {}, pairing: {{ state: Bound, round: 0 }}", id(1))));
    let forged =
        format!("{}, reflectors: [{{ name: attic, claim: {{ endpointId: {} }} }}]", waiting(), id(1));
    let forged = found(peer("", &forged));
    assert_eq!(counted(&none, &waits), [Pairing::Waiting]);
    assert_eq!(counted(&waits, &waits), []);
    assert_eq!(counted(&waits, &expired), [Pairing::Expired]);
    assert_eq!(counted(&forged, &bound), [Pairing::Bound]);
    assert_eq!(counted(&waits, &forged), [Pairing::Refused]);
    assert_eq!(counted(&forged, &forged), []);
}

#[test]
fn no_event_and_no_condition_has_the_code() {
    let (ours, _) = done(&found(peer("", &waiting())));
    assert!(!serde_json::to_string(&ours).unwrap().contains("AB102345"));
}
