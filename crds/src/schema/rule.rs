//! CEL rules as they stand in a schema.

use serde_json::{Value, json};

/// Rules with what to write instead. They go into `x-kubernetes-validations`.
pub(crate) fn rules<R: AsRef<str>, M: AsRef<str>>(rules: &[(R, M)]) -> Value {
    rules
        .iter()
        .map(|(rule, message)| json!({ "rule": rule.as_ref(), "message": message.as_ref() }))
        .collect()
}
