//! When an object's status says something: through a watch, so that the moment is the server's, not that of a look.

use std::time::Duration;

use anyhow::{Result, bail};
use futures_util::TryStreamExt as _;
use kube::Api;
use kube::api::{DynamicObject, WatchEvent, WatchParams};
use serde_json::Value;
use tokio::time::{Instant, timeout};

/// Anything measured here takes seconds.
const PATIENCE: Duration = Duration::from_secs(180);

/// What is waited for.
pub(super) type Holds<'a> = &'a (dyn Fn(&Value) -> bool + Sync);

/// How long after `since` each of these was first seen to hold; ends when all have been.
pub(super) async fn moments<const N: usize>(
    api: &Api<DynamicObject>,
    name: &str,
    since: Instant,
    wanted: [Holds<'_>; N],
) -> Result<[Duration; N]> {
    let mut seen = [None; N];
    let mut last = Value::Null;
    let watching = async {
        loop {
            let now = api.get(name).await?;
            let version = now.metadata.resource_version.clone().unwrap_or_default();
            last = now.data;
            note(&mut seen, &last, since, &wanted);
            let only = WatchParams::default().fields(&format!("metadata.name={name}"));
            let mut events = Box::pin(api.watch(&only, &version).await?);
            while !seen.iter().all(Option::is_some) {
                match events.try_next().await? {
                    Some(WatchEvent::Added(object) | WatchEvent::Modified(object)) => {
                        last = object.data;
                        note(&mut seen, &last, since, &wanted);
                    }
                    Some(WatchEvent::Bookmark(_)) => {}
                    _ => break,
                }
            }
            if seen.iter().all(Option::is_some) {
                return Ok::<_, kube::Error>(());
            }
        }
    };
    let watched = timeout(PATIENCE, watching).await;
    match watched {
        Ok(result) => result?,
        Err(_) => bail!("{name} did not come so far within {PATIENCE:?}; its status: {}", last["status"]),
    }
    Ok(seen.map(Option::unwrap_or_default))
}

fn note(seen: &mut [Option<Duration>], object: &Value, since: Instant, wanted: &[Holds<'_>]) {
    for (seen, holds) in seen.iter_mut().zip(wanted) {
        if seen.is_none() && holds(object) {
            *seen = Some(since.elapsed());
        }
    }
}

/// Whether a condition is True.
pub(super) fn is_true(object: &Value, type_: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|one| one["type"] == type_ && one["status"] == "True")
}
