//! What to do about a fleet. Pure: from the nodes and members that were found, steps that `apply` performs, and what
//! `status` says about it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crds::fleet::{MAX_MEMBERS, ReflectorFleet, ValidFleet};
use crds::reflector::Reflector;
use kube::{Resource as _, ResourceExt as _};

use super::fetch::{Found, Member, Node};
use super::member::{self, Place};
use super::names::{self, CHANGED_WHILE_READY, HOSTNAME, NODE};
use super::rollout::{self, Candidate};
use super::rows::{Row, is_ready, is_seen, row, starts};

/// Something to write.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// A member that is not there yet.
    Make(Box<Reflector>),
    /// A member as it should be.
    Change { there: Arc<Reflector>, desired: Box<Reflector> },
    /// A member that goes.
    Remove(Arc<Reflector>),
}

/// What to do, and where it stands.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Decision {
    pub(super) steps: Vec<Step>,
    /// Members once the steps are done, by name.
    pub(super) rows: Vec<Row>,
    /// Nodes that match and are there.
    pub(super) desired: usize,
    /// Members there would be, when there would be too many. None is made then.
    pub(super) too_many: Option<usize>,
    /// Names of members that are somebody else's.
    pub(super) taken: Vec<String>,
    /// Something of ours goes on that no watch tells of.
    pub(super) look_again_soon: bool,
}

/// Where a member's node is.
enum Whereabouts<'a> {
    /// There, and it matches.
    Here(&'a Node),
    /// There, and it does not match.
    Elsewhere,
    /// There, and about to go.
    Leaving,
    Gone,
}

/// Members whose node is gone for good: their claims are to be looked at.
pub(super) fn to_prune<'a>(found: &'a Found, valid: &ValidFleet) -> Vec<&'a Reflector> {
    let fleet = found.fleet.name_any();
    let nodes: BTreeSet<String> = found.nodes.iter().map(|node| names::member(&fleet, &node.name)).collect();
    let gone = found.members.iter().filter(|member| !nodes.contains(&member.object.name_any()));
    gone.filter(|_| valid.prune).map(|member| &*member.object).collect()
}

/// Nodes that get a member.
fn matching<'a>(nodes: &'a [Node], fleet: &ReflectorFleet) -> Vec<&'a Node> {
    nodes.iter().filter(|node| matches(node, fleet) && !node.leaves).collect()
}

fn matches(node: &Node, fleet: &ReflectorFleet) -> bool {
    fleet.spec.node_selector.iter().all(|(key, value)| node.labels.get(key) == Some(value))
}

/// Decides.
pub(super) fn decide(found: &Found, valid: &ValidFleet) -> Result<Decision, serde_json::Error> {
    let fleet = &*found.fleet;
    let by_name: BTreeMap<String, &Node> =
        found.nodes.iter().map(|node| (names::member(&fleet.name_any(), &node.name), node)).collect();
    let mut decision = Decision { desired: matching(&found.nodes, fleet).len(), ..Decision::default() };
    let mut here = Vec::new();
    for member in &found.members {
        let whereabouts = match by_name.get(&member.object.name_any()) {
            Some(node) if !node.leaves && matches(node, fleet) => Whereabouts::Here(node),
            Some(node) if !node.leaves => Whereabouts::Elsewhere,
            Some(_) => Whereabouts::Leaving,
            None => Whereabouts::Gone,
        };
        match whereabouts {
            Whereabouts::Here(node) => here.push((member, node)),
            Whereabouts::Elsewhere => decision.steps.extend(removal(member)),
            // A node that is only about to go may be refused its end; its identity waits with it.
            Whereabouts::Leaving => decision.rows.push(row(member)),
            Whereabouts::Gone => decision.gone(found, member, valid.prune)?,
        }
    }
    decision.roll_out(fleet, &here, valid.max_unavailable)?;
    decision.make(found, &here)?;
    decision.rows.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(decision)
}

impl Decision {
    /// Its node is gone: it stays as it is. To be pruned it first gives its claim a new owner, itself: then both go at
    /// once, whatever the other controller is about to do.
    fn gone(&mut self, found: &Found, member: &Member, prune: bool) -> Result<(), serde_json::Error> {
        let object = &member.object;
        let is_kept = found.kept_claims.get(&object.name_any());
        if prune && member.readable && object.meta().deletion_timestamp.is_none() {
            let node = object.annotations().get(NODE).map_or("", String::as_str);
            let selector = object.spec.placement.as_ref().map(|placement| &placement.node_selector);
            let hostname = selector.and_then(|labels| labels.get(HOSTNAME)).map_or(node, String::as_str);
            let going = member::build_without_a_future(&found.fleet, Place { node, hostname }, object)?;
            let lost = object.spec.identity.as_ref().and_then(|identity| identity.retain) == Some(false);
            if !lost {
                let there = object.clone();
                self.steps.push(Step::Change { there, desired: Box::new(going) });
            } else if is_seen(object) && is_kept == Some(&false) {
                self.steps.push(Step::Remove(object.clone()));
                return Ok(());
            }
            self.look_again_soon = true;
        }
        self.rows.push(row(member));
        Ok(())
    }

    /// Those whose node is there and matches.
    fn roll_out(
        &mut self,
        fleet: &ReflectorFleet,
        here: &[(&Member, &Node)],
        max_unavailable: usize,
    ) -> Result<(), serde_json::Error> {
        let mut desired = Vec::new();
        let mut candidates = Vec::new();
        for (member, node) in here {
            let object = &*member.object;
            let wanted = member::build(fleet, place(node), Some(object))?;
            // What cannot be read was written by a newer release: it is not ours to change.
            let changeable = member.readable && object.metadata.deletion_timestamp.is_none();
            candidates.push(Candidate {
                stale: changeable && !member::is_as_described(&wanted, object)?,
                restarts: member::restarts(&wanted, object)?,
                ready: is_ready(member),
                interrupted: object.annotations().contains_key(CHANGED_WHILE_READY),
                idle: object.status.as_ref().and_then(|status| status.active_tests).unwrap_or(0) == 0,
                suspended: object.spec.suspend == Some(true),
            });
            desired.push(wanted);
        }
        let next = rollout::next(&candidates, max_unavailable);
        for (at, ((member, _), wanted)) in here.iter().zip(desired).enumerate() {
            let candidate = candidates[at];
            let picked = next.contains(&at);
            // It serves again: the note has done its duty.
            let noted = candidate.interrupted && candidate.ready && !candidate.stale && member.readable;
            if picked || noted {
                let still = candidate.interrupted && !candidate.ready;
                let interrupts =
                    picked && (still || candidate.restarts && (candidate.ready || candidate.interrupted));
                let wanted = member::note_interruption(wanted, interrupts);
                self.steps.push(Step::Change { there: member.object.clone(), desired: Box::new(wanted) });
            }
            let goes_down = picked && candidate.restarts;
            self.rows.push(Row {
                here: true,
                ready: candidate.ready && !goes_down,
                updated: member.readable && (picked || !candidate.stale),
                in_rollout: candidate.stale && !picked
                    || candidate.holds_a_place()
                    || goes_down && candidate.ready,
                starts: goes_down || starts(member),
                ..row(member)
            });
        }
        Ok(())
    }

    /// Members that are not there yet, unless there would be too many.
    fn make(&mut self, found: &Found, here: &[(&Member, &Node)]) -> Result<(), serde_json::Error> {
        let fleet = &*found.fleet;
        let missing: Vec<&Node> = matching(&found.nodes, fleet)
            .into_iter()
            .filter(|node| !here.iter().any(|(_, there)| there.name == node.name))
            .collect();
        let total = self.rows.len() + missing.len();
        if total > MAX_MEMBERS {
            self.too_many = Some(total);
            return Ok(());
        }
        for node in missing {
            let member = member::build(fleet, place(node), None)?;
            let name = member.name_any();
            if found.others.contains(&name) {
                self.taken.push(name);
                continue;
            }
            self.rows.push(Row {
                name,
                node: Some(node.name.clone()),
                endpoint_id: None,
                here: true,
                ready: false,
                updated: true,
                in_rollout: false,
                starts: true,
            });
            self.steps.push(Step::Make(Box::new(member)));
        }
        Ok(())
    }
}

fn removal(member: &Member) -> Option<Step> {
    let goes = member.object.metadata.deletion_timestamp.is_none();
    goes.then(|| Step::Remove(member.object.clone()))
}

fn place(node: &Node) -> Place<'_> {
    Place { node: &node.name, hostname: node.labels.get(HOSTNAME).unwrap_or(&node.name) }
}
