//! What Kubernetes says about the pod: the Deployment, the scheduler, the kubelet.

use crds::reasons::{ReflectorReason as Reason, cut};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::ResourceExt as _;

use super::conditions::Said;
use crate::reflectors::fetch::Found;
use crate::reflectors::neighbours::Neighbour;

/// Of a crashed container's last words: a line, and nothing a stranger could fill a status with.
const MAX_LAST_WORDS: usize = 200;
/// What kubelet says when an image cannot be had.
const PULL: [&str; 5] =
    ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"];

/// Whether the pod has a node.
pub(super) fn scheduled(found: &Found) -> Said {
    let Some(pod) = found.pods.first() else { return without_pod(found) };
    let status = pod.status.clone().unwrap_or_default();
    // The kubelet may refuse what the scheduler allowed: something outside Kubernetes came in between.
    if status.phase.as_deref() == Some("Failed") && status.reason.as_deref() == Some("NodePorts") {
        return Said::not(Reason::HostPortTaken, status.message.unwrap_or_default());
    }
    if let Some(node) = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) {
        return Said::yes(Reason::PodScheduled, format!("node {node}"));
    }
    let conditions = status.conditions.unwrap_or_default();
    let refused = conditions.iter().find(|one| one.type_ == "PodScheduled" && one.status == "False");
    match refused {
        None => Said::unknown(Reason::Starting, "the scheduler has not looked at the pod yet"),
        Some(refused) => {
            let words = refused.message.clone().unwrap_or_default();
            if words.contains("free ports") {
                Said::not(Reason::HostPortTaken, with_owners(found, &words))
            } else {
                Said::not(Reason::Unschedulable, words)
            }
        }
    }
}

/// The scheduler's words, and who of ours has such a port; whoever else it is, it does not say.
fn with_owners(found: &Found, words: &str) -> String {
    let Some(me) = Neighbour::of(&found.reflector) else { return words.to_owned() };
    let owners: Vec<String> = me.sharing(&found.neighbours).map(Neighbour::full_name).collect();
    if owners.is_empty() {
        return words.to_owned();
    }
    format!("{words} Reflectors with such a port: {}", owners.join(", "))
}

fn without_pod(found: &Found) -> Said {
    let conditions =
        found.children.deployment.as_ref().and_then(|all| all.status.as_ref()?.conditions.clone());
    let refused =
        conditions.into_iter().flatten().find(|one| one.type_ == "ReplicaFailure" && one.status == "True");
    match refused.and_then(|refused| refused.message) {
        None => Said::unknown(Reason::Starting, "there is no pod yet"),
        Some(words) if words.contains("violates PodSecurity") => {
            let namespace = found.reflector.namespace().unwrap_or_default();
            Said::not(Reason::PodSecurityRefused, format!("namespace {namespace}: {words}"))
        }
        // A quota, an admission policy, a missing PriorityClass: the server says which.
        Some(words) => Said::not(Reason::ApplyFailed, words),
    }
}

/// What keeps a scheduled pod from running; none, when its container runs.
pub(super) fn trouble(found: &Found) -> Option<Said> {
    let Some(pod) = found.pods.first() else {
        return Some(Said::not(Reason::Starting, "there is no pod yet"));
    };
    if pod.metadata.deletion_timestamp.is_some() {
        return Some(Said::not(Reason::Draining, "running tests end before the pod is replaced"));
    }
    let Some(container) = container(pod) else {
        return Some(Said::not(Reason::Starting, "its container is not made yet"));
    };
    let state = container.state.clone().unwrap_or_default();
    if let Some(waiting) = state.waiting {
        let reason = waiting.reason.unwrap_or_default();
        let words = waiting.message.unwrap_or_default();
        if PULL.contains(&reason.as_str()) {
            // While it backs off kubelet puts its own words before those that help: both are one state.
            let words = words.rsplit("ErrImagePull: ").next().unwrap_or_default();
            return Some(Said::not(Reason::ImagePullFailed, format!("{}: {words}", container.image)));
        }
        if container.restart_count == 0 && reason != "CrashLoopBackOff" {
            return Some(Said::not(Reason::Starting, format!("{reason} {words}").trim()));
        }
        return Some(crashing(container));
    }
    // Between two crashes it runs for a moment; that is no news until it is ready.
    let restarted = container.restart_count > 0 && !container.ready;
    if state.terminated.is_some() || restarted {
        return Some(crashing(container));
    }
    None
}

/// Without the number of restarts: each would be a write.
fn crashing(container: &ContainerStatus) -> Said {
    let states = [container.state.clone(), container.last_state.clone()];
    let Some(last) = states.into_iter().flatten().find_map(|state| state.terminated) else {
        return Said::not(Reason::CrashLooping, "");
    };
    let words = last.message.unwrap_or_default();
    let words = words.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no words");
    let why = last.reason.filter(|reason| reason != "Error").map(|reason| format!(" ({reason})"));
    let (code, why, words) = (last.exit_code, why.unwrap_or_default(), cut(words, MAX_LAST_WORDS));
    Said::not(Reason::CrashLooping, format!("exit code {code}{why}: {words}"))
}

fn container(pod: &Pod) -> Option<&ContainerStatus> {
    pod.status.as_ref()?.container_statuses.as_ref()?.first()
}

/// Why a pod whose own words are good cannot be believed; none, when it can. What a container says is the last word of its
/// kubelet: when that is silent, as with a node that lost its power, only the pod's condition is changed.
pub(super) fn doubt(pod: &Pod) -> Option<String> {
    if !container(pod).is_some_and(|container| container.ready) {
        return Some("its own words are good, and its readiness probe fails".to_owned());
    }
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let lost = conditions.into_iter().flatten().any(|one| one.type_ == "Ready" && one.status != "True");
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or("its node");
    lost.then(|| format!("its own words are good, and {node} has not been heard of since"))
}
