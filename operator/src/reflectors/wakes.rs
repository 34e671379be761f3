//! What makes us look at a Reflector, besides its own change.
//!
//! A child wakes its owner, a node those on it, a peer those it names. A Reflector that gives up a port wakes those
//! that wait for one.

use std::collections::HashMap;

use crds::peer::ReflectorKind;
use crds::reasons::ReflectorReason as Reason;
use crds::{Reflector, ReflectorPeer};
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt as _;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::ObjectRef;

use super::build::labels;
use super::caches::Caches;
use super::neighbours::Neighbour;
use super::peers::{self, Standing};
use crate::kinds::Kinds;
use crate::watches::{Cached, Object, Watched};

type Ours = DeserializeGuard<Reflector>;

/// All of it.
pub(super) fn wakes(kinds: &Kinds, caches: &Caches) -> impl Stream<Item = ObjectRef<Ours>> + Send + 'static {
    let Caches { accounts, bindings, configs, claims, services, deployments, pods } = caches;
    stream::select_all([
        children(accounts),
        children(bindings),
        children(configs),
        children(claims),
        children(services),
        children(deployments),
        children(pods),
        nodes(&kinds.nodes, kinds.reflectors.cache.clone()),
        peers(&kinds.peers, kinds.reflectors.cache.clone()),
        ports(&kinds.reflectors),
    ])
}

/// The owner by label: claims that are retained and pods have no owner reference of ours.
fn children<K: Object>(watched: &Watched<K>) -> BoxStream<'static, ObjectRef<Ours>> {
    let owner = |child: &DeserializeGuard<K>| {
        let name = child.labels().get(labels::REFLECTOR)?;
        Some(ObjectRef::new(name).within(&child.namespace()?))
    };
    watched.news().filter_map(move |child| std::future::ready(owner(&child))).boxed()
}

/// The reflectors on a node whose addresses changed, or that went.
fn nodes(watched: &Watched<Node>, reflectors: Cached<Reflector>) -> BoxStream<'static, ObjectRef<Ours>> {
    let all = watched.news().flat_map(move |node| {
        let name = node.name_any();
        let there = |reflector: &Reflector| {
            let status = reflector.status.as_ref();
            status.is_some_and(|status| status.node.as_deref() == Some(name.as_str()))
        };
        stream::iter(those(&reflectors, there))
    });
    all.boxed()
}

/// The reflectors a peer names, when it counts differently than before.
fn peers(
    watched: &Watched<ReflectorPeer>,
    reflectors: Cached<Reflector>,
) -> BoxStream<'static, ObjectRef<Ours>> {
    let mut told = Told::<Option<Standing>>::new();
    let cache = watched.cache.clone();
    let all = watched.news().flat_map(move |object| {
        let Ok(peer) = &object.0 else { return stream::iter(vec![]) };
        let gone = cache.get(&ObjectRef::from_obj(&*object)).is_none();
        if !told.is_news(&object, peers::standing(peer), gone) {
            return stream::iter(vec![]);
        }
        let namespace = peer.namespace().unwrap_or_default();
        let named = &peer.spec.reflector_ref;
        stream::iter(match named.kind {
            ReflectorKind::Reflector => vec![ObjectRef::new(&named.name).within(&namespace)],
            _ => those(&reflectors, |reflector| peers::names(peer, reflector)),
        })
    });
    all.boxed()
}

/// Those that wait for a port, whenever a Reflector has others than before, is elsewhere, is refused, or went.
fn ports(watched: &Watched<Reflector>) -> BoxStream<'static, ObjectRef<Ours>> {
    let mut told = Told::<Option<Neighbour>>::new();
    let cache = watched.cache.clone();
    let all = watched.news().flat_map(move |object| {
        let Ok(reflector) = &object.0 else { return stream::iter(vec![]) };
        let gone = cache.get(&ObjectRef::from_obj(&*object)).is_none();
        if !told.is_news(&object, Neighbour::competing(reflector), gone) {
            return stream::iter(vec![]);
        }
        stream::iter(those(&cache, waits_for_port))
    });
    all.boxed()
}

fn waits_for_port(reflector: &Reflector) -> bool {
    let conditions = reflector.status.iter().flat_map(|status| &status.conditions);
    let mut ready = conditions.filter(|condition| condition.type_ == "Ready");
    ready.any(|ready| {
        [Reason::PortTaken, Reason::HostPortTaken].iter().any(|one| one.as_str() == ready.reason)
    })
}

fn those(reflectors: &Cached<Reflector>, wanted: impl Fn(&Reflector) -> bool) -> Vec<ObjectRef<Ours>> {
    let all = reflectors.state();
    let found = all.iter().filter(|object| object.0.as_ref().is_ok_and(&wanted));
    found.map(|object| ObjectRef::from_obj(&**object)).collect()
}

/// What each object said last. It holds no more than there are objects.
struct Told<V> {
    known: HashMap<(String, String), V>,
}

impl<V: PartialEq> Told<V> {
    fn new() -> Self {
        Self { known: HashMap::new() }
    }

    fn is_news<K: Object>(&mut self, object: &DeserializeGuard<K>, says: V, gone: bool) -> bool {
        let key = (object.namespace().unwrap_or_default(), object.name_any());
        if gone {
            self.known.remove(&key);
            return true;
        }
        let news = self.known.get(&key) != Some(&says);
        if news {
            self.known.insert(key, says);
        }
        news
    }
}
