//! A Reflector this release cannot read: said in its status, by name, and left alone.

use crds::reasons::ReflectorReason as Reason;
use crds::reflector::Reflector;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::Api;
use kube::api::{ApiResource, DynamicObject};
use kube::core::error_boundary::InvalidObject;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Context, Error};
use crate::clock;
use crate::metrics::{Kind, Outcome};
use crate::writing::cut;

/// Longest words of a parser in a condition: they may quote what was typed.
const MAX_WORDS: usize = 300;
/// kube tries again for minutes.
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(10);

/// Writes it once: what is said already is not said again.
pub(super) async fn say(invalid: &InvalidObject, context: &Context) -> Result<Outcome, Error> {
    let metadata = &invalid.metadata;
    let (namespace, name) =
        (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default());
    let kind = ApiResource::erase::<Reflector>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(context.client.clone(), &namespace, &kind);
    let there = match timeout(DEADLINE, api.get_opt(&name)).await {
        Ok(Ok(Some(there))) => there,
        Ok(Ok(None)) | Err(_) => return Ok(Outcome::Invalid),
        Ok(Err(error)) => return Err(Error::Undecodable(Box::new(error))),
    };
    let message = cut(&format!("It cannot be read by this release: {}", invalid.error), MAX_WORDS);
    let reason = Reason::InvalidSpec.as_str();
    if says(&there.data, reason, &message) {
        return Ok(Outcome::Invalid);
    }
    let condition = |type_: &str, status: &str| Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: message.clone(),
        observed_generation: metadata.generation,
        last_transition_time: Time(clock::now().wall),
    };
    let status = json!({
        "observedGeneration": metadata.generation,
        "conditions": [condition("Ready", "False"), condition("Stalled", "True")],
    });
    context.writer.apply_raw_status(Kind::Reflector, &api, &there, &status).await?;
    Ok(Outcome::Invalid)
}

fn says(object: &Value, reason: &str, message: &str) -> bool {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    let ready = conditions.into_iter().flatten().find(|condition| condition["type"] == "Ready");
    ready.is_some_and(|ready| ready["reason"] == reason && ready["message"] == message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_already_is_not_said_again() {
        let object = json!({ "status": { "conditions": [
            { "type": "Stalled", "reason": "other", "message": "other" },
            { "type": "Ready", "reason": "InvalidSpec", "message": "m" },
        ] } });
        assert!(says(&object, "InvalidSpec", "m"));
        assert!(!says(&object, "InvalidSpec", "n"));
        assert!(!says(&json!({}), "InvalidSpec", "m"));
    }
}
