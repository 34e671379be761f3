//! What is watched for Reflectors, and how it wakes them.

use std::collections::HashMap;
use std::sync::Arc;

use crds::reflector::Reflector;
use futures_util::Stream;
use futures_util::stream::StreamExt as _;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Node, PersistentVolumeClaim, Pod, Service, ServiceAccount};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::core::DeserializeGuard;
use kube::runtime::controller::Controller;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::{Api, Client, Resource, ResourceExt as _};

use super::build::labels;
use crate::metrics::{Kind, Metrics, Readiness};
use crate::watches::{Cached, Wanted, feed};
use crate::writing::Overlay;

/// Every cache of this controller, and what was written and is not in them yet.
pub(crate) struct Caches {
    pub(super) reflectors: Cached<Reflector>,
    pub(super) accounts: Cached<ServiceAccount>,
    pub(super) bindings: Cached<RoleBinding>,
    pub(super) configs: Cached<ConfigMap>,
    pub(super) claims: Cached<PersistentVolumeClaim>,
    pub(super) services: Cached<Service>,
    pub(super) deployments: Cached<Deployment>,
    pub(super) pods: Cached<Pod>,
    pub(super) nodes: Cached<Node>,
    pub(super) written: Written,
}

/// Answers to writes, by kind.
pub(super) struct Written {
    pub(super) reflectors: Overlay<Reflector>,
    pub(super) accounts: Overlay<ServiceAccount>,
    pub(super) bindings: Overlay<RoleBinding>,
    pub(super) configs: Overlay<ConfigMap>,
    pub(super) claims: Overlay<PersistentVolumeClaim>,
    pub(super) services: Overlay<Service>,
    pub(super) deployments: Overlay<Deployment>,
}

type Ours = DeserializeGuard<Reflector>;

/// Where to watch.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    /// One namespace; all, when none.
    pub(crate) namespace: Option<String>,
}

impl Scope {
    fn api<K>(&self, client: &Client) -> Api<K>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        match &self.namespace {
            Some(namespace) => Api::namespaced(client.clone(), namespace),
            None => Api::all(client.clone()),
        }
    }
}

/// The caches, and a controller that fills them while it runs.
pub(crate) fn watch(client: &Client, scope: &Scope, metrics: &Metrics) -> (Arc<Caches>, Controller<Ours>) {
    /// A watch of a namespaced kind, narrowed to our children unless it is our own kind.
    macro_rules! watched {
        ($kind:ident, $labels:expr) => {
            feed(
                Wanted {
                    kind: Kind::$kind,
                    api: scope.api::<DeserializeGuard<$kind>>(client),
                    labels: $labels,
                    trim: |_: &mut $kind| {},
                },
                metrics.clone(),
            )
        };
    }
    let (reflectors, own) = watched!(Reflector, "");
    let (accounts, touched_accounts) = watched!(ServiceAccount, labels::REFLECTOR);
    let (bindings, touched_bindings) = watched!(RoleBinding, labels::REFLECTOR);
    let (configs, touched_configs) = watched!(ConfigMap, labels::REFLECTOR);
    let (claims, touched_claims) = watched!(PersistentVolumeClaim, labels::REFLECTOR);
    let (services, touched_services) = watched!(Service, labels::REFLECTOR);
    let (deployments, touched_deployments) = watched!(Deployment, labels::REFLECTOR);
    let (pods, touched_pods) = watched!(Pod, labels::REFLECTOR);
    let wanted = Wanted { kind: Kind::Node, api: Api::all(client.clone()), labels: "", trim: trim_node };
    let (nodes, touched_nodes) = feed(wanted, metrics.clone());
    let controller = Controller::for_stream(own, reflectors.clone())
        .watches_stream(touched_accounts, by_label)
        .watches_stream(touched_bindings, by_label)
        .watches_stream(touched_configs, by_label)
        .watches_stream(touched_claims, by_label)
        .watches_stream(touched_services, by_label)
        .watches_stream(touched_deployments, by_label)
        .watches_stream(touched_pods, by_label)
        .watches_stream(only_news(touched_nodes, nodes.clone()), on_node(reflectors.clone()));
    let written = Written {
        reflectors: Overlay::new(),
        accounts: Overlay::new(),
        bindings: Overlay::new(),
        configs: Overlay::new(),
        claims: Overlay::new(),
        services: Overlay::new(),
        deployments: Overlay::new(),
    };
    let caches = Caches {
        reflectors,
        accounts,
        bindings,
        configs,
        claims,
        services,
        deployments,
        pods,
        nodes,
        written,
    };
    (Arc::new(caches), controller)
}

/// The owner by label: claims that are retained and pods have no owner reference of ours.
fn by_label<K: Resource<DynamicType = ()>>(child: DeserializeGuard<K>) -> Option<ObjectRef<Ours>> {
    let name = child.labels().get(labels::REFLECTOR)?;
    Some(ObjectRef::new(name).within(&child.namespace()?))
}

/// Nodes are kept for their addresses and to know that they are there; what runs on them is none of our business.
fn trim_node(node: &mut Node) {
    node.metadata.annotations = None;
    node.spec = None;
    if let Some(status) = &mut node.status {
        let addresses = status.addresses.take();
        *status = k8s_openapi::api::core::v1::NodeStatus { addresses, ..Default::default() };
    }
}

/// A node says every few minutes that it lives; only one whose addresses changed, or that is gone, wakes anybody.
fn only_news(
    touched: impl Stream<Item = Result<DeserializeGuard<Node>, watcher::Error>> + Send + 'static,
    nodes: Cached<Node>,
) -> impl Stream<Item = Result<DeserializeGuard<Node>, watcher::Error>> + Send + 'static {
    let mut known = HashMap::<String, u64>::new();
    touched.filter_map(move |node| {
        let news = match &node {
            Ok(node) if nodes.get(&ObjectRef::from_obj(node)).is_none() => {
                known.remove(&node.name_any());
                true
            }
            Ok(node) => {
                let told = fingerprint(node);
                known.insert(node.name_any(), told) != Some(told)
            }
            Err(_) => true,
        };
        std::future::ready(news.then_some(node))
    })
}

fn fingerprint(node: &DeserializeGuard<Node>) -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    node.uid().hash(&mut hasher);
    node.meta().deletion_timestamp.is_some().hash(&mut hasher);
    let status = node.0.as_ref().ok().and_then(|node| node.status.as_ref());
    for address in status.and_then(|status| status.addresses.as_ref()).into_iter().flatten() {
        (&address.type_, &address.address).hash(&mut hasher);
    }
    hasher.finish()
}

/// The reflectors of a node.
fn on_node(
    reflectors: Cached<Reflector>,
) -> impl Fn(DeserializeGuard<Node>) -> Vec<ObjectRef<Ours>> + Send + Sync + 'static {
    move |node| {
        let name = node.name_any();
        let there = |object: &Arc<Ours>| {
            let status = object.0.as_ref().ok().and_then(|reflector| reflector.status.as_ref());
            status.is_some_and(|status| status.node.as_deref() == Some(name.as_str()))
        };
        reflectors
            .state()
            .iter()
            .filter(|object| there(object))
            .map(|object| ObjectRef::from_obj(&**object))
            .collect()
    }
}

impl crate::admin::Warmth for Caches {
    fn cold(&self) -> Vec<&'static str> {
        use futures_util::FutureExt as _;
        let mut cold = Vec::new();
        macro_rules! look {
            ($($cache:ident: $kind:ident),+) => {
                $(if self.$cache.wait_until_ready().now_or_never().is_none() {
                    cold.push(Kind::$kind.value());
                })+
            };
        }
        look!(
            reflectors: Reflector, accounts: ServiceAccount, bindings: RoleBinding, configs: ConfigMap,
            claims: PersistentVolumeClaim, services: Service, deployments: Deployment, pods: Pod, nodes: Node
        );
        cold
    }

    fn before_scrape(&self, metrics: &Metrics) {
        let all = self.reflectors.state();
        for readiness in Readiness::ALL {
            let count = all.iter().filter(|object| is_ready(object) == readiness).count();
            metrics.objects(Kind::Reflector, readiness, count);
        }
    }
}

fn is_ready(object: &Ours) -> Readiness {
    let status = object.0.as_ref().ok().and_then(|reflector| reflector.status.as_ref());
    let mut conditions = status.into_iter().flat_map(|status| &status.conditions);
    match conditions.find(|condition| condition.type_ == "Ready").map(|ready| ready.status.as_str()) {
        Some("True") => Readiness::True,
        Some("False") => Readiness::False,
        _ => Readiness::Unknown,
    }
}
