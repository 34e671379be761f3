//! What tests of this room are made from: YAML, read through the real types.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crds::fleet::ReflectorFleet;
use crds::reflector::Reflector;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt as _;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::fetch::{Found, Member, Node};
use super::member::{self, Place};
use crate::clock::Now;

/// An object from YAML.
pub(super) fn yaml<K: DeserializeOwned>(text: &str) -> K {
    let value: Value = serde_yaml::from_str(text).unwrap();
    serde_json::from_value(value).unwrap()
}

/// A fleet called homes with this spec, given in flow style or indented by two.
pub(super) fn fleet(spec: &str) -> ReflectorFleet {
    yaml(&format!(
        "
apiVersion: packetparamedic.io/v1alpha1
kind: ReflectorFleet
metadata: {{ name: homes, namespace: reflectors, uid: uid-homes, generation: 3, resourceVersion: '7' }}
spec: {spec}
"
    ))
}

/// A node with `site: home`.
pub(super) fn node(name: &str) -> Node {
    let labels = BTreeMap::from([("site".to_owned(), "home".to_owned())]);
    Node { name: name.to_owned(), labels, leaves: false }
}

/// A member that is as the fleet says, and serves.
pub(super) fn member(fleet: &ReflectorFleet, node: &str) -> Reflector {
    let mut member = member::build(fleet, Place { node, hostname: node }, None).unwrap();
    member.metadata.uid = Some(format!("uid-{}", member.name_any()));
    member.metadata.generation = Some(5);
    member.status = Some(crds::ReflectorStatus {
        observed_generation: Some(5),
        endpoint_id: Some(format!("PP-{node}")),
        conditions: vec![ready("True", 5)],
        ..Default::default()
    });
    member
}

pub(super) fn ready(status: &str, generation: i64) -> Condition {
    Condition {
        type_: "Ready".to_owned(),
        status: status.to_owned(),
        reason: "Serving".to_owned(),
        message: String::new(),
        observed_generation: Some(generation),
        last_transition_time: Time(jiff::Timestamp::UNIX_EPOCH),
    }
}

/// These nodes and members, and nothing else.
pub(super) fn found(fleet: ReflectorFleet, nodes: Vec<Node>, members: Vec<Reflector>) -> Found {
    let members = members.into_iter().map(|member| Member { object: Arc::new(member), readable: true });
    Found {
        fleet: Arc::new(fleet),
        nodes,
        members: members.collect(),
        others: BTreeSet::new(),
        kept_claims: BTreeMap::new(),
    }
}

pub(super) fn at(second: i64) -> Now {
    Now { mono_ms: 0, wall: jiff::Timestamp::from_second(second).unwrap() }
}
