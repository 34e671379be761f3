//! Whether each field holds the kind of value it takes. Serde alone would say "expected i64" without saying where.

use serde_json::Value;

use crate::problem::Problem;

use super::walk;

/// Every field that cannot be read, when `value` stands at `path`.
pub(crate) fn shapes(schema: &Value, value: &Value, path: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    walk(schema, value, path, &mut |schema, value, path| {
        if value.is_object() {
            problems.extend(super::bounds::missing(schema, value, path));
        }
        if let Some(wanted) = misfit(schema, value) {
            problems.push(Problem::new(path, format!("{wanted}; found {}", found(value))));
        }
    });
    problems
}

/// `null` and missing are the same, as on the API server.
pub(crate) fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, v| !v.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn misfit(schema: &Value, value: &Value) -> Option<&'static str> {
    if schema.get("x-kubernetes-int-or-string").is_some() {
        let fits = value.is_string() || value.is_number();
        return (!fits).then_some("must be text or a number, such as 60s or 5G");
    }
    let (fits, wanted) = match schema.get("type")?.as_str()? {
        "object" => (value.is_object(), "must hold fields, one per line and indented below it"),
        "array" => (value.is_array(), "must be a list"),
        "string" => (value.is_string(), "must be text: put it in quotes"),
        "boolean" => (value.is_boolean(), "must be true or false, without quotes"),
        "integer" => (value.is_i64(), "must be a whole number without quotes"),
        "number" => (value.is_number(), "must be a number without quotes"),
        _ => return None,
    };
    (!fits).then_some(wanted)
}

pub(crate) fn found(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "fields",
    }
}
