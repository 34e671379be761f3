//! The API as a service account sees it: with a real token, and the rights that somebody gave it.

use anyhow::{Context as _, Result};
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::PostParams;
use kube::config::AuthInfo;
use kube::{Api, Client};
use serde_json::{Value, json};

use super::story::{Scenario, config};

impl Scenario {
    /// Makes an account in the scenario's namespace. It has no rights.
    pub async fn create_account(&self, name: &str) -> Result<()> {
        let account: ServiceAccount = serde_json::from_value(json!({ "metadata": { "name": name } }))?;
        let accounts = self.api::<ServiceAccount>();
        accounts.create(&PostParams::default(), &account).await.context("create an account")?;
        Ok(())
    }

    /// Gives an account of any namespace what a `ClusterRole` allows, in the scenario's namespace.
    pub async fn bind(&self, role: &str, namespace: &str, account: &str) -> Result<()> {
        let binding: RoleBinding = serde_json::from_value(json!({
            "metadata": { "generateName": "scenario-" },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role },
            "subjects": [{ "kind": "ServiceAccount", "namespace": namespace, "name": account }],
        }))?;
        let bindings = self.api::<RoleBinding>();
        bindings.create(&PostParams::default(), &binding).await.with_context(|| format!("bind {role}"))?;
        Ok(())
    }

    /// A token of an account, as a pod of it would be given.
    pub async fn token(&self, account: &str) -> Result<String> {
        let accounts = self.api::<ServiceAccount>();
        let asked = TokenRequest::default();
        let answer = accounts.create_token_request(account, &PostParams::default(), &asked).await;
        let answer = answer.with_context(|| format!("ask for a token of {account}"))?;
        answer.status.map(|status| status.token).context("there is no token in the answer")
    }

    /// A kubeconfig for programs that are to be who has this token.
    pub async fn kubeconfig_of(&self, token: &str) -> Result<String> {
        let ours = self.kubectl(["config", "view", "--raw", "--minify", "--output=json"]).await?;
        let mut config: Value = serde_json::from_str(&ours).context("read the bed's kubeconfig")?;
        for user in config["users"].as_array_mut().context("it has no users")? {
            user["user"] = json!({ "token": token });
        }
        Ok(config.to_string())
    }

    /// The API for whoever has this token.
    pub async fn client_of(&self, token: String) -> Result<Client> {
        self.client_as(AuthInfo { token: Some(token.into()), ..AuthInfo::default() }).await
    }

    /// The API as somebody of this name: the administrator takes it on, so nobody of that name need be there.
    pub async fn client_called(&self, user: &str) -> Result<Client> {
        let administrator = config(&self.bed).await?.auth_info;
        self.client_as(AuthInfo { impersonate: Some(user.to_owned()), ..administrator }).await
    }

    async fn client_as(&self, who: AuthInfo) -> Result<Client> {
        let mut config = config(&self.bed).await?;
        config.auth_info = who;
        Client::try_from(config).context("make a client")
    }

    /// One kind of object in the scenario's namespace, as another client may use it.
    pub fn api_of<K>(&self, client: &Client) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(client.clone(), &self.namespace)
    }
}
