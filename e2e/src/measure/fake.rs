//! Nodes that are not there: kwok plays them, and the pods on them.

use anyhow::{Context as _, Result, ensure};
use e2e::bed::{KWOK_ANNOTATION, KWOK_CLASS};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

use super::scene::Scene;

const AT_ONCE: usize = 16;
/// Keeps pods away that have nothing to do with them.
const MARK: &str = "measure/fake";

/// Makes them. There must be a kwok that plays them.
pub(super) async fn nodes(scene: &Scene, count: u16) -> Result<()> {
    ensure!(scene.bed().has_kwok(), "nobody plays nodes here; start a bed that can: cargo bed up --kwok");
    let api = Api::<Node>::all(scene.client());
    let made = stream::iter(0..count).map(|number| {
        let api = api.clone();
        async move {
            let node = serde_json::from_value(node(number)).context("read a node")?;
            api.create(&PostParams::default(), &node).await.context("make a node").map(drop)
        }
    });
    made.buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    anstream::eprintln!("{count} nodes that are not there");
    Ok(())
}

/// What a Reflector on the node of its number says.
pub(super) fn placed(number: u16) -> Value {
    json!({
        "placement": {
            "nodeSelector": { "kubernetes.io/hostname": name(number) },
            "tolerations": [{ "key": MARK, "operator": "Exists" }],
        },
        "network": { "port": 4000, "healthPort": 7301 },
        "identity": { "retain": false, "storage": { "storageClassName": KWOK_CLASS } },
    })
}

fn name(number: u16) -> String {
    format!("fake-{number}")
}

/// It is Ready from the beginning, with an address that nobody has.
fn node(number: u16) -> Value {
    let (annotation, value) = KWOK_ANNOTATION;
    let [high, low] = number.to_be_bytes();
    let room = json!({ "cpu": "4", "memory": "8Gi", "pods": "110" });
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name(number),
            "annotations": { annotation: value },
            "labels": { "kubernetes.io/hostname": name(number), "kubernetes.io/os": "linux" },
        },
        "spec": { "taints": [{ "key": MARK, "effect": "NoSchedule" }] },
        "status": {
            "addresses": [
                { "type": "InternalIP", "address": format!("10.200.{high}.{low}") },
                { "type": "Hostname", "address": name(number) },
            ],
            "allocatable": room,
            "capacity": room,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_nodes_share_an_address_and_a_reflector_is_on_its_own() {
        let address = |number| node(number)["status"]["addresses"][0]["address"].clone();
        assert_eq!((address(3), address(999)), (json!("10.200.0.3"), json!("10.200.3.231")));
        let wanted = placed(999)["placement"]["nodeSelector"]["kubernetes.io/hostname"].clone();
        assert_eq!(node(999)["metadata"]["labels"]["kubernetes.io/hostname"], wanted);
    }
}
