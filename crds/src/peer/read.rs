//! From JSON to a [`ReflectorPeer`], telling people which field has the wrong shape.
//!
//! The API server checks shapes by schema; a directory of manifests has nobody to do it, and serde alone would say
//! "expected i64" without saying where. `null` and missing are the same, as on the API server.

use serde_json::Value;

use crate::problem::Problem;
use crate::structural::{drop_nulls, found};

use super::spec::ReflectorPeer;

/// What a field must look like.
#[derive(Clone, Copy)]
enum Shape {
    Map,
    Text,
    Whole,
    Bool,
    /// Text or a number.
    Scalar,
    TextList,
}

/// Every field of the spec a person can write. A test holds it against the type itself.
const SHAPES: &[(&str, Shape)] = &[
    ("metadata", Shape::Map),
    ("metadata.name", Shape::Text),
    ("spec", Shape::Map),
    ("spec.reflectorRef", Shape::Map),
    ("spec.reflectorRef.kind", Shape::Text),
    ("spec.reflectorRef.name", Shape::Text),
    ("spec.endpointId", Shape::Text),
    ("spec.pairing", Shape::Map),
    ("spec.pairing.ttl", Shape::Scalar),
    ("spec.pairing.round", Shape::Whole),
    ("spec.displayName", Shape::Text),
    ("spec.quotas", Shape::Map),
    ("spec.quotas.maxTestDuration", Shape::Scalar),
    ("spec.quotas.maxConcurrentTests", Shape::Whole),
    ("spec.quotas.testsPerHour", Shape::Whole),
    ("spec.quotas.bytesPerDay", Shape::Scalar),
    ("spec.quotas.cooldown", Shape::Scalar),
    ("spec.quotas.allowedTests", Shape::TextList),
    ("spec.quotas.maxStreams", Shape::Whole),
    ("spec.quotas.maxEchoPps", Shape::Whole),
    ("spec.quotas.maxRate", Shape::Scalar),
    ("spec.expiresAt", Shape::Text),
    ("spec.suspend", Shape::Bool),
];

/// Paths of the fields a person can write, such as `spec.quotas.maxStreams`.
pub fn fields() -> impl Iterator<Item = &'static str> {
    SHAPES.iter().map(|(path, _)| *path)
}

/// Reads an object. Whoever feeds a policy index calls this before [`super::validate()`].
pub fn read(mut object: Value) -> Result<ReflectorPeer, Vec<Problem>> {
    drop_nulls(&mut object);
    let problems: Vec<Problem> =
        SHAPES.iter().filter_map(|(path, shape)| check(&object, path, *shape)).collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    if object.get("spec").is_none() {
        return Err(vec![Problem::new("spec", "is missing: write spec.reflectorRef and spec.endpointId")]);
    }
    serde_json::from_value(object).map_err(|e| vec![Problem::new("", format!("cannot be read: {e}"))])
}

fn check(object: &Value, path: &str, shape: Shape) -> Option<Problem> {
    let mut value = object;
    for step in path.split('.') {
        // A parent that is missing or has the wrong shape is reported by its own row.
        value = value.as_object()?.get(step)?;
    }
    let (fits, wanted) = match shape {
        Shape::Map => (value.is_object(), "must hold fields, one per line and indented below it"),
        Shape::Text => (value.is_string(), "must be text: put it in quotes"),
        Shape::Whole => (value.is_i64(), "must be a whole number without quotes"),
        Shape::Bool => (value.is_boolean(), "must be true or false, without quotes"),
        Shape::Scalar => {
            (value.is_string() || value.is_number(), "must be text or a number, such as 60s or 5G")
        }
        Shape::TextList => (
            value.as_array().is_some_and(|items| items.iter().all(Value::is_string)),
            "must be a list of names, such as [Throughput, UdpEcho]",
        ),
    };
    (!fits).then(|| Problem::new(path, format!("{wanted}; found {}", found(value))))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use kube::CustomResourceExt;

    use super::*;

    fn paths(schema: &Value, at: &str, out: &mut BTreeSet<String>) {
        for (name, child) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let path = format!("{at}.{name}");
            out.insert(path.clone());
            paths(child, &path, out);
        }
    }

    /// A new field without a row here would be refused with serde's words, without saying where.
    #[test]
    fn every_field_of_the_spec_has_its_shape() {
        let crd = serde_json::to_value(ReflectorPeer::crd()).unwrap();
        let spec = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        let mut expected = BTreeSet::from(["metadata".into(), "metadata.name".into(), "spec".into()]);
        paths(spec, "spec", &mut expected);
        let listed: BTreeSet<String> = SHAPES.iter().map(|(p, _)| (*p).to_owned()).collect();
        assert_eq!(listed, expected);
    }
}
