//! Resident memory of the operator with many objects, looked at from outside.

use std::time::Duration;

use anyhow::{Context as _, Result};
use e2e::vitals::Vitals;
use tokio::time::interval;

use super::crowd;
use super::scene::{Scene, operator};
use super::spread::Row;

/// A minute, once a second.
const LOOKS: usize = 60;
const LOOK: Duration = Duration::from_secs(1);

/// With as many as it is made for.
pub(super) async fn scale(scene: &Scene, reflectors: u16, peers: u16) -> Result<Vec<Row>> {
    let gathered = crowd::gather(scene, 0, reflectors, peers).await;
    let operator = operator()?;
    gathered?;
    let what = format!("operator, {reflectors} reflectors and {peers} peers");
    let mut rows = watched(&what, operator).await?;
    let peak = operator.peak_rss_kib().context("read its memory")?;
    rows.push(Row::memory(format!("{what}: the most so far"), &[peak]));
    Ok(rows)
}

async fn watched(what: &str, process: Vitals) -> Result<Vec<Row>> {
    let (mut all, mut private) = (Vec::new(), Vec::new());
    let mut tick = interval(LOOK);
    for _ in 0..LOOKS {
        tick.tick().await;
        all.push(process.rss_kib().context("read its memory")?);
        private.push(process.private_kib().context("read its memory")?);
    }
    Ok(vec![Row::memory(what, &all), Row::memory(format!("{what}: of it private"), &private)])
}
