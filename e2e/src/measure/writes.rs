//! What is written into the datastore while nothing happens.

use anyhow::Result;

use super::crowd;
use super::minutes::{by_minute, rows};
use super::scene::Scene;
use super::spread::Row;

/// In so many minutes after everything has settled.
pub(super) async fn quiet(
    scene: &Scene,
    waiting: u16,
    serving: u16,
    peers: u16,
    minutes: u16,
) -> Result<Vec<Row>> {
    crowd::gather(scene, serving, waiting, peers).await?;
    let all = waiting + serving;
    let what = format!("{minutes} quiet minutes, {all} reflectors ({serving} serving), {peers} peers");
    Ok(rows(&what, &by_minute(scene, minutes).await?))
}
