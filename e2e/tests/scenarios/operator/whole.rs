//! The whole way: a Reflector serves, an appliance pairs with the code of its object, measures, and is cut off.

use anyhow::{Context as _, Result, ensure};
use crds::{Reflector, ReflectorPeer};
use e2e::measuring::{Measured, Tester};
use e2e::scenario::{MINUTE, Scenario, scenario, wait_until};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::plugin::plugin;
use super::running::{Operator, built, image_on};
use super::{create, reflector, says};
use crate::chart;
use crate::crds::install;

const PORT: u16 = 14400;
const APPLIANCE: &str = "bed-whole";

/// F1, C1, G1, A2, A5, A10, X3: on a real node, with the rights that the chart gives and no others.
#[tokio::test]
async fn an_appliance_pairs_with_an_object_measures_and_is_cut_off_when_it_is_suspended() {
    scenario("operator-whole", async |story: &mut Scenario| {
        install(story).await?;
        chart::apply(story, &["templates/access/endpoint.yaml"]).await?;
        chart::apply(story, &chart::POLICIES).await?;
        image_on(story, "node-1", "whole").await?;
        let program = built("reflector", "reflector").await?;
        let home = tempfile::tempdir().context("make a home for the appliance")?;

        let operator = Operator::start(story, &[]).await?;
        let more = json!({
            "image": { "tag": "whole", "pullPolicy": "Never" },
            "quotas": { "cooldown": "0s", "testsPerHour": 100 },
        });
        create(story, &reflector("attic", "node-1", PORT, &more)).await?;
        says(story, "attic", "Ready", "True", "Serving").await?;

        story.bed.add_appliance(APPLIANCE).await?;
        let way = story.bed.inside(APPLIANCE, [""; 0])?;
        let appliance = Appliance { story, tester: Tester::new(&program, home.path(), way)? };
        let told = appliance.tell().await;
        story.bed.remove_appliance(APPLIANCE).await?;
        told?;
        operator.end().await
    })
    .await;
}

struct Appliance<'a> {
    story: &'a Scenario,
    tester: Tester,
}

impl Appliance<'_> {
    async fn tell(&self) -> Result<()> {
        let attic = self.story.api::<Reflector>().get("attic").await?;
        let status = attic.status.context("the Reflector has no status")?;
        let id = status.endpoint_id.context("the Reflector has no Endpoint ID")?;
        ensure!(status.addresses == [format!("10.99.0.11:{PORT}")], "{:?}", status.addresses);
        let address = format!("{id}@{}", status.addresses[0]);

        let code = self.code().await?;
        let result = self.test(&address, &["--code", &code, "-t", "1", "--up"], 0).await?;
        let bytes = result["phases"][0]["bytes"].as_u64().context("the result has no bytes")?;
        ensure!(bytes > 0, "{result}");
        let peer = self.peer("it is bound, ready, and its use is written down", |peer| {
            let status = peer.status.as_ref()?;
            let used = status.usage.as_ref()?;
            let ready = status.conditions.iter().any(|one| one.type_ == "Ready" && one.status == "True");
            (ready && status.endpoint_id.is_some() && used.tests_today == Some(1)).then_some(())
        });
        peer.await?;
        let secrets = self.story.api::<Secret>().list(&kube::api::ListParams::default()).await?;
        let left = secrets.iter().filter(|secret| secret.name_any().starts_with("pairing-")).count();
        ensure!(left == 0, "{left} codes are left");

        self.reflector("no test runs", |status| status.active_tests == Some(0)).await?;
        let running = self.test(&address, &["-t", "30", "--up"], 3);
        let suspended = async {
            // Well into it: one that is cut while it begins has nothing to show.
            self.peer("its second test moves as much as the first", |peer| {
                let used = peer.status.as_ref()?.usage.as_ref()?;
                let moved = u64::try_from(used.bytes_today?).ok()? > bytes.saturating_mul(2);
                (moved && used.tests_today == Some(2)).then_some(())
            })
            .await?;
            self.reflector("a test runs", |status| status.active_tests == Some(1)).await?;
            let suspend = Patch::Merge(json!({ "spec": { "suspend": true } }));
            let peers = self.story.api::<ReflectorPeer>();
            peers
                .patch("living-room", &PatchParams::default(), &suspend)
                .await
                .context("suspend the peer")?;
            anyhow::Ok(())
        };
        let (result, suspended) = tokio::join!(running, suspended);
        suspended?;
        ensure!(result?["complete"] != true, "the test ended by itself");
        self.peer("it says when it was cut off, and what became of the test", |peer| {
            let entry = peer.status.as_ref()?.reflectors.first()?;
            let cut = entry.last_test.as_ref()?.end_reason.as_deref() == Some("suspended");
            (cut && entry.revocation.is_some()).then_some(())
        })
        .await?;
        self.test(&address, &["-t", "1", "--up"], 2).await?;
        for asked in ["living-room", "reflector/attic"] {
            let why = plugin(self.story, &["why", asked]).await?;
            let told = ["suspended (error 403", "10.99.0.", "Remove spec.suspend to let it in again."];
            ensure!(told.iter().all(|words| why.out.contains(words)), "{asked}: {}{}", why.out, why.err);
        }
        Ok(())
    }

    /// Makes the object, and reads the code as somebody who may.
    async fn code(&self) -> Result<String> {
        let peer = json!({
            "apiVersion": "packetparamedic.io/v1alpha1",
            "kind": "ReflectorPeer",
            "metadata": { "name": "living-room" },
            "spec": { "reflectorRef": { "kind": "Reflector", "name": "attic" } },
        });
        let peer: ReflectorPeer = serde_json::from_value(peer).context("read the peer")?;
        let peers = self.story.api::<ReflectorPeer>();
        peers.create(&PostParams::default(), &peer).await.context("create the peer")?;
        wait_until("the peer's code is there", MINUTE, async || {
            let pairing = peers.get("living-room").await?.status.and_then(|status| status.pairing);
            let secret = pairing.and_then(|pairing| pairing.secret).context("it names no Secret")?;
            let data = self.story.api::<Secret>().get(&secret).await?.data.unwrap_or_default();
            let code = data.get("code").context("its Secret holds no code")?;
            Ok(String::from_utf8(code.0.clone())?)
        })
        .await
    }

    async fn peer(&self, what: &str, holds: impl Fn(&ReflectorPeer) -> Option<()>) -> Result<()> {
        let peers = self.story.api::<ReflectorPeer>();
        wait_until(what, 2 * MINUTE, async || {
            let peer = peers.get("living-room").await?;
            holds(&peer).with_context(|| format!("it is {:?}", peer.status))
        })
        .await
    }

    async fn reflector(&self, what: &str, holds: impl Fn(&crds::ReflectorStatus) -> bool) -> Result<()> {
        let reflectors = self.story.api::<Reflector>();
        wait_until(what, 2 * MINUTE, async || {
            let status = reflectors.get("attic").await?.status.context("it has no status")?;
            ensure!(holds(&status), "it is {status:?}");
            Ok(())
        })
        .await
    }

    /// `reflector test` on the appliance's network; it must end with this code. Its result, if it printed one.
    async fn test(&self, address: &str, more: &[&str], code: i32) -> Result<Value> {
        let words: Vec<&str> = [address, "--json"].iter().chain(more).copied().collect();
        let Measured { code: ended, answer, told } = self.tester.measure(&words)?.end().await?;
        ensure!(ended == code, "it ended with {ended}, not {code}: {told}");
        if answer.trim().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&answer).context("understand the result")
    }
}
