//! Makes the children what they should be, and touches nothing that is so already.

use std::fmt::Debug;
use std::sync::Arc;

use k8s_openapi::NamespaceResourceScope;
use kube::{Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Reflectors;
use super::caches::Written;
use super::children::{Children, Desired, is_ours};
use crate::clock;
use crate::metrics::Kind;
use crate::writing::{self, Overlay, Writer, is_current};

/// Something could not be applied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Write(#[from] writing::Error),
    #[error("compare an object with what it should be")]
    Compare(#[from] serde_json::Error),
}

impl Error {
    pub(super) fn words(&self) -> String {
        match self {
            Self::Write(error) => error.words(),
            Self::Compare(error) => format!("{self}: {error}"),
        }
    }
}

/// Applies in an order in which everything a child needs is there before it. Afterwards `there` has what the server
/// answered. Says whether anything was written.
pub(super) async fn apply(
    context: &Reflectors,
    desired: Desired,
    there: &mut Children,
    uid: &str,
) -> Result<bool, Error> {
    let Desired { account, binding, config, claim, service, deployment } = desired;
    let Written { accounts, bindings, configs, claims, services, deployments, reflectors: _ } =
        &context.written;
    let writer = &context.shared.writer;
    let mut wrote = false;
    // Who the pod is, before the pod.
    wrote |= one(writer, Kind::ServiceAccount, account, &mut there.account, accounts).await?;
    wrote |= one(writer, Kind::RoleBinding, binding, &mut there.binding, bindings).await?;
    // What it starts with.
    wrote |= one(writer, Kind::ConfigMap, config, &mut there.config, configs).await?;
    if let Some(claim) = claim {
        wrote |= one(writer, Kind::PersistentVolumeClaim, claim, &mut there.claim, claims).await?;
    }
    match service {
        Some(service) => {
            wrote |= one(writer, Kind::Service, service, &mut there.service, services).await?;
        }
        None => {
            if let Some(orphan) = there.service.take_if(|service| is_ours(&**service, uid)) {
                writer.delete(Kind::Service, &*orphan).await?;
                wrote = true;
            }
        }
    }
    wrote |= one(writer, Kind::Deployment, deployment, &mut there.deployment, deployments).await?;
    Ok(wrote)
}

async fn one<K>(
    writer: &Writer,
    kind: Kind,
    desired: K,
    there: &mut Option<Arc<K>>,
    written: &Overlay<K>,
) -> Result<bool, Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: Clone + Debug + Serialize + DeserializeOwned,
{
    if let Some(there) = there.as_deref()
        && is_current(&desired, there)?
    {
        return Ok(false);
    }
    let answer = Arc::new(writer.apply(kind, desired, there.as_deref()).await?);
    let before = there.as_ref().and_then(|there| there.resource_version());
    written.wrote(before, answer.clone(), clock::now());
    *there = Some(answer);
    Ok(true)
}
