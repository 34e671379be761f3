//! Everything a reconcile looks at, gathered once. IO, but it decides nothing.
//!
//! Reflectors and nodes are all in the caches, so what is not there does not exist. Only the claims of members that are
//! to be pruned are asked for: nobody else has to remember them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crds::Reflector;
use crds::fleet::ReflectorFleet;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::core::DeserializeGuard;
use kube::{Api, ResourceExt as _};
use tokio::time::timeout;

use super::{Fleets, names};
use crate::clock;
use crate::reflectors::claim_name;

/// kube tries again for minutes; the object is looked at again sooner by itself.
const DEADLINE: Duration = Duration::from_secs(10);

/// What there is.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) fleet: Arc<ReflectorFleet>,
    pub(super) nodes: Vec<Node>,
    /// Reflectors that this very fleet owns.
    pub(super) members: Vec<Member>,
    /// Names of all other Reflectors of the namespace.
    pub(super) others: BTreeSet<String>,
    /// By member that is to be pruned: whether there is a claim that would outlive it.
    pub(super) kept_claims: BTreeMap<String, bool>,
}

/// A node, as far as fleets go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    /// It is being deleted.
    pub(super) leaves: bool,
}

/// A member that is there.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Member {
    /// Only metadata, when this release cannot read it.
    pub(super) object: Arc<Reflector>,
    pub(super) readable: bool,
}

/// The API server did not say what there is.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("read PersistentVolumeClaim {name}")]
    Read {
        name: String,
        #[source]
        source: Box<kube::Error>,
    },
    #[error(
        "read PersistentVolumeClaim {name}: no answer from the API server within {} s",
        DEADLINE.as_secs()
    )]
    NoAnswer { name: String },
}

/// What the cache and our own writes know of a fleet.
pub(super) fn newest(context: &Fleets, cached: &ReflectorFleet) -> Arc<ReflectorFleet> {
    let (namespace, name) = (cached.namespace().unwrap_or_default(), cached.name_any());
    let current = context.shared.kinds.fleets.find(&namespace, &name);
    let current = current.unwrap_or_else(|| Arc::new(cached.clone()));
    context.statuses.latest(&namespace, &name, Some(current.clone()), clock::now()).unwrap_or(current)
}

/// Gathers.
pub(super) fn fetch(context: &Fleets, fleet: Arc<ReflectorFleet>) -> Found {
    let namespace = fleet.namespace().unwrap_or_default();
    let cache = &context.shared.kinds.reflectors.cache;
    let all =
        cache.state_filter(|object| kube::Resource::meta(object).namespace.as_deref() == Some(&*namespace));
    let mut known: BTreeMap<String, Member> =
        all.iter().map(|object| (object.name_any(), member(context, &namespace, object))).collect();
    // What was made a moment ago is in no cache yet.
    for node in context.shared.kinds.nodes.cache.state() {
        let name = names::member(&fleet.name_any(), &node.name_any());
        if known.contains_key(&name) {
            continue;
        }
        if let Some(object) = context.members.latest(&namespace, &name, None, clock::now()) {
            known.insert(name, Member { object, readable: true });
        }
    }
    let uid = fleet.uid().unwrap_or_default();
    let (mut members, mut others) = (Vec::new(), BTreeSet::new());
    for (name, member) in known {
        if names::owner(&*member.object).is_some_and(|owner| owner.uid == uid) {
            members.push(member);
        } else {
            others.insert(name);
        }
    }
    Found { nodes: nodes(context), members, others, kept_claims: BTreeMap::new(), fleet }
}

fn member(context: &Fleets, namespace: &str, object: &Arc<DeserializeGuard<Reflector>>) -> Member {
    match &object.0 {
        Ok(reflector) => {
            let (cached, name) = (Arc::new(reflector.clone()), object.name_any());
            let newest = context.members.latest(namespace, &name, Some(cached.clone()), clock::now());
            Member { object: newest.unwrap_or(cached), readable: true }
        }
        Err(invalid) => {
            let metadata = invalid.metadata.clone();
            Member { object: Arc::new(Reflector { metadata, ..Reflector::default() }), readable: false }
        }
    }
}

fn nodes(context: &Fleets) -> Vec<Node> {
    let all = context.shared.kinds.nodes.cache.state();
    let node = |node: &Arc<DeserializeGuard<k8s_openapi::api::core::v1::Node>>| Node {
        name: node.name_any(),
        labels: node.labels().clone(),
        leaves: kube::Resource::meta(&**node).deletion_timestamp.is_some(),
    };
    let mut nodes: Vec<Node> = all.iter().map(node).collect();
    nodes.sort_by(|one, other| one.name.cmp(&other.name));
    nodes
}

/// Looks which of these members have a claim that they do not own.
pub(super) async fn claims(
    context: &Fleets,
    members: &[&Reflector],
) -> Result<BTreeMap<String, bool>, Error> {
    let mut kept = BTreeMap::new();
    for member in members {
        let namespace = member.namespace().unwrap_or_default();
        let api = Api::<PersistentVolumeClaim>::namespaced(context.shared.client.clone(), &namespace);
        let name = claim_name(&member.name_any());
        let claim = match timeout(DEADLINE, api.get_metadata_opt(&name)).await {
            Ok(Ok(claim)) => claim,
            Ok(Err(source)) => return Err(Error::Read { name, source: Box::new(source) }),
            Err(_) => return Err(Error::NoAnswer { name }),
        };
        let outlives = claim.is_some_and(|claim| {
            let owners = claim.owner_references();
            !owners.iter().any(|owner| Some(owner.uid.as_str()) == member.metadata.uid.as_deref())
        });
        kept.insert(member.name_any(), outlives);
    }
    Ok(kept)
}
