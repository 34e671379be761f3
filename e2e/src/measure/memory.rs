//! Resident memory of the operator with many objects, looked at from outside.

use std::time::Duration;

use anyhow::{Context as _, Result};
use e2e::vitals::Vitals;
use tokio::time::interval;

use super::spread::Row;

/// A minute, once a second.
const LOOKS: usize = 60;
const LOOK: Duration = Duration::from_secs(1);

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
