//! Server-side apply, status and deletion: each with a deadline, counted, and only while this process may write.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, Preconditions};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::DEADLINE;
use crate::clock;
use crate::lease::Standing;
use crate::metrics::{Kind, Metrics, Verb};

/// Our field manager, in children and in status.
pub(crate) const MANAGER: &str = "reflector-operator";

/// What server-side apply says to a field that the definition in the cluster does not have.
const NOT_DEFINED: &str = "field not declared in schema";

/// A write that did not happen, or that nobody confirmed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Somebody else writes now.
    #[error("{verb} {kind} {name}: this operator does not hold the Lease")]
    NoStanding { verb: &'static str, kind: &'static str, name: String },
    /// The API server did not answer in time.
    #[error("{verb} {kind} {name}: no answer from the API server within {} s", DEADLINE.as_secs())]
    NoAnswer { verb: &'static str, kind: &'static str, name: String },
    /// The API server said no, or the connection broke.
    #[error("{verb} {kind} {name}")]
    Failed {
        verb: &'static str,
        kind: &'static str,
        name: String,
        #[source]
        source: Box<kube::Error>,
    },
    /// Somebody else makes objects of this name.
    #[error("create {kind} {name}: the name is taken again and again")]
    Taken { kind: &'static str, name: String },
    /// What is to be written is no JSON object; a bug.
    #[error("write {kind} as JSON")]
    Encode {
        kind: &'static str,
        #[source]
        source: serde_json::Error,
    },
}

impl Error {
    /// The name stays taken, although what had it was removed just now.
    pub(crate) fn taken(kind: Kind, name: &str) -> Self {
        Self::Taken { kind: kind.value(), name: name.to_owned() }
    }

    /// Whether the API server said just this.
    pub(super) fn is(&self, code: u16, reason: &str) -> bool {
        matches!(self, Self::Failed { source, .. }
            if matches!(&**source, kube::Error::Api(status) if status.code == code && status.reason == reason))
    }

    /// Whether the definition in the cluster lacks a field that was written: it is of an older release.
    pub(crate) fn is_not_defined(&self) -> bool {
        matches!(self, Self::Failed { source, .. }
            if matches!(&**source, kube::Error::Api(status) if status.message.contains(NOT_DEFINED)))
    }

    /// What a person is told: the action, and the server's own words.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Failed { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => format!("{self}: {}", status.message),
                other => format!("{self}: {other}"),
            },
            other => other.to_string(),
        }
    }
}

/// Writes. Clones share everything.
#[derive(Clone)]
pub(crate) struct Writer {
    client: Client,
    standing: Standing,
    metrics: Metrics,
}

impl Writer {
    pub(crate) fn new(client: Client, standing: Standing, metrics: Metrics) -> Self {
        Self { client, standing, metrics }
    }

    /// Makes a child as it should be. `observed` is what there is; without it the child is made, and nothing of what
    /// somebody else may have made meanwhile is taken from them; with it exactly that object is changed.
    pub(crate) async fn apply<K>(&self, kind: Kind, mut desired: K, observed: Option<&K>) -> Result<K, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
        K: Clone + Debug + Serialize + DeserializeOwned,
    {
        desired.meta_mut().uid = observed.and_then(ResourceExt::uid);
        let mut parameters = PatchParams::apply(MANAGER);
        parameters.force = observed.is_some();
        let (namespace, name) = (desired.namespace().unwrap_or_default(), desired.name_any());
        let api = self.api::<K>(&namespace);
        let patch = Patch::Apply(&desired);
        self.send(kind, Verb::Apply, &name, api.patch(&name, &parameters, &patch)).await
    }

    /// Takes out of exactly this version of an object what somebody else put into it: server-side apply gives back what
    /// is ours and leaves what is theirs. A merge patch, and only of what is to go.
    pub(crate) async fn take_out<K>(&self, kind: Kind, object: &K, mut patch: Value) -> Result<K, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
        K: Clone + Debug + DeserializeOwned,
    {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        patch["metadata"] = json!({ "uid": object.uid(), "resourceVersion": object.resource_version() });
        let parameters = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let api = self.api::<K>(&namespace);
        self.send(kind, Verb::Update, &name, api.patch(&name, &parameters, &Patch::Merge(&patch))).await
    }

    /// Writes our part of a status: the full set of the fields we own.
    pub(crate) async fn apply_status<K>(
        &self,
        kind: Kind,
        object: &K,
        status: &impl Serialize,
    ) -> Result<K, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
        K: Clone + Debug + DeserializeOwned,
    {
        let api = self.api::<K>(&object.namespace().unwrap_or_default());
        let types = [K::api_version(&()).into_owned(), K::kind(&()).into_owned()];
        self.status(kind, &api, types, object.meta(), status).await
    }

    /// Takes away all another manager said in a status: that of a pod that is no more.
    pub(crate) async fn withdraw_status<K>(&self, kind: Kind, object: &K, manager: &str) -> Result<K, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
        K: Clone + Debug + DeserializeOwned,
    {
        let api = self.api::<K>(&object.namespace().unwrap_or_default());
        let types = [K::api_version(&()).into_owned(), K::kind(&()).into_owned()];
        self.status_as(manager, kind, &api, types, object.meta(), &json!({})).await
    }

    /// The same for an object that cannot be read as its kind.
    pub(crate) async fn apply_raw_status(
        &self,
        kind: Kind,
        api: &Api<DynamicObject>,
        object: &DynamicObject,
        status: &Value,
    ) -> Result<(), Error> {
        let types = object.types.clone().unwrap_or_default();
        let types = [types.api_version, types.kind];
        self.status(kind, api, types, &object.metadata, status).await?;
        Ok(())
    }

    async fn status<K: Clone + Debug + DeserializeOwned>(
        &self,
        kind: Kind,
        api: &Api<K>,
        types: [String; 2],
        metadata: &ObjectMeta,
        status: &impl Serialize,
    ) -> Result<K, Error> {
        self.status_as(MANAGER, kind, api, types, metadata, status).await
    }

    async fn status_as<K: Clone + Debug + DeserializeOwned>(
        &self,
        manager: &str,
        kind: Kind,
        api: &Api<K>,
        [api_version, kind_name]: [String; 2],
        metadata: &ObjectMeta,
        status: &impl Serialize,
    ) -> Result<K, Error> {
        let status =
            serde_json::to_value(status).map_err(|source| Error::Encode { kind: kind.value(), source })?;
        let name = metadata.name.clone().unwrap_or_default();
        // The uid: a status is never written to another object of the same name.
        let body = json!({
            "apiVersion": api_version,
            "kind": kind_name,
            "metadata": { "name": name, "uid": metadata.uid },
            "status": status,
        });
        let parameters = PatchParams::apply(manager).force();
        let patch = Patch::Apply(&body);
        self.send(kind, Verb::ApplyStatus, &name, api.patch_status(&name, &parameters, &patch)).await
    }

    /// Removes exactly this object. One that is gone already is fine.
    pub(crate) async fn delete<K>(&self, kind: Kind, object: &K) -> Result<(), Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
        K: Clone + Debug + DeserializeOwned,
    {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let only = Preconditions { uid: object.uid(), resource_version: None };
        let parameters = DeleteParams::background().preconditions(only);
        let api = self.api::<K>(&namespace);
        match self.send(kind, Verb::Delete, &name, api.delete(&name, &parameters)).await {
            Ok(_) => Ok(()),
            Err(Error::Failed { source, .. }) if matches!(&*source, kube::Error::Api(status) if status.code == 404) => {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    pub(super) async fn send<T>(
        &self,
        kind: Kind,
        verb: Verb,
        name: &str,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Error> {
        let (verb_name, kind_name) = (verb.said(), kind.value());
        if !self.standing.may_write(clock::now()) {
            return Err(Error::NoStanding { verb: verb_name, kind: kind_name, name: name.to_owned() });
        }
        self.metrics.api_write(kind, verb);
        match timeout(DEADLINE, request).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(source)) => Err(Error::Failed {
                verb: verb_name,
                kind: kind_name,
                name: name.to_owned(),
                source: Box::new(source),
            }),
            Err(_) => Err(Error::NoAnswer { verb: verb_name, kind: kind_name, name: name.to_owned() }),
        }
    }

    pub(super) fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }
}
