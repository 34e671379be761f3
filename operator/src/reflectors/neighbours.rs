//! Who has a port of a node first. Pure.
//!
//! Two reflectors on the host network of one node cannot share a port. The scheduler would only say that no node fits;
//! we know whose port it is.

use crds::reasons::ConditionType as Type;
use crds::reflector::Reflector;
use crds::reflector::ports::{DEFAULT_HEALTH_PORT, DEFAULT_PORT};
use jiff::Timestamp;
use kube::ResourceExt as _;

/// The label by which people pin a reflector to a node.
const HOSTNAME: &str = "kubernetes.io/hostname";

/// A Reflector, as far as its ports go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Neighbour {
    pub(super) namespace: String,
    pub(super) name: String,
    uid: String,
    created: Timestamp,
    /// Where its pod is, and where it is pinned to.
    node: Option<String>,
    pinned: Option<String>,
    ports: Vec<u16>,
}

impl Neighbour {
    pub(super) fn new(reflector: &Reflector, ports: Vec<u16>) -> Self {
        let selector = reflector.spec.placement.as_ref().map(|placement| &placement.node_selector);
        Self {
            namespace: reflector.namespace().unwrap_or_default(),
            name: reflector.name_any(),
            uid: reflector.uid().unwrap_or_default(),
            created: reflector.creation_timestamp().map_or(Timestamp::MAX, |time| time.0),
            node: reflector.status.as_ref().and_then(|status| status.node.clone()),
            pinned: selector.and_then(|labels| labels.get(HOSTNAME)).cloned(),
            ports,
        }
    }

    /// Another Reflector; none, when it is not on the host network. Its spec may be anything.
    pub(super) fn of(reflector: &Reflector) -> Option<Self> {
        let network = reflector.spec.network.clone().unwrap_or_default();
        if network.host_network == Some(false) {
            return None;
        }
        let single =
            [network.port.unwrap_or(DEFAULT_PORT), network.health_port.unwrap_or(DEFAULT_HEALTH_PORT)];
        let mut ports: Vec<u16> = single.into_iter().filter_map(|port| u16::try_from(port).ok()).collect();
        if let Some(range) = network.data_ports {
            ports.extend((range.start..=range.end).take(1024).filter_map(|port| u16::try_from(port).ok()));
        }
        Some(Self::new(reflector, ports))
    }

    /// One that has its ports or is about to take them. Whoever is refused or goes runs nowhere: else a Reflector that
    /// nobody allows would take a node's ports from other namespaces.
    pub(super) fn competing(reflector: &Reflector) -> Option<Self> {
        let goes = reflector.metadata.deletion_timestamp.is_some();
        Self::of(reflector).filter(|it| !goes && (it.node.is_some() || !is_refused(reflector)))
    }

    /// `namespace/name`.
    pub(super) fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Others that have one of its ports, wherever they are.
    pub(super) fn sharing<'a>(&'a self, others: &'a [Self]) -> impl Iterator<Item = &'a Self> {
        others
            .iter()
            .filter(|other| other.uid != self.uid && other.ports.iter().any(|port| self.ports.contains(port)))
    }

    fn place(&self) -> Option<&str> {
        self.node.as_deref().or(self.pinned.as_deref())
    }

    /// Who runs has its ports; else who was there first.
    fn rank(&self) -> (bool, Timestamp, &str, &str) {
        (self.node.is_none(), self.created, &self.namespace, &self.name)
    }
}

/// Whether the spec as it is now was refused.
fn is_refused(reflector: &Reflector) -> bool {
    let mut conditions = reflector.status.iter().flat_map(|status| &status.conditions);
    conditions.any(|one| {
        one.type_ == Type::Stalled.as_str()
            && one.status == "True"
            && one.observed_generation == reflector.metadata.generation
    })
}

/// The first that has one of my ports on my node, with the port.
pub(super) fn clash<'a>(me: &Neighbour, others: &'a [Neighbour]) -> Option<(&'a Neighbour, u16)> {
    let place = me.place()?;
    let ahead = others
        .iter()
        .filter(|other| other.uid != me.uid && other.place() == Some(place) && other.rank() < me.rank());
    let clashing = ahead.filter_map(|other| {
        let port = me.ports.iter().find(|port| other.ports.contains(port))?;
        Some((other, *port))
    });
    clashing.min_by(|(one, _), (other, _)| one.rank().cmp(&other.rank()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reflectors::testing::{reflector, yaml};

    fn one(name: &str, second: i64, node: Option<&str>, pinned: Option<&str>, ports: &[u16]) -> Neighbour {
        Neighbour {
            namespace: "n".into(),
            name: name.into(),
            uid: name.into(),
            created: Timestamp::from_second(second).unwrap(),
            node: node.map(Into::into),
            pinned: pinned.map(Into::into),
            ports: ports.to_vec(),
        }
    }

    fn winner(me: &Neighbour, others: &[Neighbour]) -> Option<(String, u16)> {
        clash(me, others).map(|(other, port)| (other.name.clone(), port))
    }

    #[test]
    fn the_younger_of_two_on_one_node_gives_way() {
        let old = one("old", 1, None, Some("pi"), &[4000, 7301]);
        let young = one("young", 2, None, Some("pi"), &[4001, 7301]);
        let both = [old.clone(), young.clone()];
        assert_eq!(winner(&young, &both), Some(("old".into(), 7301)));
        assert_eq!(winner(&old, &both), None);
    }

    #[test]
    fn one_that_runs_keeps_its_ports_whoever_is_older() {
        let old = one("old", 1, None, Some("pi"), &[4000]);
        let runs = one("runs", 2, Some("pi"), None, &[4000]);
        let both = [old.clone(), runs.clone()];
        assert_eq!(winner(&old, &both), Some(("runs".into(), 4000)));
        assert_eq!(winner(&runs, &both), None);
    }

    #[test]
    fn other_nodes_other_ports_and_unknown_places_do_not_clash() {
        let me = one("me", 2, None, Some("pi"), &[4000]);
        let elsewhere = one("a", 1, Some("attic"), None, &[4000]);
        let other_port = one("b", 1, Some("pi"), None, &[4001]);
        let anywhere = one("c", 1, None, None, &[4000]);
        assert_eq!(winner(&me, &[elsewhere, other_port, anywhere]), None);
        let free = one("free", 2, None, None, &[4000]);
        assert_eq!(winner(&free, &[one("a", 1, Some("pi"), None, &[4000])]), None, "the scheduler decides");
    }

    #[test]
    fn one_that_is_refused_and_does_not_run_takes_no_port_from_others() {
        let mut it = reflector("{ placement: { nodeSelector: { kubernetes.io/hostname: pi } } }");
        assert!(Neighbour::competing(&it).is_some());
        let refused = |generation: u8, node: &str| {
            yaml(&format!(
                "{{ {node} conditions: [{{ type: Stalled, status: 'True', reason: ImageNotAllowed, message: '', observedGeneration: {generation}, lastTransitionTime: '2026-01-02T00:00:00Z' }}] }}"
            ))
        };
        it.status = Some(refused(3, ""));
        assert!(Neighbour::competing(&it).is_none());
        it.status = Some(refused(2, ""));
        assert!(Neighbour::competing(&it).is_some(), "it was edited since");
        it.status = Some(refused(3, "node: pi,"));
        assert!(Neighbour::competing(&it).is_some(), "its pod of before runs");
        it.metadata.deletion_timestamp = yaml("'2026-01-02T00:00:00Z'");
        assert!(Neighbour::competing(&it).is_none(), "it goes");
    }
}
