//! What makes us look at a peer, besides its own change: another peer, the Reflector or fleet it names.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::Arc;

use crds::peer::ReflectorPeer;
use crds::{Reflector, ReflectorFleet};
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt as _};
use kube::ResourceExt as _;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::ObjectRef;

use super::index::Key;
use super::reference;
use super::room::Room;
use crate::kinds::Kinds;
use crate::watches::{Object, Watched};

type Ours = DeserializeGuard<ReflectorPeer>;

/// All of it.
pub(super) fn wakes(
    kinds: &Kinds,
    room: &Arc<Room>,
) -> impl Stream<Item = ObjectRef<Ours>> + Send + use<> + 'static {
    let rivals = room.clone();
    let peers = kinds.peers.news().flat_map(move |_| stream::iter(references(rivals.take_to_wake())));
    let reflectors = room.clone();
    let reflectors = changed(&kinds.reflectors, look_of_reflector, move |reflector| {
        reflectors
            .naming(&reflector.namespace().unwrap_or_default(), &reference::reflector(&reflector.name_any()))
    });
    let fleets = room.clone();
    let fleets = changed(&kinds.fleets, look_of_fleet, move |fleet| {
        let namespace = fleet.namespace().unwrap_or_default();
        let members = fleet.0.as_ref().ok().and_then(|fleet| fleet.status.as_ref());
        // Who names a member directly may have a rival among those who name the fleet.
        let members = members.into_iter().flat_map(|status| &status.members);
        let members =
            members.flat_map(|member| fleets.naming(&namespace, &reference::reflector(&member.reflector)));
        members.chain(fleets.naming(&namespace, &reference::fleet(&fleet.name_any()))).collect()
    });
    stream::select_all([peers.boxed(), reflectors, fleets])
}

/// Peers that have to do with an object, whenever what they look at is another than before.
fn changed<K: Object>(
    watched: &Watched<K>,
    look: fn(&K, &mut DefaultHasher),
    concerned: impl Fn(&DeserializeGuard<K>) -> Vec<Key> + Send + 'static,
) -> BoxStream<'static, ObjectRef<Ours>> {
    let cache = watched.cache.clone();
    let mut known = HashMap::<Key, u64>::new();
    let all = watched.news().flat_map(move |object| {
        let key = (object.namespace().unwrap_or_default(), object.name_any());
        let news = if cache.get(&ObjectRef::from_obj(&*object)).is_none() {
            known.remove(&key);
            true
        } else {
            let mut hasher = DefaultHasher::new();
            object.uid().hash(&mut hasher);
            if let Ok(object) = &object.0 {
                look(object, &mut hasher);
            }
            let now = hasher.finish();
            known.insert(key, now) != Some(now)
        };
        stream::iter(if news { references(concerned(&object)) } else { vec![] })
    });
    all.boxed()
}

fn look_of_reflector(reflector: &Reflector, hasher: &mut DefaultHasher) {
    let access = reflector.spec.access.as_ref();
    format!("{:?}", access.and_then(|access| access.approval.as_ref())).hash(hasher);
}

fn look_of_fleet(fleet: &ReflectorFleet, hasher: &mut DefaultHasher) {
    let access = fleet.spec.template.spec.access.as_ref();
    format!("{:?}", access.and_then(|access| access.approval.as_ref())).hash(hasher);
    for member in fleet.status.iter().flat_map(|status| &status.members) {
        member.reflector.hash(hasher);
    }
}

fn references(keys: Vec<Key>) -> Vec<ObjectRef<Ours>> {
    keys.into_iter().map(|(namespace, name)| ObjectRef::new(&name).within(&namespace)).collect()
}
