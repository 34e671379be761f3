//! What tests of the plugin are made from: a namespace in YAML, and files with what is shown of it.

use std::path::Path;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::status::Picture;

pub(super) fn yaml<K: DeserializeOwned>(text: &str) -> K {
    let value: Value = serde_yaml::from_str(text).unwrap();
    serde_json::from_value(value).unwrap()
}

pub(super) fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

/// A fleet with one member, a Reflector that serves, one that cannot, and peers of each state.
pub(super) fn picture() -> Picture {
    let all: Value = serde_yaml::from_str(include_str!("golden/objects.yaml")).unwrap();
    let of = |kind: &str| -> Vec<Value> {
        let all = all["items"].as_array().unwrap();
        all.iter().filter(|object| object["kind"] == kind).cloned().collect()
    };
    Picture {
        fleets: of("ReflectorFleet").into_iter().map(|one| serde_json::from_value(one).unwrap()).collect(),
        reflectors: of("Reflector").into_iter().map(|one| serde_json::from_value(one).unwrap()).collect(),
        peers: of("ReflectorPeer").into_iter().map(|one| serde_json::from_value(one).unwrap()).collect(),
    }
}

/// Holds what is shown to a file.
#[expect(clippy::disallowed_methods, reason = "whoever runs the tests says whether the files are written")]
pub(super) fn golden(name: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/plugin/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == made,
        "{name} is not what is shown: UPDATE_GOLDEN=1 cargo test -p operator --lib plugin:: makes it\n{made}"
    );
}
