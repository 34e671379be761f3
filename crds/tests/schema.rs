//! The whole schema of each kind, node by node: it explains, it is bounded, and the API server has nothing to warn about.

use crds::definition;
use serde_json::{Map, Value, json};

/// Everything below a schema, itself included.
fn walk(value: &Value, path: &str, visit: &mut dyn FnMut(&str, &Map<String, Value>)) {
    let Value::Object(node) = value else { return };
    visit(path, node);
    for (name, child) in node.get("properties").and_then(Value::as_object).into_iter().flatten() {
        walk(child, &format!("{path}.{name}"), visit);
    }
    for (below, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
        if let Some(child) = node.get(below) {
            walk(child, &format!("{path}{mark}"), visit);
        }
    }
}

fn each_node(visit: &mut dyn FnMut(&str, &Map<String, Value>)) -> usize {
    let mut nodes = 0;
    for definition in definition::all() {
        for part in ["spec", "status"] {
            walk(definition.part(part), &format!("{}.{part}", definition.plural), &mut |path, node| {
                nodes += 1;
                visit(path, node);
            });
        }
    }
    nodes
}

#[test]
fn every_field_is_explained_in_a_sentence() {
    let seen = each_node(&mut |path, node| {
        if path.ends_with("{}") {
            return;
        }
        let text = node.get("description").and_then(Value::as_str).unwrap_or_default();
        let bare = path.ends_with("[]") && node.get("type") == Some(&json!("string"));
        assert!(!text.is_empty() || bare, "{path} has no description");
        assert!(text.len() <= 400 && (bare || text.ends_with('.')), "{path}: {text}");
    });
    assert!(seen > 300, "the walk saw the whole trees ({seen})");
}

#[test]
fn every_text_list_and_map_is_bounded_and_every_list_says_how_it_merges() {
    each_node(&mut |path, node| {
        let format = node.get("format").and_then(Value::as_str).unwrap_or_default();
        let has = |word: &str| node.contains_key(word);
        match node.get("type").and_then(Value::as_str) {
            Some("string") => {
                assert!(has("maxLength") || has("enum") || format == "date-time", "{path} is unbounded text");
            }
            Some("array") => {
                assert!(has("maxItems"), "{path} is an unbounded list");
                assert!(has("x-kubernetes-list-type"), "{path} has no list type");
                if node["x-kubernetes-list-type"] == "map" {
                    assert!(has("x-kubernetes-list-map-keys"), "{path} is a map without keys");
                }
            }
            Some("object") => {
                assert!(has("properties") || has("maxProperties"), "{path} is an unbounded map");
            }
            Some(_) => {}
            None => assert!(has("x-kubernetes-int-or-string") && has("maxLength"), "{path} has no type"),
        }
    });
}

#[test]
fn nothing_in_a_schema_is_warned_about_frozen_or_nullable() {
    each_node(&mut |path, node| {
        let format = node.get("format").and_then(Value::as_str).unwrap_or_default();
        assert!(
            ["", "int32", "int64", "double", "date-time"].contains(&format),
            "{path} has format {format}"
        );
        for word in ["default", "nullable", "title", "$ref", "oneOf", "allOf", "anyOf"] {
            assert!(!node.contains_key(word), "{path} has {word}");
        }
        for bound in ["minimum", "maximum"] {
            assert!(node.get(bound).is_none_or(Value::is_i64), "{path} has {bound} {}", node[bound]);
        }
    });
}

/// Conditions have several writers.
#[test]
fn conditions_are_a_map_by_type() {
    for definition in definition::all() {
        let conditions = &definition.part("status")["properties"]["conditions"];
        assert_eq!(conditions["x-kubernetes-list-type"], "map", "{}", definition.plural);
        assert_eq!(conditions["x-kubernetes-list-map-keys"], json!(["type"]), "{}", definition.plural);
    }
    let peer = definition::PEER.part("status");
    assert_eq!(peer["properties"]["reflectors"]["x-kubernetes-list-map-keys"], json!(["name"]));
}

#[test]
fn rules_say_what_to_write_instead() {
    let mut rules = 0;
    let mut judge = |path: &str, node: &Map<String, Value>| {
        for rule in node.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten() {
            rules += 1;
            let message = rule["message"].as_str().unwrap_or_default();
            assert!(message.len() <= 300 && !message.contains('\n'), "{path}: {message}");
            let says = ["write", "put it back", "remove", "move", "leave", "copy", "set "];
            assert!(says.iter().any(|word| message.contains(word)), "{path}: {message}");
        }
    };
    each_node(&mut judge);
    for definition in definition::all() {
        let root = &definition.object["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        judge(definition.plural, root.as_object().unwrap());
    }
    assert!(rules > 50, "the walk saw {rules} rules");
}

#[test]
fn names_columns_and_selectable_fields_are_as_documented() {
    for (definition, short, columns) in [
        (
            &*definition::REFLECTOR,
            "rfl",
            "Ready Reason Endpoint-ID Full-Endpoint-ID Address Node Peers Active Age",
        ),
        (
            &*definition::PEER,
            "rpeer",
            "Reflector Ready Reason Endpoint-ID Tests Bytes Remaining Last-Seen Age",
        ),
        (&*definition::FLEET, "rfleet", "Ready Reason Desired Serving Updated Unavailable Age"),
    ] {
        let spec = &definition.object["spec"];
        assert_eq!(spec["names"]["shortNames"], json!([short]));
        assert_eq!(spec["names"]["categories"], json!(["packetparamedic"]));
        assert_eq!(spec["names"]["plural"], definition.plural);
        assert_eq!(spec["scope"], "Namespaced");
        let version = &spec["versions"][0];
        assert_eq!(version["name"], "v1alpha1");
        assert_eq!(version["subresources"]["status"], json!({}));
        let names: Vec<_> = version["additionalPrinterColumns"].as_array().unwrap().iter().collect();
        let names: Vec<_> = names.iter().filter_map(|column| column["name"].as_str()).collect();
        assert_eq!(names.join(" "), columns);
    }
    let selectable = &definition::PEER.object["spec"]["versions"][0]["selectableFields"];
    assert_eq!(
        *selectable,
        json!([{ "jsonPath": ".spec.reflectorRef.name" }, { "jsonPath": ".spec.reflectorRef.kind" }])
    );
}
