//! The index, without clocks or tasks.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::super::fixtures::{at, id, key, peer, reflector};
use super::super::index::{Changed, Index};
use super::super::policy::{Refusal, Verdict};
use super::super::*;

const GRACE: Duration = Duration::from_secs(3600);

fn fresh() -> Index {
    let mut index = Index::new(reflector(), [], GRACE);
    index.tick(at(0));
    index
}

fn loaded(objects: &[(&str, fixtures::PeerBuilder)]) -> Index {
    let mut index = fresh();
    index.reset(objects.iter().map(|(file, p)| (key(file), p.object())).collect(), 0);
    index
}

fn these(ids: &[u8]) -> Changed {
    Changed::These(ids.iter().map(|n| id(*n)).collect())
}

fn refused(refusal: Refusal) -> Verdict {
    Verdict::Refused(refusal)
}

fn allowed_as(verdict: &Verdict) -> Option<&str> {
    match verdict {
        Verdict::Allowed(policy) => Some(&policy.peer),
        Verdict::Refused(_) => None,
    }
}

/// G12
#[test]
fn nobody_is_granted_anything_before_the_first_load() {
    let mut index = Index::new(reflector(), [id(9)], GRACE);
    index.apply(&key("a.yaml"), &peer("a").endpoint(1).object());
    assert_eq!(index.verdict(&id(1)), refused(Refusal::NeverLoaded));
    assert_eq!(index.verdict(&id(9)), refused(Refusal::NeverLoaded), "not even a configured peer");
    index.source_away(at(1), "directory missing".into());
    assert_eq!(index.verdict(&id(1)), refused(Refusal::NeverLoaded), "no grace without a policy");
}

/// G12
#[test]
fn a_policy_that_is_lost_later_holds_for_the_grace_and_not_longer() {
    let mut index = loaded(&[("a.yaml", peer("a").endpoint(1))]);
    assert_eq!(index.source_away(at(10), "gone".into()), Changed::Everyone);
    assert_eq!(allowed_as(&index.verdict(&id(1))), Some("a"));
    index.tick(at(10 + 3599));
    assert_eq!(allowed_as(&index.verdict(&id(1))), Some("a"));
    assert_eq!(index.tick(at(10 + 3600)), Changed::Everyone);
    assert_eq!(index.verdict(&id(1)), refused(Refusal::GraceOver));
    index.reset(vec![(key("a.yaml"), peer("a").endpoint(1).object())], 0);
    assert_eq!(allowed_as(&index.verdict(&id(1))), Some("a"), "back");
}

#[test]
fn a_wall_clock_set_back_does_not_lengthen_the_grace() {
    let mut index = loaded(&[("a.yaml", peer("a").endpoint(1))]);
    index.source_away(at(10), "gone".into());
    index.tick(crate::clock::Now { mono_ms: 3_610_000, wall: at(0).wall });
    assert_eq!(index.verdict(&id(1)), refused(Refusal::GraceOver));
}

#[test]
fn a_peer_is_refused_from_the_moment_it_expires() {
    let mut index =
        loaded(&[("a.yaml", peer("a").endpoint(1).expires(100)), ("b.yaml", peer("b").endpoint(2))]);
    assert_eq!(index.tick(at(99)), these(&[]));
    assert_eq!(index.next_change().expiry, Some(at(100).wall));
    assert_eq!(index.tick(at(100)), these(&[1]));
    assert_eq!(index.verdict(&id(1)), refused(Refusal::Expired { peer: "a".into() }));
    assert_eq!(index.next_change().expiry, None);
}

#[test]
fn a_wall_clock_set_back_revives_no_expired_peer() {
    let mut index = loaded(&[("a.yaml", peer("a").endpoint(1).expires(100))]);
    index.tick(at(200));
    index.tick(at(50));
    index.apply(&key("a.yaml"), &peer("a").endpoint(1).expires(100).quotas("{ maxStreams: 2 }").object());
    assert_eq!(index.verdict(&id(1)), refused(Refusal::Expired { peer: "a".into() }));
}

#[test]
fn a_suspended_peer_is_refused_by_name() {
    let index = loaded(&[("a.yaml", peer("a").endpoint(1).suspended())]);
    assert_eq!(index.verdict(&id(1)), refused(Refusal::Suspended { peer: "a".into() }));
}

#[test]
fn a_peer_that_waits_for_pairing_authorises_nobody() {
    let index = loaded(&[("a.yaml", peer("a"))]);
    assert_eq!(index.verdict(&id(1)), refused(Refusal::Unknown));
}

#[test]
fn a_broken_object_denies_the_peer_it_names_and_nobody_else() {
    let mut index = loaded(&[("a.yaml", peer("a").endpoint(1)), ("b.yaml", peer("b").endpoint(2))]);
    assert_eq!(index.apply(&key("a.yaml"), &peer("a").endpoint(1).broken().object()), these(&[1]));
    assert_eq!(index.verdict(&id(1)), refused(Refusal::Invalid { peer: "a".into() }));
    assert_eq!(allowed_as(&index.verdict(&id(2))), Some("b"));
}

#[test]
fn of_two_objects_with_one_id_the_first_file_decides() {
    let mut index =
        loaded(&[("b.yaml", peer("second").endpoint(1)), ("a.yaml", peer("first").endpoint(1).suspended())]);
    assert_eq!(index.verdict(&id(1)), refused(Refusal::Suspended { peer: "first".into() }));
    index.delete(&key("a.yaml"));
    assert_eq!(allowed_as(&index.verdict(&id(1))), Some("second"));
}

#[test]
fn of_two_objects_with_one_id_the_older_decides() {
    let made = |p: fixtures::PeerBuilder, secs| {
        let mut object = (*p.object()).clone();
        object.created = Some(at(secs).wall);
        object.into()
    };
    let mut index = fresh();
    index.reset(
        vec![(key("a"), made(peer("young").endpoint(1), 20)), (key("z"), made(peer("old").endpoint(1), 10))],
        0,
    );
    assert_eq!(allowed_as(&index.verdict(&id(1))), Some("old"));
}

#[test]
fn an_object_decides_over_a_configured_id() {
    let mut index = Index::new(reflector(), [id(1)], GRACE);
    index.reset(vec![], 0);
    assert_eq!(allowed_as(&index.verdict(&id(1))), Some("config-040g-2081"));
    index.apply(&key("a.yaml"), &peer("a").endpoint(1).suspended().object());
    assert_eq!(index.verdict(&id(1)), refused(Refusal::Suspended { peer: "a".into() }));
}

#[test]
fn an_object_that_names_another_id_releases_the_old_one() {
    let mut index = loaded(&[("a.yaml", peer("a").endpoint(1))]);
    assert_eq!(index.apply(&key("a.yaml"), &peer("a").endpoint(2).object()), these(&[1, 2]));
    assert_eq!(index.verdict(&id(1)), refused(Refusal::Unknown));
    assert_eq!(allowed_as(&index.verdict(&id(2))), Some("a"));
}

#[test]
fn only_those_whose_verdict_changed_are_told() {
    let mut index = loaded(&[("a.yaml", peer("a").endpoint(1)), ("b.yaml", peer("b").endpoint(2))]);
    assert_eq!(index.apply(&key("a.yaml"), &peer("a").endpoint(1).object()), these(&[]), "nothing new");
    assert_eq!(
        index.apply(&key("a.yaml"), &peer("a").endpoint(1).quotas("{ maxStreams: 3 }").object()),
        these(&[1])
    );
    let both = vec![
        (key("a.yaml"), peer("a").endpoint(1).object()),
        (key("b.yaml"), peer("b").endpoint(2).object()),
    ];
    assert_eq!(index.reset(both, 0), these(&[1]), "a reset reports differences only");
}

#[test]
fn a_change_of_the_reflector_reaches_the_peers_it_concerns() {
    let mut index = loaded(&[
        ("a.yaml", peer("a").endpoint(1)),
        ("b.yaml", peer("b").endpoint(2).quotas("{ testsPerHour: 7 }")),
    ]);
    let mut policy = reflector();
    policy.quotas.tests_per_hour = 8;
    assert_eq!(index.set_reflector(policy.clone()), these(&[1]), "b has its own limit");
    policy.suspended = true;
    assert_eq!(index.set_reflector(policy), these(&[1, 2]));
}

/// What should hold for an ID, said another way: over all objects, the first in order that names it.
fn model(objects: &BTreeMap<Key, std::sync::Arc<Object>>, who: u8) -> &'static str {
    let Some(object) = objects.values().find(|o| o.claims().contains(&id(who))) else { return "unknown" };
    match &object.peer {
        Err(_) => "invalid",
        Ok(p) if p.suspended => "suspended",
        Ok(p) if p.expires_at.is_some() => "expired",
        Ok(_) => "allowed",
    }
}

fn name_of(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Allowed(_) => "allowed",
        Verdict::Refused(Refusal::Unknown) => "unknown",
        Verdict::Refused(Refusal::Invalid { .. }) => "invalid",
        Verdict::Refused(Refusal::Suspended { .. }) => "suspended",
        Verdict::Refused(Refusal::Expired { .. }) => "expired",
        Verdict::Refused(other) => panic!("{other:?} has no place here"),
    }
}

#[derive(Debug, Clone)]
enum Op {
    Apply(usize, u8, u8),
    Delete(usize),
    Reset(Vec<(usize, u8, u8)>),
    Away,
    Tick(u64),
}

const FILES: [&str; 5] = ["a.yaml", "b.yaml", "c.yaml", "d.yaml", "e.yaml"];

fn object(who: u8, shape: u8) -> std::sync::Arc<Object> {
    let base = peer("p").endpoint(who);
    match shape {
        0 => base,
        1 => base.suspended(),
        2 => base.broken(),
        3 => base.expires(5),
        4 => base.quotas("{ maxStreams: 2 }"),
        _ => peer("p"),
    }
    .object()
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let spec = (0..FILES.len(), 1u8..4, 0u8..6);
    let op = prop_oneof![
        6 => spec.clone().prop_map(|(f, who, shape)| Op::Apply(f, who, shape)),
        2 => (0..FILES.len()).prop_map(Op::Delete),
        2 => prop::collection::vec(spec, 0..5).prop_map(Op::Reset),
        1 => Just(Op::Away),
        1 => (10u64..100).prop_map(Op::Tick),
    ];
    prop::collection::vec(op, 0..40)
}

proptest! {
    /// Any order of events gives the verdicts of the objects that are left: nothing widens by a missed or repeated
    /// one, and no narrowing is lost. And whoever's verdict changed was named.
    #[test]
    fn only_the_objects_that_are_left_decide(ops in ops()) {
        let mut index = fresh();
        index.tick(at(10));
        index.reset(vec![], 0);
        let mut left: BTreeMap<Key, std::sync::Arc<Object>> = BTreeMap::new();
        for op in ops {
            let before: Vec<Verdict> = (1..4).map(|n| index.verdict(&id(n))).collect();
            let changed = match op {
                Op::Apply(f, who, shape) => {
                    left.insert(key(FILES[f]), object(who, shape));
                    index.apply(&key(FILES[f]), &object(who, shape))
                }
                Op::Delete(f) => {
                    left.remove(&key(FILES[f]));
                    index.delete(&key(FILES[f]))
                }
                Op::Reset(all) => {
                    left = all.into_iter().map(|(f, who, shape)| (key(FILES[f]), object(who, shape))).collect();
                    index.reset(left.clone().into_iter().collect(), 0)
                }
                Op::Away => index.source_away(at(20), "away".into()),
                Op::Tick(secs) => index.tick(at(secs)),
            };
            for (n, before) in (1u8..4).zip(before) {
                let after = index.verdict(&id(n));
                prop_assert_eq!(name_of(&after), model(&left, n));
                if after != before {
                    match &changed {
                        Changed::Everyone => {}
                        Changed::These(ids) => prop_assert!(ids.contains(&id(n)), "change of {n} was not told"),
                    }
                }
            }
        }
    }
}
