//! `crds/yaml` is what the types say.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail by panicking")]

use std::path::PathBuf;

use crds::definition::{self, Definition};

/// Client-side apply keeps a whole object in an annotation, which ends at 262144 bytes.
const LARGEST: usize = 200_000;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("yaml")
}

fn written(definition: &Definition) -> String {
    format!(
        "# Made from crds/src. To make it anew: UPDATE_GOLDEN=1 cargo test -p crds --test yaml\n{}",
        serde_yaml::to_string(&definition.object).unwrap()
    )
}

#[test]
fn each_definition_in_yaml_is_up_to_date() {
    for definition in definition::all() {
        let path = folder().join(format!("{}.yaml", definition.plural));
        let written = written(definition);
        if update() {
            std::fs::write(&path, &written).unwrap();
        }
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            there == written,
            "{} is not what the types say: UPDATE_GOLDEN=1 cargo test -p crds --test yaml",
            path.display()
        );
    }
}

#[expect(clippy::disallowed_methods, reason = "whoever runs the test says whether to write")]
fn update() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

#[test]
fn each_definition_fits_into_the_annotation_of_client_side_apply() {
    for definition in definition::all() {
        let size = serde_json::to_vec(&definition.object).unwrap().len();
        assert!(size < LARGEST, "{} has {size} bytes", definition.plural);
    }
}

#[test]
fn the_yaml_reads_back_as_the_same_object() {
    for definition in definition::all() {
        let read: serde_json::Value = serde_yaml::from_str(&written(definition)).unwrap();
        assert!(read == definition.object, "{}.yaml reads back as something else", definition.plural);
    }
}
