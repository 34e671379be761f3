//! What the pod says about itself. Its words count only while they are the running pod's.

use crds::reasons::ReflectorReason as Reason;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;

use super::conditions::Said;
use super::pod::doubt;
use crate::reflectors::fetch::Found;
use crate::reflectors::validate::Plan;

/// The last questions: policy loaded, listener accepting, and can it be believed?
pub(super) fn said(found: &Found, plan: &Plan) -> Said {
    let Some(pod) = found.pods.first() else { return Said::not(Reason::Starting, "there is no pod yet") };
    // The old pod, still there for a moment, has loaded the newest policy too.
    if found.children.deployment.as_deref().is_some_and(is_replacing) {
        return Said::not(Reason::Starting, "its pod is being replaced");
    }
    let status = found.reflector.status.clone().unwrap_or_default();
    if status.pod_uid.is_none() || status.pod_uid != pod.uid() {
        return Said::not(Reason::Starting, "the pod has not reported yet");
    }
    for type_ in ["PolicyCurrent", "Accepting"] {
        match status.conditions.iter().find(|condition| condition.type_ == type_) {
            Some(condition) if condition.status == "True" => {}
            Some(condition) => return passed_on(condition),
            None => return Said::not(Reason::Starting, format!("the pod has not reported {type_} yet")),
        }
    }
    if status.policy_generation != found.reflector.metadata.generation {
        let loaded = status.policy_generation.unwrap_or_default();
        return Said::not(Reason::Loading, format!("the pod has generation {loaded}"));
    }
    if let Some(why) = doubt(pod) {
        return Said::not(Reason::PodCutOff, why);
    }
    Said::yes(Reason::Serving, format!("port {}", plan.network.port))
}

/// Whether the pod of its newest description is still to come.
fn is_replacing(deployment: &Deployment) -> bool {
    let status = deployment.status.clone().unwrap_or_default();
    status.observed_generation < deployment.metadata.generation || status.updated_replicas.unwrap_or(0) < 1
}

/// What a message says besides what its reason always says: that is said again around it.
fn details(reason: Reason, message: &str) -> &str {
    let message = message.strip_prefix(reason.explanation()).unwrap_or(message).trim();
    message.strip_suffix(reason.remedy()).unwrap_or(message).trim()
}

/// In the pod's own words, when we know them.
fn passed_on(condition: &Condition) -> Said {
    match condition.reason.parse() {
        Ok(reason) => Said::not(reason, details(reason, &condition.message)),
        Err(()) => Said::not(
            Reason::Starting,
            format!(
                "{} is {}: {} {}",
                condition.type_, condition.status, condition.reason, condition.message
            ),
        ),
    }
}
