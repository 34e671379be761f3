//! What makes us look at a fleet, besides its own change: a member wakes its fleet, a node all of them.

use crds::fleet::ReflectorFleet;
use futures_util::stream;
use futures_util::{Stream, StreamExt as _};
use kube::ResourceExt as _;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::ObjectRef;

use super::names;
use crate::kinds::Kinds;

type Ours = DeserializeGuard<ReflectorFleet>;

/// All of it.
pub(super) fn wakes(kinds: &Kinds) -> impl Stream<Item = ObjectRef<Ours>> + Send + 'static {
    let members = kinds.reflectors.news().filter_map(|member| {
        let owner = names::owner(&*member).map(|owner| owner.name.clone());
        let fleet = owner.zip(member.namespace());
        std::future::ready(fleet.map(|(name, namespace)| ObjectRef::new(&name).within(&namespace)))
    });
    // A label that was taken away concerns fleets that do not match any more; nodes are few, and their news are rare.
    let fleets = kinds.fleets.cache.clone();
    let nodes = kinds.nodes.news().flat_map(move |_| {
        let all: Vec<_> = fleets.state().iter().map(|fleet| ObjectRef::from_obj(&**fleet)).collect();
        stream::iter(all)
    });
    stream::select(members.boxed(), nodes.boxed())
}
