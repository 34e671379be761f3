//! When each of many objects says what it should, through one watch, so that a look costs the API server nothing.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures_util::TryStreamExt as _;
use kube::Api;
use kube::api::{DynamicObject, ListParams, WatchEvent, WatchParams};
use tokio::time::{Instant, timeout};

/// For ten thousand objects on two busy cores.
const PATIENCE: Duration = Duration::from_secs(40 * 60);

/// One that began before anything happened, so that it misses nothing.
pub(super) struct Converging {
    api: Api<DynamicObject>,
    version: String,
}

impl Converging {
    /// From now on.
    pub(super) async fn new(api: Api<DynamicObject>) -> Result<Self> {
        let now = api.list_metadata(&ListParams::default().limit(1)).await.context("list objects")?;
        Ok(Self { version: now.metadata.resource_version.unwrap_or_default(), api })
    }

    /// How long after `since` each of so many was first seen to hold it.
    pub(super) async fn all(
        mut self,
        count: u16,
        since: Instant,
        holds: impl Fn(&DynamicObject) -> bool,
    ) -> Result<Vec<Duration>> {
        let mut seen = HashMap::new();
        match timeout(PATIENCE, self.watch(usize::from(count), since, &holds, &mut seen)).await {
            Ok(ended) => ended?,
            Err(_) => bail!("only {} of {count} came so far within {PATIENCE:?}", seen.len()),
        }
        Ok(seen.into_values().collect())
    }

    async fn watch(
        &mut self,
        count: usize,
        since: Instant,
        holds: &impl Fn(&DynamicObject) -> bool,
        seen: &mut HashMap<String, Duration>,
    ) -> Result<()> {
        loop {
            // The server ends a watch after some minutes; it goes on where it was.
            let mut events = Box::pin(self.api.watch(&WatchParams::default(), &self.version).await?);
            while let Some(event) = events.try_next().await? {
                match event {
                    WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                        self.version = object.metadata.resource_version.clone().unwrap_or_default();
                        if holds(&object) {
                            let name = object.metadata.name.unwrap_or_default();
                            seen.entry(name).or_insert_with(|| since.elapsed());
                        }
                        if seen.len() >= count {
                            return Ok(());
                        }
                    }
                    WatchEvent::Bookmark(mark) => self.version = mark.metadata.resource_version,
                    WatchEvent::Deleted(gone) => bail!("{:?} went", gone.metadata.name),
                    WatchEvent::Error(status) => bail!("the watch ended: {}", status.message),
                }
            }
        }
    }
}

/// All that the operator can say of a Reflector whose pod runs and says nothing: it looked at this generation, knows the pod's
/// node and claim, and has counted all its peers.
pub(super) fn reflector(object: &DynamicObject, peers: u16) -> bool {
    let status = &object.data["status"];
    let counted = status["peers"]["authorized"].as_u64().unwrap_or(0);
    observed(object)
        && status["node"].is_string()
        && ["Scheduled", "IdentityReady"].iter().all(|type_| super::moments::is_true(&object.data, type_))
        && counted == u64::from(peers)
}

/// The same of a peer: it is paired, and has the entry that its reflector's pod would fill in.
pub(super) fn peer(object: &DynamicObject) -> bool {
    let named = &object.data["spec"]["reflectorRef"]["name"];
    observed(object)
        && super::moments::is_true(&object.data, "Paired")
        && object.data["status"]["reflectors"][0]["name"] == *named
}

fn observed(object: &DynamicObject) -> bool {
    let observed = object.data["status"]["observedGeneration"].as_i64();
    observed.is_some() && observed == object.metadata.generation
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(object: &Value) -> DynamicObject {
        serde_json::from_value(object.clone()).unwrap()
    }

    #[test]
    fn a_reflector_has_converged_with_its_node_its_claim_and_its_last_peer() {
        let whole = json!({
            "metadata": { "name": "r", "generation": 2 },
            "status": {
                "observedGeneration": 2, "node": "n", "peers": { "authorized": 10 },
                "conditions": [{ "type": "Scheduled", "status": "True" }, { "type": "IdentityReady", "status": "True" }],
            },
        });
        assert!(reflector(&read(&whole), 10));
        for (pointer, bad) in [
            ("/status/observedGeneration", json!(1)),
            ("/status/node", Value::Null),
            ("/status/peers/authorized", json!(9)),
            ("/status/conditions/1/status", json!("False")),
        ] {
            let mut object = whole.clone();
            *object.pointer_mut(pointer).unwrap() = bad;
            assert!(!reflector(&read(&object), 10), "{pointer}");
        }
    }

    #[test]
    fn a_peer_has_converged_with_the_entry_of_its_reflector() {
        let whole = json!({
            "metadata": { "name": "p", "generation": 1 },
            "spec": { "reflectorRef": { "name": "r" } },
            "status": {
                "observedGeneration": 1, "reflectors": [{ "name": "r" }],
                "conditions": [{ "type": "Paired", "status": "True" }],
            },
        });
        assert!(peer(&read(&whole)));
        for pointer in
            ["/status/observedGeneration", "/status/reflectors/0/name", "/status/conditions/0/status"]
        {
            let mut object = whole.clone();
            *object.pointer_mut(pointer).unwrap() = Value::Null;
            assert!(!peer(&read(&object)), "{pointer}");
        }
    }
}
