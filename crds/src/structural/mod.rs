//! What the API server refuses by schema, refused here too: a directory of manifests has no API server.
//!
//! In: a schema of `definition`, and a value. Out: every problem with its path and what to write. `shapes` looks whether
//! something can be read at all, `bounds` at the rest. CEL is not run: the validators say the same in Rust.

mod bounds;
mod shapes;

pub(crate) use bounds::bounds;
pub(crate) use shapes::{drop_nulls, found, shapes};

use serde_json::Value;

/// Calls `visit` for a value and all it contains that the schema knows. What it does not know may be of a newer release.
fn walk(schema: &Value, value: &Value, path: &str, visit: &mut dyn FnMut(&Value, &Value, &str)) {
    visit(schema, value, path);
    match value {
        Value::Object(fields) => {
            for (name, child) in fields {
                let known = schema.get("properties").and_then(|properties| properties.get(name));
                if let Some(below) = known.or_else(|| schema.get("additionalProperties")) {
                    walk(below, child, &format!("{path}.{name}"), visit);
                }
            }
        }
        Value::Array(entries) => {
            for (index, child) in entries.iter().enumerate() {
                if let Some(below) = schema.get("items") {
                    walk(below, child, &format!("{path}[{index}]"), visit);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
