//! The API server, with the person's own rights. IO, but it decides nothing; each request has a deadline.

use std::fmt::Debug;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use futures_util::AsyncBufRead;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Event, Pod, Secret};
use kube::api::{ListParams, LogParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{DeserializeGuard, Status};
use kube::runtime::wait::await_condition;
use kube::{Api, Client, Config, Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;

use super::args::{Force, Global};
use super::gitops;

/// Under which name an edit stands. Flux strips fields of managers that are named like kubectl.
const MANAGER: &str = "packetparamedic-cli";
/// For a request that is no watch: a person waits for it.
const DEADLINE: Duration = Duration::from_secs(15);
/// Objects of a kind in one answer.
const PAGE: u32 = 500;

/// A kind of a namespace.
pub(super) trait Kind:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
}

impl<K> Kind for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static
{
}

/// One namespace of a cluster.
pub(super) struct Cluster {
    client: Client,
    pub(super) namespace: String,
    /// Where it is, for whoever cannot reach it.
    server: String,
    verbose: bool,
}

impl Cluster {
    /// As kubectl would.
    pub(super) async fn connect(global: &Global) -> Result<Self> {
        let options = KubeConfigOptions { context: global.context.clone(), ..KubeConfigOptions::default() };
        let config = match &global.kubeconfig {
            Some(path) => {
                let kubeconfig = Kubeconfig::read_from(path);
                let kubeconfig = kubeconfig.with_context(|| format!("read {}", path.display()))?;
                Config::from_custom_kubeconfig(kubeconfig, &options).await.context("use the kubeconfig")?
            }
            None if global.context.is_some() => {
                Config::from_kubeconfig(&options).await.context("use the kubeconfig")?
            }
            None => Config::infer().await.context("find a kubeconfig; is KUBECONFIG set?")?,
        };
        let namespace = global.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let server = config.cluster_url.to_string();
        let client = Client::try_from(config).context("make a client of the API server")?;
        Ok(Self { client, namespace, server, verbose: global.verbose })
    }

    fn api<K: Kind>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Says which kubectl command would do the same, when asked to.
    pub(super) fn stands_for(&self, command: &str) {
        if self.verbose {
            anstream::eprintln!("+ kubectl --namespace {} {command}", self.namespace);
        }
    }

    /// Says which other command does it, when asked to.
    pub(super) fn says(&self, command: &str) {
        if self.verbose {
            anstream::eprintln!("+ {command}");
        }
    }

    /// One object, when there is one.
    pub(super) async fn find<K: Kind>(&self, name: &str) -> Result<Option<K>> {
        self.stands_for(&format!("get {} {name} --output yaml", plural::<K>()));
        self.answer(self.api::<K>().get_opt(name))
            .await
            .with_context(|| format!("get {} {name}", K::kind(&())))
    }

    /// One object, which has to be there.
    pub(super) async fn get<K: Kind>(&self, name: &str) -> Result<K> {
        let found = self.find(name).await?;
        found.with_context(|| {
            let (kind, plural, namespace) = (K::kind(&()), plural::<K>(), &self.namespace);
            format!("there is no {kind} {name} in namespace {namespace}: kubectl get {plural} shows those there are")
        })
    }

    /// Every object of a kind, by name. One that cannot be read is named on standard error and left out.
    pub(super) async fn list<K: Kind>(&self) -> Result<Vec<K>> {
        self.labelled("").await
    }

    /// Those with these labels.
    pub(super) async fn labelled<K: Kind>(&self, labels: &str) -> Result<Vec<K>> {
        let selector = if labels.is_empty() { String::new() } else { format!(" --selector {labels}") };
        self.stands_for(&format!("get {}{selector} --output yaml", plural::<K>()));
        let kind = K::kind(&());
        let api: Api<DeserializeGuard<K>> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut objects = Vec::new();
        let mut parameters = ListParams::default().limit(PAGE).labels(labels);
        loop {
            let page =
                self.answer(api.list(&parameters)).await.with_context(|| format!("list every {kind}"))?;
            parameters.continue_token = page.metadata.continue_.clone().filter(|token| !token.is_empty());
            for object in page.items {
                let name = object.name_any();
                match object.0 {
                    Ok(object) => objects.push(object),
                    Err(error) => anstream::eprintln!("warning: {kind} {name} cannot be read: {error}"),
                }
            }
            if parameters.continue_token.is_none() {
                break;
            }
        }
        objects.sort_by_key(kube::ResourceExt::name_any);
        Ok(objects)
    }

    /// Makes an object that is not there yet.
    pub(super) async fn create<K: Kind + Serialize>(&self, object: &K) -> Result<K> {
        let (kind, name) = (K::kind(&()), object.name_any());
        let text = serde_json::to_string(object).context("write JSON")?;
        self.stands_for(&format!("create --filename - <<< '{text}'"));
        let parameters = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        self.answer(self.api::<K>().create(&parameters, object))
            .await
            .with_context(|| format!("create {kind} {name}"))
    }

    /// Changes fields of an object as it was read, unless git says what it is.
    pub(super) async fn edit<K: Kind>(&self, object: &K, mut fields: Value, force: Force) -> Result<K> {
        let (kind, name) = (K::kind(&()), object.name_any());
        if let Some(refusal) = gitops::refusal(&format!("{kind} {name}"), object.meta(), force.force) {
            bail!("{refusal}");
        }
        self.stands_for(&format!("patch {} {name} --type merge --patch '{fields}'", plural::<K>()));
        // What was decided on an object that somebody else has changed since is decided anew, by whoever called.
        fields["metadata"] = serde_json::json!({ "resourceVersion": object.resource_version() });
        let parameters = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let api = self.api::<K>();
        self.answer(api.patch(&name, &parameters, &Patch::Merge(&fields)))
            .await
            .with_context(|| format!("change {kind} {name}"))
    }

    /// Watches an object until it is as wanted; nothing, when it is not after that time. One that is gone is an error.
    pub(super) async fn until<K: Kind>(
        &self,
        name: &str,
        within: Duration,
        wanted: impl Fn(&K) -> bool,
    ) -> Result<Option<K>> {
        let wanted = |object: Option<&K>| object.is_none_or(&wanted);
        match timeout(within, await_condition(self.api::<K>(), name, wanted)).await {
            Err(_) => Ok(None),
            Ok(Ok(Some(object))) => Ok(Some(object)),
            Ok(Ok(None)) => Err(anyhow!("{} {name} was deleted", K::kind(&()))),
            Ok(Err(error)) => Err(error).with_context(|| format!("watch {} {name}", K::kind(&()))),
        }
    }

    /// A Secret's entries as text, when there is one.
    pub(super) async fn secret(
        &self,
        name: &str,
    ) -> Result<Option<std::collections::BTreeMap<String, String>>> {
        let secret: Option<Secret> =
            self.find(name).await.context("the code is in a Secret, which you have to be allowed to read")?;
        let Some(secret) = secret else { return Ok(None) };
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Some(
            secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, text(value.0))).collect(),
        ))
    }

    /// What a pod logs. Only its start has a deadline.
    pub(super) async fn log(&self, pod: &str, parameters: &LogParams) -> Result<impl AsyncBufRead + use<>> {
        self.answer(self.api::<Pod>().log_stream(pod, parameters))
            .await
            .with_context(|| format!("read the log of pod {pod}"))
    }

    /// Every event of the namespace.
    pub(super) async fn events(&self) -> Result<Vec<Event>> {
        self.list().await
    }

    async fn answer<T>(&self, request: impl Future<Output = kube::Result<T>>) -> Result<T> {
        match timeout(DEADLINE, request).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(kube::Error::Api(status))) if is_no_kind(&status) => {
                Err(anyhow!("the cluster does not know this kind: is the chart of the operator installed?"))
            }
            Ok(Err(kube::Error::Api(status))) => Err(anyhow!("{}", status.message)),
            Ok(Err(error)) => Err(error).with_context(|| format!("ask the API server {}", self.server)),
            Err(_) => Err(anyhow!("no answer from {} within {} s", self.server, DEADLINE.as_secs())),
        }
    }
}

/// A path that nobody serves, rather than an object that is not there.
fn is_no_kind(status: &Status) -> bool {
    status.code == 404 && status.details.as_ref().is_none_or(|details| details.name.is_empty())
}

fn plural<K: Kind>() -> String {
    K::plural(&()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::testing::yaml;

    #[test]
    fn a_kind_that_nobody_serves_is_told_from_an_object_that_is_not_there() {
        let is = |text: &str| is_no_kind(&yaml(text));
        assert!(is("{ status: Failure, code: 404, message: 404 page not found, reason: NotFound }"));
        assert!(is("{ status: Failure, code: 404, message: gone, reason: NotFound, details: { kind: x } }"));
        assert!(!is(
            "{ status: Failure, code: 404, message: m, details: { kind: namespaces, name: nowhere } }"
        ));
        assert!(!is("{ status: Failure, code: 403, message: forbidden }"));
    }
}
