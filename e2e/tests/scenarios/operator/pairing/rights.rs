//! Who can have a code: whoever may make a peer has one made, and whoever may read Secrets reads it.

use anyhow::{Context as _, Result, ensure};
use crds::ReflectorPeer;
use e2e::scenario::{MINUTE, Scenario, scenario, wait_until};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::super::plugin::{Ended, plugin_as};
use super::super::running::Operator;
use super::super::{create, reflector};
use super::acting::{is_waiting, peer, read, secret_of, until};
use crate::chart::rendered;
use crate::chart::rights::{account, may};
use crate::crds::install;

const OURS: &str = "packetparamedic.io";

/// Somebody with a real token.
struct Person {
    client: Client,
    kubeconfig: tempfile::NamedTempFile,
}

impl Person {
    /// With the rules of one of the chart's roles, and more.
    async fn new(story: &Scenario, name: &str, role: &str, more: &[Value]) -> Result<Self> {
        let text = rendered(story, &["--show-only", "templates/access/people.yaml"]).await?;
        let documents = text.split("\n---\n").map(serde_yaml::from_str::<Value>);
        let documents: Vec<Value> = documents.collect::<Result<_, _>>().context("read the chart's roles")?;
        let found = documents.iter().find(|one| one["metadata"]["name"] == role);
        let rules = found.and_then(|one| one["rules"].as_array()).with_context(|| format!("find {role}"))?;
        let client = account(story, name, &[rules, more].concat()).await?;
        let kubeconfig = tempfile::NamedTempFile::new().context("make a file for a kubeconfig")?;
        let text = story.kubeconfig_of(&story.token(name).await?).await?;
        std::fs::write(kubeconfig.path(), text).context("write a kubeconfig")?;
        wait_until(&format!("the rights of {name} are in force"), MINUTE, async || {
            ensure!(may(&client, &story.namespace, "list", OURS, "reflectorpeers").await?, "not yet");
            Ok(())
        })
        .await?;
        Ok(Self { client, kubeconfig })
    }

    async fn pairs(&self, story: &Scenario, name: &str) -> Result<Ended> {
        plugin_as(story, self.kubeconfig.path(), &["pair", name, "--reflector", "attic"]).await
    }
}

/// What the API server says to whoever makes a peer; nothing when it is made.
async fn made(story: &Scenario, client: &Client, name: &str) -> Result<Option<String>> {
    let peers: Api<ReflectorPeer> = story.api_of(client);
    match peers.create(&PostParams::default(), &peer(name, &json!({}))?).await {
        Ok(_) => Ok(None),
        Err(kube::Error::Api(status)) if status.code == 403 => Ok(Some(status.message)),
        Err(error) => Err(error).context("make a peer"),
    }
}

/// A2: by object and by command; neither asks for more than the API server allows whoever asks.
#[tokio::test]
async fn without_the_right_to_make_a_peer_there_is_no_code_and_without_that_to_secrets_nobody_reads_it() {
    scenario("pairing-rights", async |story: &mut Scenario| {
        install(story).await?;
        let operator = Operator::start(story, &[]).await?;
        create(story, &reflector("attic", "node-1", 15320, &json!({}))).await?;
        let secrets = json!({ "apiGroups": [""], "resources": ["secrets"], "verbs": ["get"] });
        let viewer = Person::new(story, "viewer", "packetparamedic-view", &[]).await?;
        let tenant = Person::new(story, "tenant", "packetparamedic-peer-editor", &[]).await?;
        let keeper = Person::new(story, "keeper", "packetparamedic-admin", &[secrets]).await?;

        let said = made(story, &viewer.client, "den").await?.context("a viewer made a peer")?;
        ensure!(said.contains("cannot create resource \"reflectorpeers\""), "{said}");
        let said = viewer.pairs(story, "den").await?;
        ensure!(said.code != Some(0) && said.err.contains("forbidden"), "{}{}", said.out, said.err);
        operator.settled().await?;
        let peers = story.api::<ReflectorPeer>().list(&ListParams::default()).await?.items;
        let codes = story.api::<Secret>().list(&ListParams::default()).await?.items;
        ensure!(peers.is_empty() && codes.is_empty(), "{} peers, {} Secrets", peers.len(), codes.len());

        // Who may make peers asks for a code, for whoever may read it.
        ensure!(made(story, &tenant.client, "den").await?.is_none(), "a tenant cannot make a peer");
        let den = until(story, "den", "Waiting", is_waiting).await?;
        let name = secret_of(&den)?;
        let code = read(story, &name, "code").await?;
        let theirs: Api<Secret> = story.api_of(&tenant.client);
        match theirs.get(&name).await {
            Err(kube::Error::Api(status)) if status.code == 403 => {}
            other => anyhow::bail!("a tenant reads a code: {other:?}"),
        }
        let said = tenant.pairs(story, "den").await?;
        ensure!(said.code != Some(0) && said.err.contains("forbidden"), "{}{}", said.out, said.err);
        ensure!(!said.out.contains(&code) && !said.err.contains(&code), "the code is printed");

        let said = keeper.pairs(story, "den").await?;
        ensure!(said.code == Some(0) && said.out.contains(&code), "{}{}", said.out, said.err);
        operator.end().await
    })
    .await;
}
