//! `export`: every peer as a manifest with its Endpoint ID in `spec`. In git these survive the cluster.

use anyhow::Result;
use crds::ReflectorPeer;
use kube::{Resource as _, ResourceExt as _};
use serde_json::{Map, Value, json};

use super::answer::{Answer, written};
use super::args::Format;
use super::cluster::Cluster;

/// What kubectl keeps for itself.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

pub(super) async fn run(cluster: &Cluster, format: Option<Format>) -> Result<Answer> {
    let peers: Vec<ReflectorPeer> = cluster.list().await?;
    if peers.is_empty() {
        anstream::eprintln!("warning: there is no peer in namespace {}", cluster.namespace);
    }
    for peer in peers.iter().filter(|peer| id(peer).is_none()) {
        anstream::eprintln!("warning: {} has no Endpoint ID yet and would pair anew", peer.name_any());
    }
    let manifests: Vec<Value> = peers.iter().map(manifest).collect::<Result<_, _>>()?;
    Ok(Answer::text(match format {
        Some(Format::Json) => {
            written(&json!({ "apiVersion": "v1", "kind": "List", "items": manifests }), Format::Json)?
        }
        _ => documents(&manifests)?,
    }))
}

pub(super) fn documents(manifests: &[Value]) -> Result<String> {
    let mut out = String::new();
    for manifest in manifests {
        out.push_str("---\n");
        out.push_str(&written(manifest, Format::Yaml)?);
    }
    Ok(out)
}

/// Who a peer is, in spec or by a pairing that was bound.
fn id(peer: &ReflectorPeer) -> Option<&String> {
    peer.spec.endpoint_id.as_ref().or_else(|| peer.status.as_ref()?.endpoint_id.as_ref())
}

/// What a person would have written. Without what the server adds, and without a namespace, so that it goes anywhere.
fn manifest(peer: &ReflectorPeer) -> Result<Value, serde_json::Error> {
    let mut metadata = Map::from_iter([("name".to_owned(), json!(peer.name_any()))]);
    let annotations = peer.annotations().iter().filter(|(key, _)| *key != LAST_APPLIED);
    let annotations: Map<String, Value> =
        annotations.map(|(key, value)| (key.clone(), json!(value))).collect();
    if !peer.labels().is_empty() {
        metadata.insert("labels".to_owned(), json!(peer.labels()));
    }
    if !annotations.is_empty() {
        metadata.insert("annotations".to_owned(), Value::Object(annotations));
    }
    let mut spec = peer.spec.clone();
    if let Some(id) = id(peer) {
        spec.endpoint_id = Some(id.clone());
        // It is ignored from now on.
        spec.pairing = None;
    }
    Ok(json!({
        "apiVersion": ReflectorPeer::api_version(&()),
        "kind": ReflectorPeer::kind(&()),
        "metadata": metadata,
        "spec": serde_json::to_value(spec)?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::testing::{golden, picture};

    /// A6, X9: what a pairing made survives the cluster.
    #[test]
    fn golden_peers_as_manifests() {
        let manifests: Vec<Value> = picture().peers.iter().map(|peer| manifest(peer).unwrap()).collect();
        golden("export.yaml", &documents(&manifests).unwrap());
    }

    #[test]
    fn a_paired_peer_is_declared_by_its_manifest() {
        let peers = picture().peers;
        let living = peers.iter().find(|peer| peer.name_any() == "living-room").unwrap();
        let made = manifest(living).unwrap();
        assert_eq!(made["spec"]["endpointId"], "PP-7777");
        assert!(made["spec"].get("pairing").is_none() && made.get("status").is_none());
        assert_eq!(made["metadata"]["annotations"], json!({ "note": "by the window" }));
    }
}
