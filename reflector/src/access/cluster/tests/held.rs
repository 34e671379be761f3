//! What three watches say, folded together.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::held::{Effect, Held, News};
use super::super::objects::{Watched, slim};
use super::{attic, own, sent};
use crate::access::fixtures::{at, id, peer, reflector};
use crate::access::index::Index;
use crate::access::policy::{Refusal, Verdict};

const ALL: [Watched; 3] = [Watched::Own, Watched::Peers, Watched::FleetPeers];

/// A `Held` and the index it feeds.
struct Fed {
    held: Held,
    index: Index,
    kept: u32,
}

impl Fed {
    fn new() -> Self {
        let index = Index::new(reflector(), [], Duration::from_secs(60));
        Self { held: Held::new(own(), reflector()), index, kept: 0 }
    }

    /// Everything is listed and stands.
    fn serving(peers: &[Value]) -> Self {
        let mut fed = Self::new();
        fed.hear(Watched::Own, News::Listed(vec![attic(3, &json!({}))]));
        fed.hear(Watched::Peers, News::Listed(peers.to_vec()));
        fed.hear(Watched::FleetPeers, News::Listed(vec![]));
        for watched in ALL {
            fed.hear(watched, News::Stands);
        }
        assert_eq!(fed.source(), "current");
        fed
    }

    fn hear(&mut self, watched: Watched, news: News) -> Vec<Effect> {
        let heard = self.held.hear(watched, news);
        self.kept += u32::from(heard.keep);
        for effect in heard.effects.clone() {
            self.perform(effect);
        }
        heard.effects
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Reflector(policy, grace) => {
                self.index.set_offline_grace(grace);
                self.index.set_reflector(policy);
            }
            Effect::Load(all) => drop(self.index.reset(all, 0)),
            Effect::Apply(key, object) => drop(self.index.apply(&key, &object)),
            Effect::Delete(key) => drop(self.index.delete(&key)),
            Effect::Away(why) => drop(self.index.source_away(at(10), why)),
        }
    }

    fn source(&self) -> &'static str {
        self.index.source().as_str()
    }

    /// How an endpoint stands, in a word.
    fn stands(&self, n: u8) -> &'static str {
        match self.index.verdict(&id(n)) {
            Verdict::Allowed(policy) if policy.reflector_suspended => "no tests",
            Verdict::Allowed(_) => "allowed",
            Verdict::Refused(refusal) => match refusal {
                Refusal::Unknown => "unknown",
                Refusal::Suspended { .. } => "suspended",
                Refusal::Invalid { .. } => "invalid",
                Refusal::NeverLoaded => "never loaded",
                other => panic!("{other:?}"),
            },
        }
    }
}

fn away() -> News {
    News::Away("it cannot be reached".into())
}

/// F4: what is missing would look like a deletion, and what nobody watches might be old.
#[test]
fn nobody_is_let_in_before_every_list_is_in_and_every_watch_stands() {
    let mut fed = Fed::new();
    let steps = [
        (Watched::Peers, News::Listed(vec![sent(&peer("a").endpoint(1), 0)])),
        (Watched::Peers, News::Stands),
        (Watched::Own, News::Stands),
        (Watched::Own, News::Listed(vec![attic(3, &json!({}))])),
        (Watched::FleetPeers, News::Listed(vec![])),
    ];
    for (watched, news) in steps {
        assert_eq!(fed.hear(watched, news), []);
        assert_eq!((fed.stands(1), fed.held.is_current()), ("never loaded", false));
    }
    fed.hear(Watched::FleetPeers, News::Stands);
    assert_eq!((fed.stands(1), fed.source(), fed.kept), ("allowed", "current", 1));
    assert_eq!(fed.held.reflector().unwrap().generation, 3);
}

/// A1
#[test]
fn each_change_acts_by_itself_and_a_status_that_changes_does_nothing() {
    let a = peer("a").endpoint(1);
    let mut fed = Fed::serving(&[sent(&a, 0)]);
    fed.hear(
        Watched::FleetPeers,
        News::Changed(sent(&peer("b").endpoint(2).reference("ReflectorFleet", "homes"), 1)),
    );
    assert_eq!((fed.stands(1), fed.stands(2)), ("allowed", "allowed"));
    let kept = fed.kept;
    let mut used = sent(&a, 0);
    used["metadata"]["resourceVersion"] = json!("99");
    used["status"] =
        json!({ "usage": { "bytesToday": 5 }, "reflectors": [{ "name": "attic", "loadedGeneration": 1 }] });
    assert_eq!(fed.hear(Watched::Peers, News::Changed(used)), []);
    assert_eq!(fed.kept, kept, "it must not wear the disk");
    assert_eq!(fed.held.peer("a").unwrap().entry.as_ref().unwrap().loaded_generation, Some(1));
    fed.hear(Watched::Peers, News::Changed(sent(&a.clone().suspended(), 0)));
    assert_eq!((fed.stands(1), fed.kept), ("suspended", kept + 1));
    fed.hear(Watched::Peers, News::Gone(sent(&a, 0)));
    assert_eq!((fed.stands(1), fed.kept), ("unknown", kept + 2));
}

#[test]
fn an_object_that_cannot_be_used_denies_whom_it_names_and_stops_nobody() {
    let mut newer = sent(&peer("newer").endpoint(3), 0);
    newer["spec"]["quotas"] = json!({ "allowedTests": ["Teleport"] });
    let nameless = json!({ "kind": "ReflectorPeer", "spec": 5 });
    let fed = Fed::serving(&[
        sent(&peer("bad").endpoint(2).broken(), 0),
        nameless,
        newer,
        json!("no object at all"),
        sent(&peer("good").endpoint(1), 0),
    ]);
    assert_eq!((fed.stands(1), fed.stands(2), fed.stands(3)), ("allowed", "invalid", "invalid"));
    assert!(fed.held.peer("bad").unwrap().object.peer.as_ref().unwrap_err().problem.contains("maxStreams"));
}

/// A server that does not know a selector, or a proxy that loses it, must not let in whom another reflector knows.
#[test]
fn a_peer_of_somebody_else_is_not_let_in_whatever_the_server_sends() {
    let cellar = peer("x").endpoint(1).reference("Reflector", "cellar");
    let fleet = peer("y").endpoint(2).reference("ReflectorFleet", "homes");
    let broken = peer("w").endpoint(4).reference("Reflector", "cellar").broken();
    let mut fed = Fed::serving(&[sent(&cellar, 0), sent(&fleet, 0), sent(&broken, 0)]);
    assert_eq!((fed.stands(1), fed.stands(2), fed.stands(4)), ("unknown", "unknown", "unknown"));
    fed.hear(
        Watched::FleetPeers,
        News::Changed(sent(&peer("z").endpoint(3).reference("ReflectorFleet", "other"), 0)),
    );
    assert_eq!(fed.stands(3), "unknown");
}

#[test]
fn a_peer_that_is_being_deleted_counts_as_gone() {
    let mut going = sent(&peer("a").endpoint(1), 0);
    let mut fed = Fed::serving(&[going.clone()]);
    going["metadata"]["deletionTimestamp"] = json!("2026-01-02T00:00:00Z");
    fed.hear(Watched::Peers, News::Changed(going));
    assert_eq!(fed.stands(1), "unknown");
}

/// Two objects with one Endpoint ID: the older one decides, whichever watch brings it.
#[test]
fn of_two_peers_of_one_endpoint_the_older_decides() {
    let mut fed = Fed::serving(&[sent(&peer("young").endpoint(1), 9)]);
    assert_eq!(fed.stands(1), "allowed");
    let old = peer("old").endpoint(1).reference("ReflectorFleet", "homes").suspended();
    fed.hear(Watched::FleetPeers, News::Changed(sent(&old, 2)));
    assert_eq!(fed.stands(1), "suspended");
    fed.hear(Watched::FleetPeers, News::Gone(sent(&old, 2)));
    assert_eq!(fed.stands(1), "allowed");
}

/// Made again under the other kind of reference: both watches hold it for a moment, in either order.
#[test]
fn a_late_deletion_does_not_take_a_peer_of_the_same_name_with_it() {
    let before = sent(&peer("a").endpoint(1), 0);
    let mut fed = Fed::serving(std::slice::from_ref(&before));
    fed.hear(
        Watched::FleetPeers,
        News::Changed(sent(&peer("a").endpoint(1).reference("ReflectorFleet", "homes"), 5)),
    );
    fed.hear(Watched::Peers, News::Gone(before));
    assert_eq!(fed.stands(1), "allowed");
}

/// X2, G12
#[test]
fn while_any_watch_is_away_the_policy_is_stale_and_what_is_heard_still_acts() {
    let mut fed = Fed::serving(&[sent(&peer("a").endpoint(1), 0), sent(&peer("b").endpoint(2), 0)]);
    let told = fed.hear(Watched::Own, away());
    assert_eq!(told.len(), 1);
    assert_eq!((fed.source(), fed.stands(1)), ("stale", "allowed"));
    assert_eq!(fed.hear(Watched::Own, away()), [], "the same words are not repeated");
    fed.hear(Watched::Peers, News::Gone(sent(&peer("a").endpoint(1), 0)));
    assert_eq!((fed.source(), fed.stands(1)), ("stale", "unknown"), "a revocation needs no other watch");
    // Missed while it was away, seen in the next list.
    fed.hear(Watched::Peers, away());
    fed.hear(Watched::Peers, News::Listed(vec![]));
    assert_eq!((fed.source(), fed.stands(2)), ("stale", "unknown"));
    fed.hear(Watched::Peers, News::Stands);
    assert_eq!(fed.source(), "stale");
    fed.hear(Watched::Own, News::Listed(vec![attic(4, &json!({}))]));
    fed.hear(Watched::Own, News::Stands);
    assert_eq!((fed.source(), fed.held.is_current()), ("current", true));
}

#[test]
fn a_reflector_that_cannot_be_used_leaves_the_last_good_policy_for_the_grace() {
    let mut fed = Fed::serving(&[sent(&peer("a").endpoint(1), 0)]);
    fed.hear(Watched::Own, News::Changed(attic(4, &json!({ "quotas": { "maxStreams": 0 } }))));
    assert_eq!((fed.source(), fed.stands(1)), ("stale", "allowed"));
    assert!(fed.held.trouble().unwrap().contains("spec.quotas.maxStreams"), "{:?}", fed.held.trouble());
    assert_eq!(fed.held.reflector().unwrap().generation, 3, "what is in force, not what was written");
    fed.hear(
        Watched::Own,
        News::Changed(attic(5, &json!({ "suspend": true, "access": { "offlineGrace": "7m" } }))),
    );
    assert_eq!((fed.source(), fed.stands(1)), ("current", "no tests"));
    assert_eq!(fed.index.offline_grace(), Duration::from_secs(420));
}

#[test]
fn a_reflector_that_is_gone_takes_every_test_and_the_kept_policy_with_it() {
    let mut fed = Fed::serving(&[sent(&peer("a").endpoint(1), 0)]);
    assert!(fed.held.to_keep().is_some());
    let kept = fed.kept;
    fed.hear(Watched::Own, News::Gone(attic(3, &json!({}))));
    assert_eq!((fed.source(), fed.stands(1), fed.kept), ("stale", "no tests", kept + 1));
    assert_eq!(fed.held.to_keep(), None);
    let mut other = Fed::new();
    for watched in ALL {
        other.hear(watched, News::Listed(vec![]));
        other.hear(watched, News::Stands);
    }
    assert_eq!(other.stands(1), "never loaded");
    assert_eq!(other.index.source().why(), Some("there is no Reflector attic in namespace reflectors"));
}

/// X2: the same objects, judged again; then the API server's word replaces them.
#[test]
fn what_is_kept_is_restored_as_it_was() {
    let peers = [
        sent(&peer("a").endpoint(1), 0),
        sent(&peer("bad").endpoint(2).broken(), 0),
        sent(&peer("c").endpoint(3).suspended(), 0),
    ];
    let mut bound = sent(&peer("d"), 0);
    bound["status"] = json!({ "endpointId": id(4) });
    let mut before = Fed::serving(&[&peers[..], &[bound]].concat());
    before.hear(Watched::Own, News::Changed(attic(4, &json!({ "quotas": { "testsPerHour": 3 } }))));
    let kept = before.held.to_keep().unwrap();

    let mut after = Fed::new();
    let restored = after.held.restore(&kept).unwrap();
    after.index.set_reflector(restored.policy);
    after.index.restore(restored.objects, at(0), Duration::from_secs(59), "not yet".into());
    for n in 1..=5 {
        assert_eq!(after.index.verdict(&id(n)), before.index.verdict(&id(n)), "{n}");
    }
    assert_eq!(after.held.to_keep().unwrap(), kept);
    // A peer was deleted meanwhile; its list acts although the Reflector's is not in yet.
    after.hear(Watched::Peers, News::Listed(peers[1..].to_vec()));
    assert_eq!((after.stands(1), after.source()), ("unknown", "stale"));
    after.index.tick(at(2));
    assert_eq!(after.source(), "grace_over");
}

#[test]
fn beyond_the_most_peers_the_rest_is_left_out_and_named() {
    let many: Vec<Value> = (0..=super::super::held::MAX_PEERS)
        .map(|n| sent(&peer(&format!("p{n:05}")).endpoint(if n == 0 { 1 } else { 2 }), 0))
        .collect();
    let fed = Fed::serving(&many);
    assert_eq!(fed.held.peers().count(), super::super::held::MAX_PEERS);
    let named = fed.index.objects().filter(|(_, object)| object.name().contains("rest of the peers")).count();
    assert_eq!((named, fed.stands(1)), (1, "allowed"));
}

#[test]
fn what_nobody_reads_is_left_out_before_many_are_held() {
    let mut value = sent(&peer("a").endpoint(1), 0);
    value["status"] = json!({
        "conditions": [{}], "endpointId": "PP-X",
        "reflectors": [{ "name": "attic" }, { "name": "cellar" }],
    });
    let slim = slim(value, &own());
    assert_eq!(slim["status"], json!({ "endpointId": "PP-X", "reflectors": [{ "name": "attic" }] }));
    assert!(slim["metadata"].get("managedFields").is_none());
    let mut ours = attic(3, &json!({}));
    ours["status"] = json!({ "conditions": [{ "type": "Accepting" }] });
    let kept = super::super::objects::slim(ours.clone(), &own());
    assert_eq!(kept["status"], ours["status"], "what we wrote is compared with what we would write");
}

#[derive(Debug, Clone)]
enum Step {
    List(Vec<(u8, u8)>),
    Change(u8, u8),
    Gone(u8),
    Stands,
    Away,
}

fn step() -> impl Strategy<Value = (usize, Step)> {
    let peer = || (0u8..4, 0u8..6);
    let step = prop_oneof![
        proptest::collection::vec(peer(), 0..4).prop_map(Step::List),
        peer().prop_map(|(name, how)| Step::Change(name, how)),
        (0u8..4).prop_map(Step::Gone),
        Just(Step::Stands),
        Just(Step::Away),
    ];
    (1usize..3, step)
}

/// A peer of one of four names, in one of six states.
fn variant(watched: Watched, name: u8, how: u8) -> Value {
    let reference =
        if watched == Watched::Peers { ("Reflector", "attic") } else { ("ReflectorFleet", "homes") };
    let plain = peer(&format!("p{name}")).reference(reference.0, reference.1);
    let peer = match how {
        0 => plain.endpoint(1),
        1 => plain.endpoint(2).suspended(),
        2 => plain.endpoint(2).quotas("{ testsPerHour: 3 }"),
        3 => plain.endpoint(3).broken(),
        4 => plain.endpoint(3),
        _ => plain,
    };
    sent(&peer, name)
}

proptest! {
    /// Whatever order things are heard in, what the index says depends only on the objects that are left.
    #[test]
    fn the_index_is_what_is_held(steps in proptest::collection::vec(step(), 0..30)) {
        let mut fed = Fed::serving(&[]);
        for (which, step) in steps {
            let watched = ALL[which];
            let news = match step {
                Step::List(peers) => {
                    // One object of a name.
                    let peers: std::collections::BTreeMap<u8, u8> = peers.into_iter().collect();
                    News::Listed(peers.into_iter().map(|(name, how)| variant(watched, name, how)).collect())
                }
                Step::Change(name, how) => News::Changed(variant(watched, name, how)),
                Step::Gone(name) => News::Gone(variant(watched, name, 0)),
                Step::Stands => News::Stands,
                Step::Away => away(),
            };
            fed.hear(watched, news);
        }
        let mut fresh = Index::new(reflector(), [], Duration::from_secs(60));
        let objects = |watched: Watched| -> Vec<_> {
            fed.held.of(watched).map(|p| (watched.key(&p.name), Arc::clone(&p.object))).collect()
        };
        fresh.reset([objects(Watched::Peers), objects(Watched::FleetPeers)].concat(), 0);
        for n in 1..4 {
            prop_assert_eq!(fed.index.verdict(&id(n)), fresh.verdict(&id(n)));
        }
        prop_assert_eq!(fed.held.is_current(), fed.source() == "current");
    }
}
