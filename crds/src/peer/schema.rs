//! Schemas the derive cannot write: closed sets that are read openly, list types, and borrowed Kubernetes types with
//! descriptions short enough to keep the CRD small.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::spec::{ReflectorKind, TestType};

impl JsonSchema for ReflectorKind {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ReflectorKind".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": ["Reflector", "ReflectorFleet"] })
    }
}

impl JsonSchema for TestType {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "TestType".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": ["Throughput", "UdpEcho"] })
    }
}

pub(super) fn endpoint_id(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "maxLength": 69, "minLength": 55 })
}

pub(super) fn expires_at(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time", "maxLength": 64 })
}

pub(super) fn allowed_tests(generator: &mut SchemaGenerator) -> Schema {
    let item = TestType::json_schema(generator);
    json_schema!({
        "type": "array",
        "items": item,
        "minItems": 1,
        "maxItems": 2,
        "x-kubernetes-list-type": "set",
    })
}

pub(super) fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time" })
}

pub(super) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": { "description": "What the condition is about.", "type": "string", "maxLength": 316 },
                "status": { "description": "True, False or Unknown.", "type": "string", "enum": ["True", "False", "Unknown"] },
                "observedGeneration": { "description": "The metadata.generation the condition was written for.", "type": "integer", "format": "int64", "minimum": 0 },
                "lastTransitionTime": { "description": "When status last changed.", "type": "string", "format": "date-time" },
                "reason": { "description": "A stable name for why; each is explained in the reference.", "type": "string", "maxLength": 1024, "minLength": 1, "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$" },
                "message": { "description": "The same for people, with what to do.", "type": "string", "maxLength": 32768 }
            }
        }
    })
}
