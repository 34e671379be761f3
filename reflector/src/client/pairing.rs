//! Presents a pairing code on a connection of its own: the next one hears of the limits that pairing brought.

use super::{Address, Link, LinkError};
use crate::identity::Current;

/// Pairs; the reflector's words of a success. One that knows us already says so and leaves the code for somebody else.
pub async fn pair(address: &Address, us: &Current, code: &str) -> Result<String, LinkError> {
    let mut link = Link::connect(address, us).await.map_err(|error| match error {
        // Strangers get past hello only while a window is open.
        LinkError::NotPaired { ours, .. } => LinkError::NoWindow { ours },
        other => other,
    })?;
    let said = link.pair(code).await?;
    link.close().await;
    Ok(said)
}
