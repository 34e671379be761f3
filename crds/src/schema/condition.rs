//! Conditions: a list with one entry per type, so that an operator and a pod can each own theirs.

use schemars::{Schema, SchemaGenerator, json_schema};

/// The conditions of any kind.
pub(crate) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "description": "One condition.",
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
