//! Resident memory, looked at from outside.

use std::time::Duration;

use anyhow::{Context as _, Result};
use e2e::vitals::Vitals;
use serde_json::json;
use tokio::time::interval;

use super::scene::{Scene, operator, pods};
use super::spread::Row;

/// A minute, once a second.
const LOOKS: usize = 60;
const LOOK: Duration = Duration::from_secs(1);
const REFLECTORS: u16 = 3;

/// With a few reflectors that nobody uses.
pub(super) async fn idle(scene: &Scene) -> Result<Vec<Row>> {
    for number in 0..REFLECTORS {
        scene.serve(number, &json!({})).await?;
    }
    let mut rows = watched("operator, 3 reflectors", &[operator()?]).await?;
    rows.extend(watched("local-path-provisioner", &[scene.local_path()?]).await?);
    rows.extend(watched("reflector's pod, each of 3", &pods()?).await?);
    Ok(rows)
}

/// A minute of them.
pub(super) async fn watched(what: &str, processes: &[Vitals]) -> Result<Vec<Row>> {
    let (mut all, mut private) = (Vec::new(), Vec::new());
    let mut tick = interval(LOOK);
    for _ in 0..LOOKS {
        tick.tick().await;
        for process in processes {
            all.push(process.rss_kib().context("read its memory")?);
            private.push(process.private_kib().context("read its memory")?);
        }
    }
    Ok(vec![Row::memory(what, &all), Row::memory(format!("{what}: of it private"), &private)])
}
