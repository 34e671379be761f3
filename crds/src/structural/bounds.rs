//! Whether each value is inside what the schema allows.

use serde_json::Value;

use crate::problem::{Problem, shortened};

use super::walk;

/// Every value out of bounds, when `value` stands at `path`. Shapes were looked at before.
pub(crate) fn bounds(schema: &Value, value: &Value, path: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    walk(schema, value, path, &mut |schema, value, path| {
        let wrong = match value {
            Value::Object(fields) => {
                problems.extend(missing(schema, value, path));
                limit(schema, "maxProperties").filter(|most| fields.len() > *most).map(too_many)
            }
            Value::Array(entries) => list(schema, entries),
            Value::String(text) => text_problem(schema, text),
            Value::Number(number) => number.as_i64().and_then(|number| out_of_range(schema, number)),
            Value::Null | Value::Bool(_) => None,
        };
        problems.extend(wrong.map(|wrong| Problem::new(path, wrong)));
    });
    problems
}

fn limit(schema: &Value, name: &str) -> Option<usize> {
    schema.get(name)?.as_u64()?.try_into().ok()
}

fn words<'s>(schema: &'s Value, name: &str) -> Vec<&'s str> {
    schema.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

pub(super) fn missing(schema: &Value, value: &Value, path: &str) -> Vec<Problem> {
    let absent = words(schema, "required").into_iter().filter(|name| value.get(name).is_none());
    absent.map(|name| Problem::new(format!("{path}.{name}"), "is missing: write it")).collect()
}

fn too_many(most: usize) -> String {
    format!("has too many entries: write at most {most}")
}

fn list(schema: &Value, entries: &[Value]) -> Option<String> {
    if let Some(most) = limit(schema, "maxItems").filter(|most| entries.len() > *most) {
        return Some(too_many(most));
    }
    if let Some(least) = limit(schema, "minItems").filter(|least| entries.len() < *least) {
        return Some(format!("has too few entries: write at least {least}"));
    }
    let keys = words(schema, "x-kubernetes-list-map-keys");
    let kind = schema.get("x-kubernetes-list-type").and_then(Value::as_str);
    let same = |a: &Value, b: &Value| match kind {
        Some("set") => a == b,
        Some("map") => keys.iter().all(|key| a.get(key) == b.get(key)),
        _ => false,
    };
    let twice = entries.iter().enumerate().any(|(at, a)| entries.iter().skip(at + 1).any(|b| same(a, b)));
    twice.then(|| "lists an entry twice: write each once".to_owned())
}

fn text_problem(schema: &Value, text: &str) -> Option<String> {
    let known = words(schema, "enum");
    if !known.is_empty() && !known.contains(&text) {
        return Some(format!("cannot be {:?}: write {}", shortened(text), known.join(", ")));
    }
    let length = text.chars().count();
    if let Some(most) = limit(schema, "maxLength").filter(|most| length > *most) {
        return Some(format!("is longer than {most} characters: write a shorter one"));
    }
    let least = limit(schema, "minLength").filter(|least| length < *least);
    least.map(|_| "is empty: write something, or leave the field out".to_owned())
}

fn out_of_range(schema: &Value, number: i64) -> Option<String> {
    let least = schema.get("minimum").and_then(Value::as_i64);
    let most = schema.get("maximum").and_then(Value::as_i64);
    let outside = least.is_some_and(|least| number < least) || most.is_some_and(|most| number > most);
    outside.then(|| match (least, most) {
        (Some(least), Some(most)) => format!("cannot be {number}: write {least} to {most}"),
        (Some(least), None) => format!("cannot be {number}: write at least {least}"),
        (None, most) => format!("cannot be {number}: write at most {}", most.unwrap_or(i64::MAX)),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_bound_of_a_schema_is_held() {
        let schema = json!({
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": { "type": "string", "minLength": 1, "maxLength": 5 },
                "color": { "type": "string", "enum": ["red", "blue"] },
                "count": { "type": "integer", "minimum": 1, "maximum": 9 },
                "tags": { "type": "array", "maxItems": 2, "x-kubernetes-list-type": "set", "items": { "type": "string", "maxLength": 3 } },
                "env": { "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": { "type": "object" } },
                "labels": { "type": "object", "maxProperties": 1, "additionalProperties": { "type": "string", "maxLength": 2 } },
            },
        });
        for (value, path, says) in [
            (json!({}), "spec.name", "is missing"),
            (json!({ "name": "" }), "spec.name", "is empty"),
            (json!({ "name": "sixsix" }), "spec.name", "longer than 5"),
            (json!({ "name": "a", "color": "green" }), "spec.color", "\"green\": write red, blue"),
            (json!({ "name": "a", "count": 10 }), "spec.count", "cannot be 10: write 1 to 9"),
            (json!({ "name": "a", "tags": ["a", "b", "c"] }), "spec.tags", "at most 2"),
            (json!({ "name": "a", "tags": ["a", "a"] }), "spec.tags", "write each once"),
            (json!({ "name": "a", "tags": ["long"] }), "spec.tags[0]", "longer than 3"),
            (
                json!({ "name": "a", "env": [{ "name": "x" }, { "name": "x", "value": "1" }] }),
                "spec.env",
                "write each once",
            ),
            (json!({ "name": "a", "labels": { "k": "v", "l": "w" } }), "spec.labels", "at most 1"),
            (json!({ "name": "a", "labels": { "k": "long" } }), "spec.labels.k", "longer than 2"),
        ] {
            let problems = bounds(&schema, &value, "spec");
            assert!(
                problems.len() == 1 && problems[0].path == path && problems[0].message.contains(says),
                "{value}: {problems:?}"
            );
        }
        assert_eq!(bounds(&schema, &json!({ "name": "a", "newer": [1, 2] }), "spec"), []);
    }
}
