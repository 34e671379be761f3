//! The life of a pairing, decision by decision.

use crds::peer::validate;

use super::*;
use crate::peers::testing::{UID, claim, found, id, moment, named, peer, waiting};

const NOON: &str = "2026-01-02T12:00:00Z";

fn decided(found: &Found, now: &str) -> Decision {
    let valid = validate(&found.peer).unwrap();
    let now = moment(now);
    let over = valid.expires_at.is_some_and(|at| at <= now);
    decide(found, &valid, valid.suspended || over, now)
}

fn at_noon(spec: &str, status: &str) -> Decision {
    decided(&found(peer(spec, status)), NOON)
}

fn state(decision: &Decision) -> Option<PairingState> {
    decision.pairing.as_ref().and_then(|pairing| pairing.state.clone())
}

fn with_claims(entries: &[(&str, String)]) -> String {
    let entries: Vec<String> =
        entries.iter().map(|(name, claim)| format!("{{ name: {name}, {claim} }}")).collect();
    format!("{}, reflectors: [{}]", waiting(), entries.join(", "))
}

const SECRET: Option<&str> = Some("pairing-0f1e2d3c-0");

#[test]
fn a_peer_without_an_id_gets_a_code_and_one_with_an_id_none() {
    let new = at_noon("pairing: { ttl: 2m, round: 4 }", "");
    assert_eq!(new.issue, Some(Issue { round: 4, ttl: Duration::from_secs(120) }));
    assert_eq!((new.stage, new.endpoint_id, new.withdraw), (Stage::Waiting, None, None));
    let declared = at_noon(&format!("endpointId: {}", id(1)), "");
    assert_eq!((declared.issue, declared.stage), (None, Stage::Declared));
    assert_eq!((declared.endpoint_id, declared.pairing), (Some(id(1)), None));
}

#[test]
fn a_code_that_waits_is_left_alone_until_its_time() {
    let waits = at_noon("", &waiting());
    assert_eq!((waits.stage, waits.issue.clone(), waits.withdraw.clone()), (Stage::Waiting, None, None));
    assert_eq!(waits.due, Some(moment("2026-01-02T12:10:00Z")));
    assert_eq!(waits.pairing, peer("", &waiting()).status.unwrap().pairing);
    let just_before = decided(&found(peer("", &waiting())), "2026-01-02T12:09:59.999Z");
    assert_eq!(just_before.stage, Stage::Waiting);
}

/// A3
#[test]
fn a_code_is_over_at_its_time_and_once() {
    let over = decided(&found(peer("", &waiting())), "2026-01-02T12:10:00Z");
    assert_eq!((over.stage, state(&over)), (Stage::Expired, Some(PairingState::Expired)));
    assert_eq!((over.withdraw.as_deref(), over.due), (SECRET, None));
    let pairing = over.pairing.unwrap();
    assert_eq!((pairing.code_key, pairing.secret.as_deref(), pairing.round), (None, SECRET, Some(0)));
    let not_removed = at_noon("", "pairing: { state: Expired, round: 0, secret: pairing-0f1e2d3c-0 }");
    assert_eq!((not_removed.stage, not_removed.withdraw.as_deref()), (Stage::Expired, SECRET));
    let later = at_noon("", "pairing: { state: Expired, round: 0 }");
    assert_eq!((later.stage, later.issue, later.withdraw), (Stage::Expired, None, None));
}

#[test]
fn a_higher_round_is_a_new_code_whatever_became_of_the_last_one() {
    for (before, withdraw) in [
        (waiting(), SECRET),
        ("pairing: { state: Expired, round: 0 }".to_owned(), None),
        ("pairing: { state: Claimed, round: 0, confirm: AAAA-BBBB-CCCC-DDDD }".to_owned(), None),
    ] {
        let new = at_noon("pairing: { round: 1 }", &before);
        assert_eq!(new.issue.map(|issue| issue.round), Some(1), "{before}");
        assert_eq!(new.withdraw.as_deref(), withdraw, "{before}");
        assert!(new.pairing.is_none_or(|pairing| pairing.code_key.is_none()), "{before}");
    }
    let lower = at_noon("pairing: { round: 1 }", "pairing: { state: Expired, round: 2 }");
    assert_eq!((lower.stage, lower.issue), (Stage::Expired, None), "a round that was is not again");
}

#[test]
fn a_bound_peer_keeps_its_id_until_the_new_round_binds_another() {
    let bound = format!(
        "endpointId: {}, pairedAt: '2026-01-01T00:00:00Z', pairing: {{ state: Bound, round: 0 }}",
        id(1)
    );
    let asked = at_noon("pairing: { round: 1 }", &bound);
    assert_eq!((asked.endpoint_id, asked.issue.map(|issue| issue.round)), (Some(id(1)), Some(1)));
    let claim = claim("attic", 2, UID);
    let status = format!("endpointId: {}, {}, reflectors: [{{ name: attic, {claim} }}]", id(1), waiting());
    let rebound = at_noon("", &status);
    assert_eq!(
        (rebound.stage, rebound.endpoint_id, rebound.replaced),
        (Stage::Bound, Some(id(2)), Some(id(1)))
    );
    let nobody_came = format!("endpointId: {}, {}", id(1), waiting());
    let over = decided(&found(peer("", &nobody_came)), "2026-01-02T13:00:00Z");
    assert_eq!((over.stage, over.endpoint_id), (Stage::Bound, Some(id(1))));
    assert_eq!(over.withdraw.as_deref(), SECRET);
}

#[test]
fn a_crash_before_the_status_had_the_key_makes_the_code_anew() {
    let lost = at_noon("", "pairing: { state: Waiting, round: 0, secret: pairing-0f1e2d3c-0 }");
    assert_eq!(lost.issue.map(|issue| issue.round), Some(0));
    assert_eq!(lost.withdraw.as_deref(), SECRET);
}

#[test]
fn a_reflector_made_again_under_its_name_makes_the_code_anew() {
    let mut again = found(peer("", &waiting()));
    again.named.as_mut().unwrap().uid = "uid-of-another-attic".to_owned();
    let decision = decided(&again, NOON);
    assert_eq!(decision.issue.map(|issue| issue.round), Some(0));
    assert_eq!(decision.withdraw.as_deref(), SECRET);
    assert_eq!(decision.pairing.unwrap().code_key, None);
}

/// X9
#[test]
fn the_sixty_fifth_code_waits_for_a_place() {
    let mut found = found(peer("", ""));
    found.waiting_beside = MAX_WAITING - 1;
    assert_eq!(decided(&found, NOON).stage, Stage::Waiting);
    found.waiting_beside = MAX_WAITING;
    let full = decided(&found, NOON);
    assert_eq!((full.stage, full.issue, full.pairing), (Stage::Full, None, None));
}

/// A3
#[test]
fn a_proven_claim_binds_and_kills_the_code() {
    let bound = at_noon("", &with_claims(&[("attic", claim("attic", 1, UID))]));
    assert_eq!((bound.stage, bound.endpoint_id), (Stage::Bound, Some(id(1))));
    assert_eq!(bound.paired_at, Some(Time(moment(NOON))));
    assert_eq!(bound.withdraw.as_deref(), SECRET);
    let pairing = bound.pairing.unwrap();
    assert_eq!((pairing.state, pairing.code_key, pairing.round), (Some(PairingState::Bound), None, Some(0)));
    let later = format!("endpointId: {}, pairing: {{ state: Bound, round: 0 }}", id(1));
    let other = format!("{later}, reflectors: [{{ name: attic, {} }}]", claim("attic", 2, UID));
    let later = at_noon("", &other);
    assert_eq!((later.stage, later.endpoint_id), (Stage::Bound, Some(id(1))), "a second claim binds nobody");
}

#[test]
fn a_claim_without_proof_binds_nobody_and_is_told() {
    let other_peer = claim("attic", 1, "another-uid");
    let other_reflector = claim("cellar", 1, UID);
    let no_proof = format!("claim: {{ endpointId: {} }}", id(1));
    let garbage = "claim: { endpointId: PP-NOTHING, proof: zz }".to_owned();
    let swapped = claim("attic", 1, UID).replace(&id(1).to_string(), &id(2).to_string());
    for forged in [other_peer, other_reflector, no_proof, garbage, swapped] {
        let decision = at_noon("", &with_claims(&[("attic", forged.clone())]));
        assert_eq!((decision.stage, decision.endpoint_id), (Stage::Waiting, None), "{forged}");
        assert_eq!(decision.refused, ["attic"], "{forged}");
        assert_eq!(decision.withdraw, None, "the code is still good");
    }
}

/// A6
#[test]
fn of_several_claims_the_first_proven_one_counts() {
    let forged = claim("attic", 1, "another-uid");
    let status = with_claims(&[
        ("attic", forged),
        ("barn", claim("barn", 2, UID)),
        ("cellar", claim("cellar", 3, UID)),
    ]);
    let mut found = found(peer("", &status));
    found.named = Some(named(&["cellar", "barn", "attic"]));
    let decision = decided(&found, NOON);
    assert_eq!(decision.endpoint_id, Some(id(2)));
    assert_eq!(decision.refused, ["attic"]);
}

#[test]
fn who_is_no_member_cannot_claim() {
    let decision = at_noon("", &with_claims(&[("barn", claim("barn", 1, UID))]));
    assert_eq!((decision.stage, decision.refused), (Stage::Waiting, vec![]));
}

#[test]
fn a_claim_that_is_seen_after_the_end_binds_nobody() {
    let found = found(peer("", &with_claims(&[("attic", claim("attic", 1, UID))])));
    let decision = decided(&found, "2026-01-02T12:10:00Z");
    assert_eq!((decision.stage, decision.endpoint_id), (Stage::Expired, None));
}

#[test]
fn with_manual_approval_a_claim_waits_until_the_spec_names_it() {
    let status = with_claims(&[("attic", claim("attic", 1, UID))]);
    let mut claimed = found(peer("", &status));
    claimed.named.as_mut().unwrap().approval = Approval::Manual;
    let decision = decided(&claimed, NOON);
    assert_eq!((decision.stage, decision.endpoint_id), (Stage::Claimed(Some(id(1))), None));
    assert_eq!(decision.withdraw.as_deref(), SECRET, "the code is dead");
    let pairing = decision.pairing.unwrap();
    assert_eq!((pairing.confirm.clone(), pairing.code_key), (Some(id(1).confirm()), None));

    assert_eq!(pairing.endpoint_id, Some(id(1).to_string()));

    let waits = format!(
        "pairing: {{ state: Claimed, confirm: {}, endpointId: {}, round: 0 }}",
        id(1).confirm(),
        id(1)
    );
    let later = decided(&found(peer("", &waits)), "2027-01-01T00:00:00Z");
    assert_eq!(
        later.stage,
        Stage::Claimed(Some(id(1))),
        "however long it takes, whatever became of the claim"
    );
    let approved = at_noon(&format!("endpointId: {}", id(1)), &waits);
    assert_eq!((approved.stage, state(&approved)), (Stage::Bound, Some(PairingState::Bound)));
    assert_eq!((approved.endpoint_id, approved.paired_at), (Some(id(1)), Some(Time(moment(NOON)))));
    let other = at_noon(&format!("endpointId: {}", id(2)), &waits);
    assert_eq!((other.stage, other.endpoint_id, other.pairing), (Stage::Declared, Some(id(2)), None));
}

#[test]
fn an_id_in_the_spec_ends_the_pairing_and_shuts_out_another_that_was_bound() {
    let declared = at_noon(&format!("endpointId: {}", id(1)), &waiting());
    assert_eq!(declared.stage, Stage::Declared);
    assert_eq!(declared.withdraw.as_deref(), SECRET);
    assert_eq!(declared.pairing.unwrap().code_key, None);
    let removed = at_noon(&format!("endpointId: {}", id(1)), "pairing: { state: Expired, round: 0 }");
    assert_eq!((removed.stage, removed.pairing), (Stage::Declared, None));
    let bound = format!(
        "endpointId: {}, pairedAt: '2026-01-01T00:00:00Z', pairing: {{ state: Bound, round: 0 }}",
        id(2)
    );
    let replaced = at_noon(&format!("endpointId: {}", id(1)), &bound);
    assert_eq!(
        (replaced.endpoint_id, replaced.replaced, replaced.paired_at),
        (Some(id(1)), Some(id(2)), None)
    );
    let same = at_noon(&format!("endpointId: {}", id(2)), &bound);
    assert_eq!((same.stage, same.replaced), (Stage::Bound, None));
    assert_eq!(same.paired_at, Some(Time(moment("2026-01-01T00:00:00Z"))));
}

/// A8
#[test]
fn who_is_shut_out_gets_no_code_and_a_waiting_one_is_withdrawn() {
    for spec in ["suspend: true", "expiresAt: '2026-01-02T11:00:00Z'"] {
        let new = at_noon(spec, "");
        assert_eq!((new.stage, new.issue, new.pairing), (Stage::Idle, None, None), "{spec}");
        let cut = at_noon(spec, &with_claims(&[("attic", claim("attic", 1, UID))]));
        assert_eq!((cut.stage, cut.endpoint_id), (Stage::Expired, None), "{spec}");
        assert_eq!(cut.withdraw.as_deref(), SECRET, "{spec}");
    }
}

#[test]
fn without_the_object_it_names_there_is_no_code() {
    let mut alone = found(peer("", ""));
    alone.named = None;
    assert_eq!(decided(&alone, NOON).issue, None);
    let mut alone = found(peer("", &waiting()));
    alone.named = None;
    assert_eq!(decided(&alone, NOON).stage, Stage::Expired, "its salt is gone, and the code with it");
}

#[test]
fn a_code_ends_with_the_peer_that_asked_for_it() {
    let over = closed(&peer("", &waiting())).unwrap();
    assert_eq!((over.state, over.code_key, over.round), (Some(PairingState::Expired), None, Some(0)));
    assert_eq!(over.secret.as_deref(), SECRET, "until it is removed");
    assert_eq!(over.secret_uid.as_deref(), Some("uid-of-the-secret"), "and no other one of its name");
    for nothing_waits in ["", "pairing: { state: Bound, round: 0 }", "pairing: { state: Claimed, round: 0 }"]
    {
        assert_eq!(closed(&peer("", nothing_waits)), None, "{nothing_waits}");
    }
}

/// For all of these, deciding on what was decided changes nothing more.
#[test]
fn what_was_decided_is_decided_again() {
    let claimed = with_claims(&[("attic", claim("attic", 1, UID))]);
    for (spec, status) in [
        (String::new(), waiting()),
        (String::new(), claimed.clone()),
        ("suspend: true".to_owned(), claimed),
        (format!("endpointId: {}", id(1)), waiting()),
    ] {
        let first = found(peer(&spec, &status));
        let once = decided(&first, NOON);
        let mut after = (*first.peer).clone();
        let there = after.status.as_mut().unwrap();
        there.pairing.clone_from(&once.pairing);
        there.endpoint_id = once.endpoint_id.map(|id| id.to_string());
        there.paired_at.clone_from(&once.paired_at);
        let twice = decided(&found(after), "2026-01-02T12:00:07Z");
        assert_eq!((twice.stage, &twice.pairing), (once.stage, &once.pairing), "{status}");
        assert_eq!((twice.withdraw, twice.issue, twice.replaced), (once.withdraw, None, None), "{status}");
        assert_eq!((twice.endpoint_id, twice.paired_at), (once.endpoint_id, once.paired_at), "{status}");
    }
}
