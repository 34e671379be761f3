//! The definitions of our kinds as they are installed.
//!
//! In: what the derives make of the types. Out: the same without what the API server warns about or clients see as an
//! eternal difference, and with the rules that need the whole object. `crds/yaml` holds them as files.

use std::sync::LazyLock;

use kube::CustomResourceExt;
use serde_json::{Map, Value};

use crate::fleet::{MAX_FLEET_NAME, ReflectorFleet};
use crate::peer::ReflectorPeer;
use crate::reflector::{MAX_REFLECTOR_NAME, Reflector};
use crate::schema::rule::rules;

/// One definition.
pub struct Definition {
    /// The kind's plural, which is the file's name too: `reflectors`.
    pub plural: &'static str,
    /// The whole object.
    pub object: Value,
}

impl Definition {
    /// The schema of one part, `spec` or `status`.
    pub fn part(&self, part: &str) -> &Value {
        &self.object["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][part]
    }
}

/// Reflector.
pub static REFLECTOR: LazyLock<Definition> = LazyLock::new(|| {
    let dot =
        "has a dot in its name: write lower-case letters, digits and dashes; a Service is named after it";
    define::<Reflector>(
        "reflectors",
        &[length(MAX_REFLECTOR_NAME), ("!self.metadata.name.contains('.')".into(), dot.into())],
    )
});
/// `ReflectorFleet`.
pub static FLEET: LazyLock<Definition> = LazyLock::new(|| {
    let dot =
        "has a dot in its name: write lower-case letters, digits and dashes; its members are named after it";
    define::<ReflectorFleet>(
        "reflectorfleets",
        &[length(MAX_FLEET_NAME), ("!self.metadata.name.contains('.')".into(), dot.into())],
    )
});
/// `ReflectorPeer`.
pub static PEER: LazyLock<Definition> = LazyLock::new(|| define::<ReflectorPeer>("reflectorpeers", &[]));

/// All three, in the order they are documented.
pub fn all() -> [&'static Definition; 3] {
    [&*REFLECTOR, &*PEER, &*FLEET]
}

fn length(most: usize) -> (String, String) {
    (
        format!("self.metadata.name.size() <= {most}"),
        format!(
            "has a name of more than {most} characters: write a shorter one; names of other objects are made from it"
        ),
    )
}

fn define<K: CustomResourceExt>(plural: &'static str, root: &[(String, String)]) -> Definition {
    let mut object = serde_json::to_value(K::crd()).unwrap_or_default();
    let schema = &mut object["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    tidy(schema);
    if let Value::Object(schema) = schema
        && !root.is_empty()
    {
        schema.insert("x-kubernetes-validations".into(), rules(root));
    }
    Definition { plural, object }
}

/// Takes out of a schema, and all below it, what the API server warns about, freezes or does not need.
fn tidy(schema: &mut Value) {
    let Value::Object(node) = schema else { return };
    // Rust's unsigned numbers are no formats of OpenAPI.
    if node.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint")) {
        node.shift_remove("format");
    }
    // A default is frozen for ever, and a difference between what was applied and what is there. `null` means the same
    // as leaving a field out when it is not nullable: the API server takes it away.
    for word in ["default", "nullable", "title"] {
        node.shift_remove(word);
    }
    // Lines of source are no lines for a reader: kubectl breaks them where its terminal ends.
    if let Some(Value::String(text)) = node.get_mut("description") {
        *text = text.replace('\n', " ");
    }
    for bound in ["minimum", "maximum"] {
        whole(node, bound);
    }
    if let Some(Value::Array(words)) = node.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
    if let Some(Value::Object(properties)) = node.get_mut("properties") {
        properties.values_mut().for_each(tidy);
    }
    for below in ["items", "additionalProperties"] {
        if let Some(schema) = node.get_mut(below) {
            tidy(schema);
        }
    }
}

/// `1.0` reads as a mistake where a field takes whole numbers.
fn whole(node: &mut Map<String, Value>, bound: &str) {
    let number = node.get(bound).and_then(Value::as_f64);
    // Bounds are small: the text of a whole one is its digits.
    if let Some(whole) = number.and_then(|number| format!("{number:.0}").parse::<i64>().ok()) {
        node.insert(bound.into(), whole.into());
    }
}
