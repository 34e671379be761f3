//! From what Kubernetes and the pod say to the reason a person reads.

use std::sync::Arc;

use crds::reflector::ReflectorStatus;
use k8s_openapi::api::core::v1::{Node, PersistentVolumeClaim, Pod, Service};

use super::*;
use crate::reflectors::testing::{at, found, reflector, settings, yaml};
use crate::reflectors::validate;

fn plan(found: &Found) -> Plan {
    validate::plan(&found.reflector, &settings()).unwrap()
}

fn applied(found: &Found) -> OurStatus {
    status(found, &Progress::Applied(&plan(found)), at(100))
}

fn ready(found: &Found) -> (String, String, String) {
    let status = applied(found);
    let ready = status.ready().unwrap().clone();
    (ready.status, ready.reason, ready.message)
}

fn bound() -> Arc<PersistentVolumeClaim> {
    claim("Bound", "2026-01-02T00:00:01Z")
}

fn claim(phase: &str, created: &str) -> Arc<PersistentVolumeClaim> {
    Arc::new(yaml(&format!(
        "{{ metadata: {{ name: rfl-attic-identity, creationTimestamp: '{created}' }}, status: {{ phase: {phase} }} }}"
    )))
}

fn pod(status: &str) -> Arc<Pod> {
    Arc::new(yaml(&format!(
        "{{ metadata: {{ name: p, uid: uid-pod }}, spec: {{ nodeName: pi, containers: [] }}, status: {status} }}"
    )))
}

/// With a bound claim and this pod.
fn with_pod(pod: Arc<Pod>) -> Found {
    let mut found = found(reflector("{}"));
    found.claim = Some(bound());
    found.children.claim = Some(bound());
    found.pods = vec![pod];
    found
}

/// A container's status.
fn container(state: &str) -> Arc<Pod> {
    pod(&format!(
        "{{ phase: Running, containerStatuses: [{{ name: reflector, image: i, imageID: '', ready: false, {state} }}] }}"
    ))
}

const RUNNING: &str = "restartCount: 0, state: { running: {} }";

fn waiting(words: &str) -> Found {
    let mut found = with_pod(pod("{ phase: Pending }"));
    let mut waits = (*found.pods[0]).clone();
    waits.spec.as_mut().unwrap().node_name = None;
    waits.status = Some(yaml(&format!(
        "{{ phase: Pending, conditions: [{{ type: PodScheduled, status: 'False', reason: Unschedulable, message: \"{words}\" }}] }}"
    )));
    found.pods = vec![Arc::new(waits)];
    found
}

#[test]
fn each_trouble_has_its_reason_and_the_words_that_help() {
    let table = [
        (
            waiting("0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector."),
            "Unschedulable",
            "didn't match",
        ),
        (
            waiting("0/2 nodes are available: 2 node(s) didn't have free ports for the requested pod ports."),
            "HostPortTaken",
            "free ports",
        ),
        (
            with_pod(pod("{ phase: Failed, reason: NodePorts, message: Node ports are taken }")),
            "HostPortTaken",
            "Node ports",
        ),
        (with_pod(pod("{ phase: Pending }")), "Starting", "not made yet"),
        (
            with_pod(container("restartCount: 0, state: { waiting: { reason: ContainerCreating } }")),
            "Starting",
            "ContainerCreating",
        ),
        (
            with_pod(container(
                "restartCount: 0, state: { waiting: { reason: ImagePullBackOff, message: no such host } }",
            )),
            "ImagePullFailed",
            "i: no such host",
        ),
        (
            with_pod(container(
                "restartCount: 0, state: { waiting: { reason: ErrImageNeverPull, message: not present } }",
            )),
            "ImagePullFailed",
            "not present",
        ),
        (
            with_pod(container(
                "restartCount: 4, state: { waiting: { reason: CrashLoopBackOff } }, lastState: { terminated: { exitCode: 1, reason: Error, message: \"first\\nkey has mode 0644\\n\" } }",
            )),
            "CrashLooping",
            "exit code 1: key has mode 0644",
        ),
        (
            with_pod(container(
                "restartCount: 1, state: { terminated: { exitCode: 137, reason: OOMKilled } }",
            )),
            "CrashLooping",
            "exit code 137 (OOMKilled)",
        ),
        (
            with_pod(container(
                "restartCount: 2, state: { running: {} }, lastState: { terminated: { exitCode: 1, message: again } }",
            )),
            "CrashLooping",
            "exit code 1: again",
        ),
        (with_pod(container(RUNNING)), "Starting", "not reported yet"),
    ];
    for (found, reason, words) in table {
        let (status, said, message) = ready(&found);
        assert_eq!((status.as_str(), said.as_str()), ("False", reason), "{message}");
        assert!(message.contains(words), "{reason}: {message}");
        assert!(message.ends_with(said.parse::<Reason>().unwrap().remedy()), "{message}");
    }
}

#[test]
fn a_claim_in_trouble_is_said_before_the_pod() {
    for (claim, reason) in [
        (Some(claim("Pending", "2026-01-02T00:00:01Z")), "ClaimPending"),
        (Some(claim("Lost", "2026-01-02T00:00:01Z")), "ClaimLost"),
        (None, "ClaimPending"),
    ] {
        let mut found = with_pod(container(RUNNING));
        found.claim = claim;
        assert_eq!(ready(&found).1, reason);
    }
    let mut found = with_pod(container(RUNNING));
    found.gone_node = Some("pi-gone".into());
    let (_, reason, message) = ready(&found);
    assert_eq!(reason, "NodeGone");
    assert!(message.contains("pi-gone") && message.contains("importSecretRef"), "{message}");
}

#[test]
fn a_volume_that_moved_with_its_pod_is_not_on_a_node_that_is_gone() {
    let gone = |mut found: Found| {
        found.claim = Some(bound());
        found.gone_node = Some("pi-gone".into());
        found
    };
    let mut moved = gone(with_pod(container(RUNNING)));
    moved.node = Some(Arc::new(yaml("{ metadata: { name: pi } }")));
    assert_eq!(ready(&moved).1, "Starting");
    let mut between = moved.clone();
    (between.node, between.pods) = (None, vec![]);
    assert_eq!(ready(&between).1, "Starting", "the next pod is not made yet");
    let words = "0/1 nodes are available: 1 node(s) didn't match PersistentVolume's node affinity.";
    assert_eq!(ready(&gone(waiting(words))).1, "NodeGone", "it cannot move");
}

#[test]
fn a_claim_that_waits_for_its_first_pod_is_not_what_holds_the_pod_up() {
    let mut found = waiting("0/1 nodes are available: 1 Insufficient memory.");
    found.claim = Some(claim("Pending", "2026-01-02T00:00:01Z"));
    assert_eq!(ready(&found).1, "Unschedulable");
}

#[test]
fn a_claim_of_an_earlier_reflector_says_so() {
    let mut found = with_pod(container(RUNNING));
    found.claim = Some(claim("Bound", "2025-01-01T00:00:00Z"));
    let status = applied(&found);
    let identity = status.conditions.iter().find(|one| one.type_ == "IdentityReady").unwrap();
    assert_eq!((identity.status.as_str(), identity.reason.as_str()), ("True", "IdentityAdopted"));
}

#[test]
fn a_pod_that_admission_refuses_names_the_label_to_set() {
    let mut found = with_pod(container(RUNNING));
    found.pods.clear();
    found.children.deployment = Some(Arc::new(yaml(
        "{ metadata: { name: rfl-attic }, status: { conditions: [{ type: ReplicaFailure, status: 'True', reason: FailedCreate, message: 'pods \"x\" is forbidden: violates PodSecurity \"baseline:latest\": host namespaces (hostNetwork=true)' }] } }",
    )));
    let (_, reason, message) = ready(&found);
    assert_eq!(reason, "PodSecurityRefused");
    assert!(
        message.contains("namespace homes") && message.contains("pod-security.kubernetes.io/enforce"),
        "{message}"
    );
}

/// Everything the pod says, with its uid.
fn serving(found: &mut Found, change: &str) {
    let mut reflector = (*found.reflector).clone();
    let mut status: ReflectorStatus = yaml(
        "{ podUID: uid-pod, policyGeneration: 3, conditions: [
            { type: PolicyCurrent, status: 'True', reason: Loaded, message: '', lastTransitionTime: '2026-01-02T00:00:00Z' },
            { type: Accepting, status: 'True', reason: Listening, message: '', lastTransitionTime: '2026-01-02T00:00:00Z' } ] }",
    );
    match change {
        "uid" => status.pod_uid = Some("uid-of-an-older-pod".into()),
        "generation" => status.policy_generation = Some(2),
        "policy" => {
            status.conditions[0].status = "False".into();
            status.conditions[0].reason = "Stale".into();
        }
        "draining" => {
            status.conditions[1].status = "False".into();
            status.conditions[1].reason = "Draining".into();
        }
        "newer" => {
            status.conditions[1].status = "False".into();
            status.conditions[1].reason = "InventedLater".into();
        }
        _ => {}
    }
    reflector.status = Some(status);
    found.reflector = Arc::new(reflector);
}

#[test]
fn a_pod_that_is_about_to_be_replaced_does_not_count_as_ready() {
    let ready_pod = pod(
        "{ phase: Running, containerStatuses: [{ name: r, image: i, imageID: '', ready: true, restartCount: 0, state: { running: {} } }] }",
    );
    for (status, expected) in [
        ("{ observedGeneration: 2, updatedReplicas: 1 }", "Serving"),
        ("{ observedGeneration: 1, updatedReplicas: 1 }", "Starting"),
        ("{ observedGeneration: 2 }", "Starting"),
        ("{}", "Starting"),
    ] {
        let mut found = with_pod(ready_pod.clone());
        serving(&mut found, "");
        found.children.deployment =
            Some(Arc::new(yaml(&format!("{{ metadata: {{ name: d, generation: 2 }}, status: {status} }}"))));
        assert_eq!(ready(&found).1, expected, "{status}");
    }
}

/// H5
#[test]
fn it_is_ready_only_when_the_running_pod_says_so_and_can_be_believed() {
    let ready_pod = pod(
        "{ phase: Running, containerStatuses: [{ name: r, image: i, imageID: '', ready: true, restartCount: 0, state: { running: {} } }] }",
    );
    for (change, expected) in [
        ("", "Serving"),
        ("uid", "Starting"),
        ("generation", "Loading"),
        ("policy", "Stale"),
        ("draining", "Draining"),
        ("newer", "Starting"),
    ] {
        let mut found = with_pod(ready_pod.clone());
        serving(&mut found, change);
        let (status, reason, message) = ready(&found);
        assert_eq!(reason, expected, "{change}: {message}");
        assert_eq!(status == "True", expected == "Serving");
    }
    let mut found = with_pod(container(RUNNING));
    serving(&mut found, "");
    assert_eq!(ready(&found).1, "PodCutOff", "kubelet does not believe it");
}

/// The pod writes whole messages: what its reason always says is not said twice.
#[test]
fn a_reason_of_the_pod_is_explained_once() {
    for details in ["", "no room on the claim. "] {
        let mut found = with_pod(container(RUNNING));
        serving(&mut found, "");
        let mut reflector = (*found.reflector).clone();
        let conditions = &mut reflector.status.as_mut().unwrap().conditions;
        let accepting = conditions.iter_mut().find(|condition| condition.type_ == "Accepting").unwrap();
        let reason = Reason::AuditFull;
        let words = format!("{} {details}{}", reason.explanation(), reason.remedy());
        (accepting.status, accepting.reason, accepting.message) =
            ("False".into(), reason.as_str().into(), words.clone());
        found.reflector = Arc::new(reflector);
        assert_eq!(ready(&found), ("False".into(), "AuditFull".into(), words));
    }
}

/// A node that lost its power says nothing more: containers stay as its kubelet saw them last.
#[test]
fn a_pod_whose_node_is_not_heard_of_is_cut_off() {
    for (status, expected) in [("True", "Serving"), ("False", "PodCutOff"), ("Unknown", "PodCutOff")] {
        let mut found = with_pod(pod(&format!(
            "{{ phase: Running, conditions: [{{ type: PodScheduled, status: 'True' }}, {{ type: Ready, status: '{status}' }}], \
             containerStatuses: [{{ name: r, image: i, imageID: '', ready: true, restartCount: 0, state: {{ running: {{}} }} }}] }}"
        )));
        serving(&mut found, "");
        let (_, reason, message) = ready(&found);
        assert_eq!(reason, expected, "{message}");
        assert_eq!(message.contains("pi has not been heard of"), expected == "PodCutOff", "{message}");
    }
}

#[test]
fn a_pod_that_goes_is_draining() {
    let mut going = (*container(RUNNING)).clone();
    going.metadata.deletion_timestamp = yaml("'2026-01-02T00:00:00Z'");
    assert_eq!(ready(&with_pod(Arc::new(going))).1, "Draining");
}

#[test]
fn stalled_and_reconciling_are_there_only_while_true() {
    let types = |status: &OurStatus| -> Vec<String> {
        status.conditions.iter().map(|condition| condition.type_.clone()).collect()
    };
    let found = with_pod(container(RUNNING));
    assert_eq!(types(&applied(&found)), ["Ready", "Scheduled", "IdentityReady", "Reconciling"]);
    let refusal = Refusal { reason: Reason::PortTaken, message: "port 4000 belongs to n/other".into() };
    let refused = status(&found, &Progress::Refused(&refusal), at(100));
    assert_eq!(types(&refused), ["Ready", "Scheduled", "IdentityReady", "Stalled"]);
    assert!(refused.ready().unwrap().message.contains("n/other"));
    let plan = plan(&found);
    let failed = status(&found, &Progress::Failed(&plan, "apply Service x: quota".into()), at(100));
    assert_eq!(failed.ready().unwrap().reason, "ApplyFailed");
    assert!(types(&failed).contains(&"Reconciling".to_owned()));
}

#[test]
fn the_first_word_is_that_work_goes_on() {
    let status = first(&reflector("{}"), at(100));
    assert_eq!(status.observed_generation, Some(3));
    let ready = status.ready().unwrap();
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("Unknown", "Progressing"));
    assert!(status.conditions.iter().any(|one| one.type_ == "Reconciling"));
}

#[test]
fn the_same_status_an_hour_later_is_no_news_and_keeps_its_times() {
    let mut found = with_pod(container(RUNNING));
    let before = applied(&found);
    let mut reflector = (*found.reflector).clone();
    let mut written: ReflectorStatus =
        serde_json::from_value(serde_json::to_value(&before).unwrap()).unwrap();
    // The pod's own conditions are none of our business.
    written.conditions.push(yaml(
        "{ type: HardwareReady, status: 'True', reason: HardwareSufficient, message: '', lastTransitionTime: '2026-01-02T00:00:00Z' }",
    ));
    reflector.status = Some(written);
    found.reflector = Arc::new(reflector);
    let later = status(&found, &Progress::Applied(&plan(&found)), at(3_700));
    assert!(later.is_in(&found.reflector));
    assert_eq!(later, before);
    found.peers.authorized = 7;
    let counted = applied(&found);
    assert!(!counted.is_in(&found.reflector) && counted.differs_in_counts_at_most(&found.reflector));
    found.pods.clear();
    let other = applied(&found);
    assert!(!other.is_in(&found.reflector) && !other.differs_in_counts_at_most(&found.reflector));
}

#[test]
fn addresses_are_what_people_said_else_external_else_internal_ones() {
    let node: Node = yaml(
        "{ metadata: { name: pi }, status: { addresses: [{ type: InternalIP, address: 10.0.0.5 }, { type: InternalIP, address: 'fd00::5' }, { type: Hostname, address: pi }] } }",
    );
    let node = Arc::new(node);
    let mut at_home = with_pod(container(RUNNING));
    at_home.node = Some(node.clone());
    assert_eq!(applied(&at_home).addresses, ["10.0.0.5:4000", "[fd00::5]:4000"]);
    let mut outside = (*node).clone();
    let external = yaml("{ type: ExternalIP, address: 192.0.2.9 }");
    outside.status.as_mut().unwrap().addresses.as_mut().unwrap().push(external);
    at_home.node = Some(Arc::new(outside));
    assert_eq!(applied(&at_home).addresses, ["192.0.2.9:4000"]);
    let mut told =
        found(reflector("{ network: { port: 4100, advertise: [attic.example.net, '2001:db8::1'] } }"));
    told.node = Some(node.clone());
    assert_eq!(applied(&told).addresses, ["attic.example.net:4100", "[2001:db8::1]:4100"]);
    let mut service = found(reflector("{ network: { hostNetwork: false } }"));
    service.node = Some(node);
    let ports = "spec: { ports: [{ port: 4000, protocol: UDP, nodePort: 30001 }, { port: 4000, protocol: TCP, nodePort: 30002 }] }";
    let there: Service = yaml(&format!("{{ metadata: {{ name: rfl-attic }}, {ports} }}"));
    service.children.service = Some(Arc::new(there));
    assert_eq!(applied(&service).addresses, ["10.0.0.5:30002", "[fd00::5]:30002"]);
    let there: Service = yaml(&format!(
        "{{ metadata: {{ name: rfl-attic }}, {ports}, status: {{ loadBalancer: {{ ingress: [{{ ip: 192.0.2.77 }}] }} }} }}"
    ));
    service.children.service = Some(Arc::new(there));
    assert_eq!(applied(&service).addresses, ["192.0.2.77:4000"]);
}
