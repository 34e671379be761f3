//! What tests of this room are made from: YAML, read through the real types.

use std::sync::Arc;

use crds::reflector::Reflector;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::children::Children;
use super::fetch::Found;
use crate::clock::Now;
use crate::settings::Settings;

/// An object from YAML.
pub(super) fn yaml<K: DeserializeOwned>(text: &str) -> K {
    let value: Value = serde_yaml::from_str(text).unwrap();
    serde_json::from_value(value).unwrap()
}

/// A Reflector called attic with this spec, given in flow style or indented by two.
pub(super) fn reflector(spec: &str) -> Reflector {
    yaml(&format!(
        "
apiVersion: packetparamedic.io/v1alpha1
kind: Reflector
metadata: {{ name: attic, namespace: homes, uid: uid-attic, generation: 3, resourceVersion: '7', creationTimestamp: '2026-01-02T00:00:00Z' }}
spec: {spec}
"
    ))
}

pub(super) fn settings() -> Settings {
    Settings {
        repository: "example.net/reflector".into(),
        tag: "0.1.0".into(),
        allowed_repositories: vec!["example.net/reflector".into(), "example.net/mirror".into()],
        cluster_role: "reflector-endpoint".into(),
    }
}

/// Nothing but the Reflector.
pub(super) fn found(reflector: Reflector) -> Found {
    Found {
        reflector: Arc::new(reflector),
        children: Children::default(),
        claim: None,
        pods: vec![],
        node: None,
        gone_node: None,
        missing_class: None,
        neighbours: vec![],
        peers: crds::reflector::PeerCounts::default(),
    }
}

pub(super) fn at(second: i64) -> Now {
    Now { mono_ms: 0, wall: jiff::Timestamp::from_second(second).unwrap() }
}
