//! The table of accepted and refused objects, against the validators. A scenario in `e2e` holds the same table against a
//! real API server.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test's helpers fail by panicking"
)]

use std::collections::BTreeSet;

use crds::{Problem, fleet, peer, reflector};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Row {
    title: String,
    kind: String,
    name: Option<String>,
    old: Option<Value>,
    spec: Value,
    refused_by: RefusedBy,
    server: Option<String>,
    ours: Option<String>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
enum RefusedBy {
    Nobody,
    Schema,
    Rule,
    Validator,
}

fn rows() -> Vec<Row> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/objects.yaml");
    let table: Value = serde_yaml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    serde_json::from_value(table).unwrap()
}

impl Row {
    fn object(&self, spec: &Value) -> Value {
        let name = self.name.as_deref().unwrap_or("attic");
        json!({ "apiVersion": "packetparamedic.io/v1alpha1", "kind": self.kind, "metadata": { "name": name }, "spec": spec })
    }

    /// What the validator has against the new object, alone or as an update of the old one.
    fn problems(&self) -> Vec<Problem> {
        let new = self.object(&self.spec);
        let old = self.old.as_ref().map(|spec| self.object(spec));
        match self.kind.as_str() {
            "Reflector" => judged(reflector::read, reflector::validate, new, old, |old, new| {
                reflector::validate_update(&old.spec, &new.spec)
            }),
            "ReflectorPeer" => judged(peer::read, peer::validate, new, old, |old, new| {
                peer::validate_update(&old.spec, &new.spec)
            }),
            "ReflectorFleet" => judged(fleet::read, fleet::validate, new, old, |old, new| {
                fleet::validate_update(&old.spec, &new.spec)
            }),
            other => panic!("{}: {other} is none of our kinds", self.title),
        }
    }
}

fn judged<K, V>(
    read: impl Fn(Value) -> Result<K, Vec<Problem>>,
    validate: impl Fn(&K) -> Result<V, Vec<Problem>>,
    new: Value,
    old: Option<Value>,
    update: impl Fn(&K, &K) -> Vec<Problem>,
) -> Vec<Problem> {
    let new = match read(new) {
        Ok(new) => new,
        Err(problems) => return problems,
    };
    let mut problems = validate(&new).err().unwrap_or_default();
    if let Some(old) = old {
        let old = read(old).expect("the old object can be read");
        assert_eq!(validate(&old).err(), None, "the old object is accepted");
        problems.extend(update(&old, &new));
    }
    problems
}

#[test]
fn the_validator_refuses_what_the_api_server_refuses_and_says_what_to_write() {
    let mut wrong = Vec::new();
    for row in rows() {
        let said = row.problems().iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let expected = match (row.refused_by, &row.ours) {
            (RefusedBy::Nobody, None) => said.is_empty(),
            (RefusedBy::Nobody, Some(_)) | (_, None) => panic!("{}: its columns disagree", row.title),
            (_, Some(ours)) => said.contains(ours),
        };
        if !expected {
            wrong.push(format!("{} ({}): expected {:?}, said {said:?}", row.title, row.kind, row.ours));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_is_large_and_well_formed() {
    let rows = rows();
    assert!(rows.len() >= 80, "{} rows", rows.len());
    let mut seen = BTreeSet::new();
    for row in &rows {
        assert!(seen.insert((&row.kind, &row.title)), "{} stands there twice", row.title);
        let by_server = matches!(row.refused_by, RefusedBy::Schema | RefusedBy::Rule);
        assert_eq!(row.server.is_some(), by_server, "{}: its columns disagree", row.title);
    }
    for kind in ["Reflector", "ReflectorPeer", "ReflectorFleet"] {
        for by in [RefusedBy::Nobody, RefusedBy::Schema, RefusedBy::Rule] {
            assert!(rows.iter().any(|row| row.kind == kind && row.refused_by == by), "{kind} {by:?}");
        }
        assert!(rows.iter().any(|row| row.kind == kind && row.old.is_some()), "{kind}: no update");
    }
}

/// `60s` never returns as `1m0s`, and nothing empty is added.
#[test]
fn accepted_objects_return_as_they_were_typed() {
    for row in rows().iter().filter(|row| row.refused_by == RefusedBy::Nobody) {
        if row.title.contains("null") || row.title.contains("newer") {
            continue;
        }
        let typed = row.object(&row.spec);
        let back = match row.kind.as_str() {
            "Reflector" => serde_json::to_value(reflector::read(typed.clone()).unwrap()),
            "ReflectorPeer" => serde_json::to_value(peer::read(typed.clone()).unwrap()),
            _ => serde_json::to_value(fleet::read(typed.clone()).unwrap()),
        };
        assert_eq!(back.unwrap(), typed, "{}", row.title);
    }
}
