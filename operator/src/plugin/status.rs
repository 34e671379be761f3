//! `status`: fleets, Reflectors and peers as a tree.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use crds::peer::ReflectorKind;
use crds::{Reflector, ReflectorFleet, ReflectorPeer};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;

use super::answer::{Answer, Exit, list};
use super::args::Format;
use super::cluster::Cluster;
use super::peers::{is_of, today};
use super::text::{Branch, NONE, ago, bytes, count, find, is_fine};
use crate::clock;

/// What there is.
pub(super) struct Picture {
    pub(super) fleets: Vec<ReflectorFleet>,
    pub(super) reflectors: Vec<Reflector>,
    pub(super) peers: Vec<ReflectorPeer>,
}

pub(super) async fn run(cluster: &Cluster, only: Option<&str>, format: Option<Format>) -> Result<Answer> {
    let picture = match only {
        Some(name) => Picture {
            fleets: vec![],
            reflectors: vec![cluster.get(name).await?],
            peers: cluster.list().await?,
        },
        None => Picture {
            fleets: cluster.list().await?,
            reflectors: cluster.list().await?,
            peers: cluster.list().await?,
        },
    };
    let exit = if picture.is_ready() { Exit::Done } else { Exit::No };
    let text = match format {
        None => picture.draw(only.is_some(), &cluster.namespace, clock::now().wall),
        Some(format) => list(&picture.objects()?, format)?,
    };
    Ok(Answer { text, exit })
}

impl Picture {
    fn is_ready(&self) -> bool {
        let ready = |conditions: &[Condition]| find(conditions, "Ready").is_some_and(is_fine);
        self.reflectors.iter().all(|one| ready(of(one))) && self.fleets.iter().all(|one| ready(of_fleet(one)))
    }

    /// Peers are there for the tree; who wants those alone asks for `peers`.
    fn objects(&self) -> Result<Vec<serde_json::Value>> {
        let fleets = self.fleets.iter().map(serde_json::to_value);
        let reflectors = self.reflectors.iter().map(serde_json::to_value);
        fleets.chain(reflectors).collect::<Result<_, _>>().context("write JSON")
    }

    /// `whole`: every condition, not only those that are not as they should be.
    pub(super) fn draw(&self, whole: bool, namespace: &str, now: Timestamp) -> String {
        if self.fleets.is_empty() && self.reflectors.is_empty() {
            return format!("There is no Reflector in namespace {namespace}.\n");
        }
        let mut drawn = BTreeSet::new();
        let mut out = String::new();
        for fleet in &self.fleets {
            out.push_str(&self.fleet(fleet, &mut drawn, now).draw());
        }
        for reflector in self.reflectors.iter().filter(|one| !drawn.contains(&one.name_any())) {
            out.push_str(&self.reflector(reflector, whole, now).draw());
        }
        let gone = |peer: &&ReflectorPeer| {
            !self.reflectors.iter().any(|one| is_of(peer, one))
                && !self.fleets.iter().any(|fleet| names(peer, fleet))
        };
        for peer in self.peers.iter().filter(|_| !whole).filter(gone) {
            out.push_str(&peer_branch(peer, now).draw());
        }
        out
    }

    fn fleet(&self, fleet: &ReflectorFleet, drawn: &mut BTreeSet<String>, now: Timestamp) -> Branch {
        let status = fleet.status.clone().unwrap_or_default();
        let (ready, desired) = (status.ready.unwrap_or(0), status.desired.unwrap_or(0));
        let line = format!(
            "ReflectorFleet {}   {}   {ready} of {desired} ready",
            fleet.name_any(),
            state(of_fleet(fleet))
        );
        let mut branch = Branch::new(line);
        branch.below = conditions(of_fleet(fleet), false);
        branch
            .below
            .extend(self.peers.iter().filter(|peer| names(peer, fleet)).map(|peer| peer_branch(peer, now)));
        for member in self.reflectors.iter().filter(|one| is_member(one, fleet)) {
            drawn.insert(member.name_any());
            branch.below.push(self.reflector(member, false, now));
        }
        branch
    }

    fn reflector(&self, reflector: &Reflector, whole: bool, now: Timestamp) -> Branch {
        let status = reflector.status.clone().unwrap_or_default();
        let facts = [status.short_id, status.addresses.first().cloned(), status.node, status.version];
        let facts: Vec<String> = facts.into_iter().flatten().collect();
        let active = status.active_tests.filter(|active| *active > 0);
        let active = active.map(|active| format!("   {} running", count(active, "test"))).unwrap_or_default();
        let facts = if facts.is_empty() { String::new() } else { format!("   {}", facts.join("   ")) };
        let line = format!("Reflector {}   {}{facts}{active}", reflector.name_any(), state(of(reflector)));
        let mut branch = Branch::new(line);
        branch.below = conditions(of(reflector), whole);
        // Those of the fleet hang on the fleet.
        let own = |peer: &&ReflectorPeer| {
            is_of(peer, reflector) && (whole || peer.spec.reflector_ref.kind == ReflectorKind::Reflector)
        };
        branch.below.extend(self.peers.iter().filter(own).map(|peer| peer_branch(peer, now)));
        branch
    }
}

fn of(reflector: &Reflector) -> &[Condition] {
    reflector.status.as_ref().map_or(&[], |status| &status.conditions)
}

fn of_fleet(fleet: &ReflectorFleet) -> &[Condition] {
    fleet.status.as_ref().map_or(&[], |status| &status.conditions)
}

fn is_member(reflector: &Reflector, fleet: &ReflectorFleet) -> bool {
    reflector.owner_references().iter().any(|owner| Some(&owner.uid) == fleet.metadata.uid.as_ref())
}

fn names(peer: &ReflectorPeer, fleet: &ReflectorFleet) -> bool {
    peer.spec.reflector_ref.kind == ReflectorKind::ReflectorFleet
        && peer.spec.reflector_ref.name == fleet.name_any()
}

/// `Ready Serving`, `not Ready PortTaken`
fn state(conditions: &[Condition]) -> String {
    match find(conditions, "Ready") {
        Some(ready) if ready.status == "True" => format!("Ready ({})", ready.reason),
        Some(ready) if ready.status == "False" => format!("not Ready ({})", ready.reason),
        Some(ready) => format!("not known yet ({})", ready.reason),
        None => "nobody has looked at it yet".to_owned(),
    }
}

/// What is not as it should be, or all. What `Ready` says is in the line above, its words are here.
fn conditions(all: &[Condition], whole: bool) -> Vec<Branch> {
    let shown =
        all.iter().filter(|condition| whole || !is_fine(condition) && condition.type_ != "Reconciling");
    let line = |condition: &Condition| {
        let head = format!("{} {} ({})", condition.type_, condition.status, condition.reason);
        let worth = !is_fine(condition) || condition.status == "False";
        let words = Some(&condition.message).filter(|words| !words.is_empty() && worth);
        Branch::new(words.map_or(head.clone(), |words| format!("{head}: {words}")))
    };
    let mut said = BTreeSet::new();
    // A condition that only repeats what another said is not worth a line.
    shown.filter(|one| whole || said.insert(one.message.clone())).map(line).collect()
}

fn peer_branch(peer: &ReflectorPeer, now: Timestamp) -> Branch {
    let status = peer.status.clone().unwrap_or_default();
    let used = today(peer, now);
    let seen = match ago(status.last_seen.as_ref(), now).as_str() {
        NONE => String::new(),
        ago => format!("   seen {ago} ago"),
    };
    let used = used.map(|used| {
        format!(
            "   {}, {} today",
            count(used.tests_today.unwrap_or(0), "test"),
            bytes(used.bytes_today.unwrap_or(0))
        )
    });
    let id = status.short_id.map(|id| format!("   {id}")).unwrap_or_default();
    let state = state(&status.conditions);
    Branch::new(format!("peer {}   {state}{id}{}{seen}", peer.name_any(), used.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::testing::{golden, now, picture, yaml};

    #[test]
    fn golden_a_namespace_as_a_tree() {
        golden("status.txt", &picture().draw(false, "homes", now()));
    }

    #[test]
    fn golden_one_reflector_with_every_condition() {
        let all = picture();
        let attic = all.reflectors.into_iter().filter(|one| one.name_any() == "attic").collect();
        let one = Picture { fleets: vec![], reflectors: attic, peers: all.peers };
        golden("status-attic.txt", &one.draw(true, "homes", now()));
    }

    #[test]
    fn something_that_is_not_ready_makes_the_answer_no() {
        assert!(!picture().is_ready());
        let none = Picture { fleets: vec![], reflectors: vec![], peers: vec![] };
        assert!(none.is_ready());
        assert_eq!(none.draw(false, "homes", now()), "There is no Reflector in namespace homes.\n");
        let fresh: Reflector = yaml("{ metadata: { name: fresh }, spec: {} }");
        let fresh = Picture { fleets: vec![], reflectors: vec![fresh], peers: vec![] };
        assert!(!fresh.is_ready());
        assert!(fresh.draw(false, "homes", now()).contains("nobody has looked"));
    }
}
