//! What everybody stands on goes away: the API server, a node, the room on a disk.

use anyhow::ensure;
use e2e::scenario::{Scenario, alone};
use serde_json::json;

use super::super::says;
use super::serving::{Attic, DENIED, MEASURED};

const OTHER: (&str, [u8; 4]) = ("node-2", [10, 99, 0, 12]);

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
