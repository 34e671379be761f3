//! Tests of what the parts do together, and the objects they are made from.

mod following;
mod held;
mod mock_api;

use serde_json::{Value, json};

use crate::access::fixtures::PeerBuilder;
use crate::cluster::{Fleet, Own, Pod};

/// Attic of the fleet homes.
fn own() -> Own {
    Own {
        name: crate::access::fixtures::NAME.to_owned(),
        namespace: "reflectors".to_owned(),
        uid: Some("u-attic".to_owned()),
        fleet: Some(Fleet { name: "homes".to_owned(), uid: "u-homes".to_owned() }),
        pod: Pod::default(),
    }
}

/// Our Reflector as the API server sends it.
fn attic(generation: i64, spec: &Value) -> Value {
    json!({
        "apiVersion": "packetparamedic.io/v1alpha1",
        "kind": "Reflector",
        "metadata": { "name": "attic", "namespace": "reflectors", "uid": "u-attic", "generation": generation,
            "resourceVersion": "5", "creationTimestamp": "2026-01-01T00:00:00Z" },
        "spec": spec,
    })
}

/// A peer as the API server sends it, made that many seconds after midnight.
fn sent(peer: &PeerBuilder, created: u8) -> Value {
    let mut value = peer.json();
    let name = value["metadata"]["name"].as_str().unwrap().to_owned();
    value["metadata"] = json!({ "name": name, "namespace": "reflectors", "uid": format!("u-{name}"),
        "generation": 1, "resourceVersion": "7", "creationTimestamp": format!("2026-01-01T00:00:{created:02}Z"),
        "managedFields": [{ "manager": "kubectl" }] });
    value
}
