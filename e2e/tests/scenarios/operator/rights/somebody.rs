//! Somebody with certain rights and no others, and a place where nothing is.

use anyhow::{Context as _, Result, ensure};
use e2e::scenario::{MINUTE, Scenario, wait_until};
use k8s_openapi::ClusterResourceScope;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::api::PostParams;
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::chart::rights::may;

/// A resource and a verb, as a role has them.
pub(super) type Right = (String, String);

/// What belongs to no namespace goes with the scenario's.
pub(super) async fn owner(story: &Scenario) -> Result<Value> {
    let namespaces: Api<Namespace> = Api::all(story.client.clone());
    let uid = namespaces.get(&story.namespace).await?.uid().context("the namespace has a uid")?;
    Ok(json!({ "apiVersion": "v1", "kind": "Namespace", "name": story.namespace, "uid": uid }))
}

/// A namespace where nothing is: what is applied there would be created.
pub(super) async fn elsewhere(story: &Scenario) -> Result<String> {
    let name = format!("{}-again", story.namespace);
    let namespace = json!({ "metadata": { "name": name } });
    make::<Namespace>(story, namespace).await?;
    Ok(name)
}

async fn make<K>(story: &Scenario, mut object: Value) -> Result<()>
where
    K: Resource<Scope = ClusterResourceScope, DynamicType = ()>,
    K: Clone + std::fmt::Debug + Serialize + DeserializeOwned,
{
    object["metadata"]["ownerReferences"] = json!([owner(story).await?]);
    let object: K = serde_json::from_value(object)?;
    let api: Api<K> = Api::all(story.client.clone());
    api.create(&PostParams::default(), &object).await.with_context(|| format!("make a {}", K::kind(&())))?;
    Ok(())
}

/// Somebody with these rights, everywhere.
pub(super) async fn client(story: &Scenario, name: &str, rules: &[Value]) -> Result<Client> {
    let name = format!("{}-{name}", story.namespace);
    make::<ClusterRole>(story, json!({ "metadata": { "name": name }, "rules": rules })).await?;
    let group = "rbac.authorization.k8s.io";
    let binding = json!({
        "metadata": { "name": name },
        "roleRef": { "apiGroup": group, "kind": "ClusterRole", "name": name },
        "subjects": [{ "apiGroup": group, "kind": "User", "name": name }],
    });
    make::<ClusterRoleBinding>(story, binding).await?;
    story.client_called(&name).await
}

pub(super) async fn in_force(
    client: &Client,
    namespace: &str,
    (resource, verb): &Right,
    rules: &[Value],
) -> Result<()> {
    let rule = rules
        .iter()
        .find(|rule| rule["resources"].as_array().is_some_and(|all| all.contains(&json!(resource))));
    let group = rule.and_then(|rule| rule["apiGroups"][0].as_str()).context("the right has a group")?;
    wait_until(&format!("one may {verb} {resource}"), MINUTE, async || {
        ensure!(may(client, namespace, verb, group, resource).await?, "one may not");
        Ok(())
    })
    .await
}
