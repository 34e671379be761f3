//! What everybody stands on goes away: the API server, a node, the room on a disk.

use anyhow::{Context as _, Result, ensure};
use crds::peer::PairingState;
use crds::{Reflector, ReflectorPeer};
use e2e::bed::Still;
use e2e::scenario::{MINUTE, Scenario, alone, wait_until};
use serde_json::json;

use super::super::fleets::edit;
use super::super::pairing::acting::{is_in, is_waiting, read, secret_of, until};
use super::super::says;
use super::super::serving::{Attic, DENIED, MEASURED};
use super::measuring::NODE;

const OTHER: (&str, [u8; 4]) = ("node-2", [10, 99, 0, 12]);

/// X2, A3: `kept` is about how long that may last; here it begins while an appliance measures and another one pairs. The
/// server stands still: one that is stopped leaves the cluster's network for minutes.
#[tokio::test]
async fn without_an_api_server_a_test_goes_on_and_a_code_that_nobody_could_write_down_stays_good() {
    alone("faults-api-away", async |story: &mut Scenario| {
        let attic = Attic::serving(story, NODE, 16500, &json!({})).await?;
        let den = attic.appliance("den").await?;
        let kitchen = attic.stranger("kitchen")?;
        attic.peer("kitchen", &json!({})).await?;
        let waiting = until(story, "kitchen", "Waiting", is_waiting).await?;
        let code = read(story, &secret_of(&waiting)?, "code").await?;

        let running = attic.measure(&den, &["-t", "20"])?;
        attic.sessions(1).await?;
        story.bed.pause(Still::Component("apiserver")).await?;
        let said = attic.ends(&kitchen, &["--code", &code], DENIED).await?;
        ensure!(said.contains("did not confirm in time, try again"), "{said}");
        let (ended, said) = running.ended().await?;
        ensure!(ended == Some(MEASURED), "it ended with {ended:?}: {said}");
        attic.ends(&den, &[], MEASURED).await?;
        story.bed.resume(Still::Component("apiserver")).await?;

        wait_until("the same code lets it in", 2 * MINUTE, async || {
            attic.ends(&kitchen, &["--code", &code], MEASURED).await
        })
        .await?;
        until(story, "kitchen", "Bound", |status| is_in(status, &PairingState::Bound)).await?;
        attic.ready("kitchen").await?;
        says(story, "attic", "Ready", "True", "Serving").await?;
        used(story, "den", 2).await?;
        attic.operator.end().await
    })
    .await;
}

/// Waits until so many tests of today are written down.
async fn used(story: &Scenario, name: &str, tests: i64) -> Result<()> {
    let peers = story.api::<ReflectorPeer>();
    wait_until(&format!("{tests} tests of {name} are in its status"), 2 * MINUTE, async || {
        let usage = peers.get(name).await?.status.and_then(|status| status.usage).context("no usage")?;
        ensure!(usage.tests_today == Some(tests), "{usage:?}");
        Ok(())
    })
    .await
}

/// I4, G7, at a node: its claim has the key and the counts.
#[tokio::test]
async fn a_node_that_loses_its_power_while_somebody_measures_returns_with_its_key_and_its_counts() {
    alone("faults-node", async |story: &mut Scenario| {
        let mut bed = story.bed.clone();
        let attic = Attic::serving(story, OTHER, 16600, &json!({ "testsPerHour": 2 })).await?;
        let den = attic.appliance("den").await?;
        let running = attic.measure(&den, &["-t", "50"])?;
        attic.sessions(1).await?;
        bed.lose(OTHER.0).await?;
        bed.noticed_lost(OTHER.0).await?;
        let words = says(story, "attic", "Ready", "False", "PodCutOff").await?;
        ensure!(words.contains("node-2 has not been heard of"), "{words}");
        let (ended, said) = running.ended().await?;
        ensure!(ended != Some(MEASURED), "it went on: {said}");

        bed.return_node(OTHER.0).await?;
        says(story, "attic", "Ready", "True", "Serving").await?;
        attic.ends(&den, &[], MEASURED).await?;
        let said = attic.ends(&den, &[], DENIED).await?;
        ensure!(said.contains("rate"), "a third test was denied, but not for its number: {said}");
        attic.operator.end().await
    })
    .await;
}

/// How often one measures until the last byte of room is used.
const TRIES: i64 = 40;

/// L3, X10, in a cluster: whoever must keep every line grants nothing that cannot be written down, and says where to make room.
#[tokio::test]
async fn a_claim_without_room_ends_all_tests_and_with_room_nothing_was_forgotten() {
    alone("faults-disk", async |story: &mut Scenario| {
        let attic = Attic::serving(story, NODE, 16610, &json!({})).await?;
        edit::<Reflector>(story, "attic", &json!({ "spec": { "audit": { "onFailure": "Deny" } } })).await?;
        says(story, "attic", "Ready", "True", "Serving").await?;
        let den = attic.appliance("den").await?;
        attic.ends(&den, &[], MEASURED).await?;
        // The last block of each file has room for a while, and claims of earlier stories go in their own time.
        let mut tests = 1;
        let said = loop {
            story.bed.fill_disk(NODE.0)?;
            let (ended, said) = attic.measure(&den, &["-t", "1"])?.ended().await?;
            if ended == Some(DENIED) {
                break said;
            }
            ensure!(ended == Some(MEASURED) && tests < TRIES, "test {tests} ended with {ended:?}: {said}");
            tests += 1;
        };
        println!("  {tests} tests, then: {said}");
        let words = says(story, "attic", "Accepting", "False", "AuditFull").await?;
        ensure!(words.contains("Make room on the claim"), "{words}");
        says(story, "attic", "Ready", "False", "AuditFull").await?;

        story.bed.free_disk(NODE.0)?;
        says(story, "attic", "Ready", "True", "Serving").await?;
        attic.ends(&den, &[], MEASURED).await?;
        let pod = story.container(&attic.pod().await?).await?;
        ensure!(pod.restarts == 0, "the pod was started again: {pod:?}");
        used(story, "den", tests + 1).await?;
        attic.operator.end().await
    })
    .await;
}
