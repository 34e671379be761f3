//! Somebody measures when it happens: the peer's object is deleted, the pod is killed.

use anyhow::ensure;
use crds::{Reflector, ReflectorPeer};
use e2e::scenario::{MINUTE, Scenario, scenario, wait_until};
use kube::api::DeleteParams;
use serde_json::json;

use super::super::says;
use super::super::serving::{Attic, DENIED, MEASURED};

/// A node and its address.
pub(super) const NODE: (&str, [u8; 4]) = ("node-1", [10, 99, 0, 11]);

/// X3, A8, for one peer of a real cluster: no object is left to write the revocation into, so the histogram has it.
#[tokio::test]
async fn a_peer_that_is_deleted_while_it_measures_is_cut_off_and_the_next_one_is_served() {
    scenario("faults-deleted", async |story: &mut Scenario| {
        let attic = Attic::serving(story, NODE, 16000, &json!({})).await?;
        let den = attic.appliance("den").await?;
        let cellar = attic.appliance("cellar").await?;
        attic.ends(&den, &[], MEASURED).await?;

        let running = attic.measure(&den, &["-t", "50"])?;
        attic.sessions(1).await?;
        story.api::<ReflectorPeer>().delete("den", &DeleteParams::background()).await?;
        let (code, said) = running.ended().await?;
        ensure!(code.is_some_and(|code| code != MEASURED), "it was not cut: {said}");
        attic.sessions(0).await?;
        let revoked = attic.number("reflector_revocation_seconds_count", &[]).await?;
        ensure!((revoked - 1.0).abs() < 0.5, "{revoked} revocations were measured");

        attic.ends(&den, &[], DENIED).await?;
        attic.ends(&cellar, &[], MEASURED).await?;
        says(story, "attic", "Ready", "True", "Serving").await?;
        let pod = story.container(&attic.pod().await?).await?;
        ensure!(pod.restarts == 0, "the pod was started again: {pod:?}");
        attic.operator.end().await
    })
    .await;
}

/// G3, G7, I4, A5: the test that died counts, its place is free, and the pod is who it was.
#[tokio::test]
async fn a_pod_that_is_killed_while_somebody_measures_comes_back_with_its_key_and_its_counts() {
    scenario("faults-killed", async |story: &mut Scenario| {
        let attic = Attic::serving(story, NODE, 16010, &json!({ "testsPerHour": 2 })).await?;
        let den = attic.appliance("den").await?;
        let running = attic.measure(&den, &["-t", "50"])?;
        attic.sessions(1).await?;
        let pod = attic.pod().await?;
        story.kill_process(&pod).await?;
        let (code, said) = running.ended().await?;
        ensure!(code.is_some_and(|code| code != MEASURED), "it went on: {said}");

        wait_until("its process was started again", MINUTE, async || {
            let now = story.container(&pod).await?;
            ensure!(now.restarts == 1, "{now:?}");
            Ok(())
        })
        .await?;
        attic.sessions(0).await?;
        says(story, "attic", "Ready", "True", "Serving").await?;
        // Whom it expects stands in the address, so another key would be refused.
        attic.ends(&den, &[], MEASURED).await?;
        let said = attic.ends(&den, &[], DENIED).await?;
        ensure!(said.contains("rate"), "a third test was denied, but not for its number: {said}");
        attic.ready("den").await?;
        let active =
            story.api::<Reflector>().get("attic").await?.status.and_then(|status| status.active_tests);
        println!("  active tests in its status: {active:?}");
        attic.operator.end().await
    })
    .await;
}
