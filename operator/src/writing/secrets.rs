//! Secrets are made and removed, never read, changed or adopted: `create` and `delete` are all the rights there are.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use kube::api::{DeleteParams, PostParams, Preconditions};
use kube::{Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::apply::{Error, MANAGER, Writer};
use crate::metrics::{Kind, Verb};

impl Writer {
    /// Makes an object that must not be there. False, when one of that name is.
    pub(crate) async fn create<K>(&self, kind: Kind, object: &K) -> Result<bool, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
        K: Clone + Debug + Serialize + DeserializeOwned,
    {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let parameters = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        let api = self.api::<K>(&namespace);
        match self.send(kind, Verb::Create, &name, api.create(&parameters, object)).await {
            Ok(_) => Ok(true),
            Err(error) if error.is(409, "AlreadyExists") => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes what has this name without seeing it. Its uid comes from a deletion that is only tried; so one that was
    /// made by somebody else in between is not hit. That it is gone already is fine.
    pub(crate) async fn delete_unread<K>(&self, kind: Kind, namespace: &str, name: &str) -> Result<(), Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
        K: Clone + Debug + DeserializeOwned,
    {
        let api = self.api::<K>(namespace);
        let tried = DeleteParams { dry_run: true, ..DeleteParams::default() };
        let answer = match self.send(kind, Verb::Delete, name, api.delete(name, &tried)).await {
            Err(error) if error.is(404, "NotFound") => return Ok(()),
            answer => answer?,
        };
        let uid = answer.either(
            |object| object.uid(),
            |status| status.details.map(|details| details.uid).filter(|uid| !uid.is_empty()),
        );
        let only = Preconditions { uid, resource_version: None };
        let parameters = DeleteParams::background().preconditions(only);
        match self.send(kind, Verb::Delete, name, api.delete(name, &parameters)).await {
            Err(error) if error.is(404, "NotFound") => Ok(()),
            answer => answer.map(drop),
        }
    }
}
