//! The JSON Schema of a result, made from the types.

use schemars::generate::SchemaSettings;

use super::TestResult;

/// JSON Schema (2020-12) of `reflector.test/1`, as the reference has it.
pub fn json_schema() -> serde_json::Value {
    // Of what we write: a key that is always written is required, whatever we forgive when reading.
    let schema =
        SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<TestResult>();
    schema.to_value()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::Value;

    use super::*;
    use crate::client::result::samples;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "asks whether the reference is to be written")]
    fn the_schema_in_the_reference_is_the_one_of_the_types() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/test-result.schema.json");
        let actual = serde_json::to_string_pretty(&json_schema()).unwrap() + "\n";
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &actual).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            actual == expected,
            "the format changed; if it only gained keys: UPDATE_GOLDEN=1 cargo test -p reflector --lib client::result"
        );
    }

    #[test]
    fn every_sample_is_valid() {
        let schema = json_schema();
        for (name, sample) in samples::all() {
            let text = sample.to_json().unwrap();
            check(&schema, &schema, &serde_json::from_str(&text).unwrap(), name).unwrap();
            assert_eq!(TestResult::from_json(&text).unwrap(), sample, "{name}");
        }
    }

    /// The checker itself would see these.
    #[test]
    fn a_broken_result_is_not_valid() {
        let schema = json_schema();
        let good = serde_json::to_value(samples::complete()).unwrap();
        let breaks: [(&str, Value); 6] = [
            ("/schema", "reflector.test/2".into()),
            ("/phases/0/bytes", (-1).into()),
            ("/phases/0/mbps", "fast".into()),
            ("/phases/0/limit/by", "gremlins".into()),
            ("/phases/0/streams/0/id", Value::Null),
            ("/warnings", Value::Null),
        ];
        for (at, value) in breaks {
            let mut broken = good.clone();
            *broken.pointer_mut(at).unwrap() = value;
            assert!(check(&schema, &schema, &broken, "").is_err(), "{at}");
        }
        let mut short = good;
        short.as_object_mut().unwrap().shift_remove("usage");
        assert!(check(&schema, &schema, &short, "").is_err());
    }

    #[test]
    fn another_format_is_refused_and_a_key_that_was_gained_is_not() {
        let mut value = serde_json::to_value(samples::complete()).unwrap();
        value["gained"] = 5.into();
        TestResult::from_json(&value.to_string()).unwrap();
        value["schema"] = "reflector.test/2".into();
        let refused = TestResult::from_json(&value.to_string()).unwrap_err().to_string();
        assert!(refused.contains("reflector.test/2"), "{refused}");
    }

    /// Order is part of the format: people read it, and diff it.
    #[test]
    fn keys_keep_the_order_of_the_specification() {
        let value = serde_json::to_value(samples::complete()).unwrap();
        let keys = |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
        assert_eq!(
            keys(&value).join(", "),
            "schema, version, started_at, local, reflector, phases, responsiveness, tunnel_tax, usage, not_measured, warnings"
        );
        let phase = keys(&value["phases"][0]).into_iter().filter(|key| key != "transport" && key != "udp");
        assert_eq!(
            phase.collect::<Vec<_>>().join(", "),
            "name, mode, test_id, end_reason, duration_s, bytes, mbps, steady_mbps, streams, intervals, echo_idle, echo_loaded, cpu, limit"
        );
        let stream = keys(&value["phases"][0]["streams"][0]);
        assert_eq!(stream[..7].join(", "), "id, bytes, mbps, retransmits, rtt_us, min_rtt_us, cwnd_bytes");
        assert_eq!(keys(&value["phases"][0]["limit"]).join(", "), "by, cause, also, evidence");
    }

    /// Checks the part of JSON Schema that our types use. A keyword it does not know is an error, not a pass.
    fn check(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let Some(rules) = schema.as_object() else {
            return if schema == &Value::Bool(true) { Ok(()) } else { Err(format!("{at}: never valid")) };
        };
        let fail = |why: String| Err(format!("{at}: {why}"));
        for (keyword, rule) in rules {
            match keyword.as_str() {
                "$schema" | "$defs" | "title" | "description" | "default" | "format" => {}
                "$ref" => {
                    let pointer = rule.as_str().unwrap().strip_prefix('#').unwrap();
                    check(root, root.pointer(pointer).unwrap(), value, at)?;
                }
                "type" => {
                    let names: Vec<&str> = match rule {
                        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
                        name => vec![name.as_str().unwrap()],
                    };
                    if !names.iter().any(|name| is(value, name)) {
                        return fail(format!("{value} is no {names:?}"));
                    }
                }
                "const" => {
                    if value != rule {
                        return fail(format!("{value} is not {rule}"));
                    }
                }
                "enum" => {
                    if !rule.as_array().unwrap().contains(value) {
                        return fail(format!("{value} is none of {rule}"));
                    }
                }
                "minimum" => {
                    if value.as_f64().is_some_and(|number| number < rule.as_f64().unwrap()) {
                        return fail(format!("{value} is below {rule}"));
                    }
                }
                "maximum" => {
                    if value.as_f64().is_some_and(|number| number > rule.as_f64().unwrap()) {
                        return fail(format!("{value} is above {rule}"));
                    }
                }
                "required" => {
                    for key in rule.as_array().unwrap() {
                        if value.get(key.as_str().unwrap()).is_none() {
                            return fail(format!("{key} is missing"));
                        }
                    }
                }
                "properties" => {
                    for (key, inner) in rule.as_object().unwrap() {
                        if let Some(found) = value.get(key) {
                            check(root, inner, found, &format!("{at}/{key}"))?;
                        }
                    }
                }
                "items" => {
                    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                        check(root, rule, item, &format!("{at}/{index}"))?;
                    }
                }
                "anyOf" | "oneOf" => {
                    let fits = |one: &Value| check(root, one, value, at).is_ok();
                    if !rule.as_array().unwrap().iter().any(fits) {
                        return fail(format!("{value} fits none of {rule}"));
                    }
                }
                other => return fail(format!("the schema uses {other}, which this test does not know")),
            }
        }
        Ok(())
    }

    fn is(value: &Value, name: &str) -> bool {
        match name {
            "null" => value.is_null(),
            "boolean" => value.is_boolean(),
            "string" => value.is_string(),
            "number" => value.is_number(),
            "integer" => value.is_i64() || value.is_u64(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            _ => false,
        }
    }
}
