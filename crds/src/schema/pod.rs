//! Borrowed Kubernetes types, bounded, with short descriptions: upstream's are 20 times as long.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::rule;

/// Labels the operator sets on what it makes, and selects by.
pub(crate) const OUR_LABELS: [&str; 8] = [
    "app.kubernetes.io/name",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/version",
    "app.kubernetes.io/component",
    "app.kubernetes.io/part-of",
    "app.kubernetes.io/managed-by",
    "packetparamedic.io/reflector",
    "packetparamedic.io/fleet",
];
/// Most labels, annotations or selector terms a person writes in one place.
const MAX_ENTRIES: u32 = 32;

/// `key: value`, as a label or a node selector has it.
pub(crate) fn labels(_: &mut SchemaGenerator) -> Schema {
    Schema::try_from(text_map(63)).unwrap_or_default()
}

/// `key: value`, as an annotation has it.
pub(crate) fn annotations(_: &mut SchemaGenerator) -> Schema {
    Schema::try_from(text_map(4096)).unwrap_or_default()
}

/// Labels that are merged into a pod.
pub(crate) fn pod_labels(_: &mut SchemaGenerator) -> Schema {
    let mut map = text_map(63);
    let ours: Vec<String> = OUR_LABELS.iter().map(|label| format!("'{label}'")).collect();
    map["x-kubernetes-validations"] = rule::rules(&[(
        format!("![{}].exists(label, label in self)", ours.join(", ")),
        format!("the operator sets {} itself: leave them out", OUR_LABELS.join(", ")),
    )]);
    Schema::try_from(map).unwrap_or_default()
}

/// The name of an environment variable.
pub(crate) fn variable_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": 128,
        "x-kubernetes-validations": rule::rules(&[(
            "!self.startsWith('REFLECTOR__')",
            "cannot begin with REFLECTOR__: set the field of the Reflector instead",
        )]),
    })
}

/// An image's digest.
pub(crate) fn digest(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 71,
        "x-kubernetes-validations": rule::rules(&[(
            "self.matches('^sha256:[0-9a-f]{64}$')",
            "is not a digest: write sha256: and 64 hexadecimal digits in lower case",
        )]),
    })
}

/// Requests or limits.
pub(crate) fn resources(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 8,
        "additionalProperties": {
            "x-kubernetes-int-or-string": true,
            "maxLength": 32,
            "pattern": "^[0-9]+([.][0-9]+)?(m|[kMGTPE]|[KMGTPE]i)?$",
        },
    })
}

/// Tolerations.
pub(crate) fn tolerations(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "atomic",
        "items": {
            "description": "Tolerates taints that match key, value and effect.",
            "type": "object",
            "properties": {
                "key": text("The taint's key. Empty with operator Exists matches every taint.", 317),
                "operator": { "description": "Equal (the default) or Exists.", "type": "string", "enum": ["Equal", "Exists"] },
                "value": text("The taint's value, with operator Equal.", 63),
                "effect": { "description": "NoSchedule, PreferNoSchedule or NoExecute; left out, every effect.", "type": "string", "enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"] },
                "tolerationSeconds": { "description": "How long a NoExecute taint is tolerated, seconds; left out, for ever.", "type": "integer", "format": "int64" },
            },
        },
    })
}

/// Affinity to nodes and to other pods.
pub(crate) fn affinity(_: &mut SchemaGenerator) -> Schema {
    let required = json!({
        "description": "Node must match one of these terms.",
        "type": "object",
        "required": ["nodeSelectorTerms"],
        "properties": { "nodeSelectorTerms": list("One of these must match.", &node_term()) },
    });
    let preferred = list(
        "Nodes that match are preferred by weight.",
        &json!({
            "description": "A preference.",
            "type": "object",
            "required": ["preference", "weight"],
            "properties": { "preference": node_term(), "weight": weight() },
        }),
    );
    json_schema!({
        "type": "object",
        "properties": {
            "nodeAffinity": {
                "description": "Which nodes.",
                "type": "object",
                "properties": {
                    "requiredDuringSchedulingIgnoredDuringExecution": required,
                    "preferredDuringSchedulingIgnoredDuringExecution": preferred,
                },
            },
            "podAffinity": pods("Near which pods."),
            "podAntiAffinity": pods("Away from which pods."),
        },
    })
}

fn node_term() -> Value {
    let requirements = |description: &str| list(description, &requirement());
    json!({
        "description": "Conditions that must all hold.",
        "type": "object",
        "properties": {
            "matchExpressions": requirements("By the node's labels."),
            "matchFields": requirements("By the node's fields."),
        },
    })
}

fn pods(description: &str) -> Value {
    let term = json!({
        "description": "Pods, and the label that says what counts as one place.",
        "type": "object",
        "required": ["topologyKey"],
        "properties": {
            "topologyKey": text("Node label whose value is the place, such as kubernetes.io/hostname.", 317),
            "labelSelector": label_selector("Which pods."),
            "namespaceSelector": label_selector("In which namespaces; left out, this one."),
            "namespaces": list("In these namespaces.", &text("A namespace.", 63)),
        },
    });
    let preferred = json!({
        "description": "A preference.",
        "type": "object",
        "required": ["podAffinityTerm", "weight"],
        "properties": { "podAffinityTerm": &term, "weight": weight() },
    });
    json!({
        "description": description,
        "type": "object",
        "properties": {
            "requiredDuringSchedulingIgnoredDuringExecution": list("All of these must hold.", &term),
            "preferredDuringSchedulingIgnoredDuringExecution": list("Places that match are preferred by weight.", &preferred),
        },
    })
}

fn label_selector(description: &str) -> Value {
    let mut matched = text_map(63);
    matched["description"] = "Labels and their values; all must match.".into();
    json!({
        "description": description,
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "properties": { "matchLabels": matched, "matchExpressions": list("By labels.", &requirement()) },
    })
}

fn requirement() -> Value {
    json!({
        "description": "One condition.",
        "type": "object",
        "required": ["key", "operator"],
        "properties": {
            "key": text("The label's key.", 317),
            "operator": { "description": "In, NotIn, Exists, DoesNotExist, Gt or Lt.", "type": "string", "enum": ["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"] },
            "values": list("What it is compared with.", &text("A value.", 63)),
        },
    })
}

fn weight() -> Value {
    json!({ "description": "1 to 100.", "type": "integer", "format": "int32", "minimum": 1, "maximum": 100 })
}

fn list(description: &str, items: &Value) -> Value {
    json!({
        "description": description,
        "type": "array",
        "maxItems": MAX_ENTRIES,
        "x-kubernetes-list-type": "atomic",
        "items": items,
    })
}

fn text(description: &str, longest: u32) -> Value {
    json!({ "description": description, "type": "string", "maxLength": longest })
}

fn text_map(longest: u32) -> Value {
    json!({
        "type": "object",
        "maxProperties": MAX_ENTRIES,
        "additionalProperties": { "type": "string", "maxLength": longest },
    })
}
