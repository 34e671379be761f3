//! A member as its fleet says it should be. Pure: the same fleet and node give the same object, byte for byte.

use std::collections::BTreeMap;

use crds::fleet::ReflectorFleet;
use crds::reflector::{Reflector, ReflectorSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Resource as _, ResourceExt as _};
use serde_json::Value;

use super::edits;
use super::names::{self, CHANGED_WHILE_READY, FLEET, HOSTNAME, NODE};
use crate::writing::{MANAGER, is_current, seal};

/// Which member.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) node: &'a str,
    /// What the node's label says; pods are kept there by it.
    pub(super) hostname: &'a str,
}

/// The member of a place. `there` is what there is of it.
pub(super) fn build(
    fleet: &ReflectorFleet,
    place: Place<'_>,
    there: Option<&Reflector>,
) -> Result<Reflector, serde_json::Error> {
    seal(described(fleet, place, there))
}

/// The same for a member that goes, and takes its identity with it.
pub(super) fn build_without_a_future(
    fleet: &ReflectorFleet,
    place: Place<'_>,
    there: &Reflector,
) -> Result<Reflector, serde_json::Error> {
    let mut member = described(fleet, place, Some(there));
    // Its node can only be remembered by what somebody may have edited; its name cannot.
    member.metadata.name.clone_from(&there.metadata.name);
    member.spec.identity.get_or_insert_default().retain = Some(false);
    seal(member)
}

/// Notes that a member served, or that it is still waited for, when it is changed.
pub(super) fn note_interruption(mut desired: Reflector, interrupts: bool) -> Reflector {
    if interrupts {
        desired.annotations_mut().insert(CHANGED_WHILE_READY.to_owned(), "true".to_owned());
    }
    desired
}

/// Whether a member is all it should be and nothing else.
pub(super) fn is_as_described(desired: &Reflector, there: &Reflector) -> Result<bool, serde_json::Error> {
    Ok(is_current(desired, there)? && edits::is_as_written(&spec(desired)?, &spec(there)?))
}

/// Whether making it so restarts its pod.
pub(super) fn restarts(desired: &Reflector, there: &Reflector) -> Result<bool, serde_json::Error> {
    Ok(edits::restarts(&spec(desired)?, &spec(there)?))
}

/// What is to be taken out after it was applied.
pub(super) fn surplus(desired: &Reflector, there: &Reflector) -> Result<Option<Value>, serde_json::Error> {
    Ok(edits::removal(&spec(desired)?, &spec(there)?))
}

fn spec(member: &Reflector) -> Result<Value, serde_json::Error> {
    serde_json::to_value(&member.spec)
}

fn described(fleet: &ReflectorFleet, place: Place<'_>, there: Option<&Reflector>) -> Reflector {
    let template = &fleet.spec.template;
    let metadata = template.metadata.clone().unwrap_or_default();
    let mut labels = metadata.labels;
    labels.insert(FLEET.to_owned(), fleet.name_any());
    labels.insert("app.kubernetes.io/managed-by".to_owned(), MANAGER.to_owned());
    labels.insert("app.kubernetes.io/part-of".to_owned(), "packetparamedic".to_owned());
    let mut annotations = metadata.annotations;
    annotations.insert(NODE.to_owned(), place.node.to_owned());
    Reflector {
        metadata: ObjectMeta {
            name: Some(names::member(&fleet.name_any(), place.node)),
            namespace: fleet.namespace(),
            labels: Some(labels),
            annotations: Some(annotations),
            owner_references: Some(vec![owner(fleet)]),
            ..ObjectMeta::default()
        },
        spec: placed(fleet, place, there),
        status: None,
    }
}

fn placed(fleet: &ReflectorFleet, place: Place<'_>, there: Option<&Reflector>) -> ReflectorSpec {
    let mut spec = fleet.spec.template.spec.clone();
    // We write nothing but true. So false on a member is its own word, and so is true when the fleet says nothing.
    let opted_out = there.is_some_and(|there| there.spec.suspend == Some(false));
    spec.suspend = (spec.suspend == Some(true) && !opted_out).then_some(true);
    // A key that was rotated cannot be rotated back: the server refuses a lower number.
    let rotation = |spec: &ReflectorSpec| spec.identity.as_ref().and_then(|identity| identity.rotation);
    if let Some(theirs) =
        there.and_then(|there| rotation(&there.spec)).filter(|own| Some(*own) > rotation(&spec))
    {
        spec.identity.get_or_insert_default().rotation = Some(theirs);
    }
    let placement = spec.placement.get_or_insert_default();
    placement.node_selector.extend(BTreeMap::from([(HOSTNAME.to_owned(), place.hostname.to_owned())]));
    for toleration in &fleet.spec.tolerations {
        if !placement.tolerations.contains(toleration) {
            placement.tolerations.push(toleration.clone());
        }
    }
    spec
}

fn owner(fleet: &ReflectorFleet) -> OwnerReference {
    OwnerReference {
        api_version: ReflectorFleet::api_version(&()).into_owned(),
        kind: ReflectorFleet::kind(&()).into_owned(),
        name: fleet.name_any(),
        uid: fleet.uid().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{fleet, yaml};
    use super::*;

    const PI: Place<'static> = Place { node: "pi.example.net", hostname: "pi" };
    const FULL: &str = "
  nodeSelector: { site: home }
  tolerations: [{ key: noisy, operator: Exists }, { key: own, operator: Exists }]
  template:
    metadata: { labels: { team: net, packetparamedic.io/fleet: forged }, annotations: { note: hello } }
    spec:
      placement: { nodeSelector: { kubernetes.io/hostname: forged, disk: ssd }, tolerations: [{ key: own, operator: Exists }] }
      network: { port: 4100 }
";

    #[test]
    fn a_member_is_the_template_on_its_node_and_belongs_to_the_fleet() {
        let member = build(&fleet(FULL), PI, None).unwrap();
        let mut seen = serde_json::to_value(&member).unwrap();
        let applied =
            seen["metadata"]["annotations"].as_object_mut().unwrap().remove("packetparamedic.io/applied");
        assert!(applied.is_some(), "it is sealed");
        let expected: Value = yaml(
            "
apiVersion: packetparamedic.io/v1alpha1
kind: Reflector
metadata:
  name: homes-pi-example-net-6b0e77b9
  namespace: reflectors
  labels: { app.kubernetes.io/managed-by: reflector-operator, app.kubernetes.io/part-of: packetparamedic, packetparamedic.io/fleet: homes, team: net }
  annotations: { note: hello, packetparamedic.io/node: pi.example.net }
  ownerReferences: [{ apiVersion: packetparamedic.io/v1alpha1, kind: ReflectorFleet, name: homes, uid: uid-homes, controller: true, blockOwnerDeletion: true }]
spec:
  placement:
    nodeSelector: { disk: ssd, kubernetes.io/hostname: pi }
    tolerations: [{ key: own, operator: Exists }, { key: noisy, operator: Exists }]
  network: { port: 4100 }
",
        );
        seen["metadata"]["name"] = expected["metadata"]["name"].clone();
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_member_may_be_suspended_by_itself_and_may_opt_out() {
        for (title, template, there, expected) in [
            ("nobody", "{}", "{}", None),
            ("the fleet", "{ suspend: true }", "{}", Some(true)),
            ("the member", "{}", "{ suspend: true }", None),
            ("the member will not", "{ suspend: true }", "{ suspend: false }", None),
            ("the fleet says nothing", "{ suspend: false }", "{ suspend: true }", None),
        ] {
            let fleet = fleet(&format!("{{ nodeSelector: {{ a: b }}, template: {{ spec: {template} }} }}"));
            let mut there = Reflector { spec: yaml(there), ..build(&fleet, PI, None).unwrap() };
            let desired = build(&fleet, PI, Some(&there)).unwrap();
            assert_eq!(desired.spec.suspend, expected, "{title}");
            // As server-side apply leaves it: ours over theirs, and theirs where we say nothing.
            let suspend = desired.spec.suspend.or(there.spec.suspend);
            there = Reflector { spec: ReflectorSpec { suspend, ..desired.spec.clone() }, ..desired };
            let again = build(&fleet, PI, Some(&there)).unwrap();
            assert!(
                is_as_described(&again, &there).unwrap(),
                "{title}: a second look finds nothing to write"
            );
        }
    }

    #[test]
    fn an_edit_of_a_member_is_seen_whether_it_changes_adds_or_removes() {
        let fleet = fleet(FULL);
        let desired = build(&fleet, PI, None).unwrap();
        assert!(is_as_described(&desired, &desired).unwrap());
        for (title, edit, surplus_is_there) in [
            ("changed", "{ network: { port: 4200 } }", false),
            ("added", "{ network: { port: 4100, healthPort: 9 } }", true),
            ("removed", "{}", false),
        ] {
            let mut there = desired.clone();
            there.spec.network = yaml::<ReflectorSpec>(edit).network;
            assert!(!is_as_described(&desired, &there).unwrap(), "{title}");
            assert_eq!(surplus(&desired, &there).unwrap().is_some(), surplus_is_there, "{title}");
        }
        let mut there = desired.clone();
        there.labels_mut().remove(FLEET);
        assert!(!is_as_described(&desired, &there).unwrap(), "its label");
    }

    #[test]
    fn a_key_that_was_rotated_by_itself_is_not_rotated_back() {
        for (template, there, expected) in [
            ("{}", "{ identity: { rotation: 2 } }", Some(2)),
            ("{ identity: { rotation: 3 } }", "{ identity: { rotation: 2 } }", Some(3)),
            ("{ identity: { rotation: 1 } }", "{}", Some(1)),
        ] {
            let fleet = fleet(&format!("{{ nodeSelector: {{ a: b }}, template: {{ spec: {template} }} }}"));
            let there = Reflector { spec: yaml(there), ..build(&fleet, PI, None).unwrap() };
            let desired = build(&fleet, PI, Some(&there)).unwrap();
            assert_eq!(
                desired.spec.identity.and_then(|identity| identity.rotation),
                expected,
                "{template} {there:?}"
            );
        }
    }

    #[test]
    fn a_pruned_member_takes_its_identity_along() {
        let fleet = fleet(
            "{ nodeSelector: { a: b }, template: { spec: { identity: { retain: true, storage: { size: 32Mi } } } } }",
        );
        let there = build(&fleet, PI, None).unwrap();
        let going = build_without_a_future(&fleet, PI, &there).unwrap();
        let identity = going.spec.identity.clone().unwrap();
        assert_eq!(identity.retain, Some(false));
        assert!(identity.storage.is_some(), "the rest is as before");
        assert!(!is_as_described(&going, &there).unwrap());
        let noted = note_interruption(there.clone(), true);
        assert!(is_current(&there, &noted).unwrap(), "a note is no reason to write");
    }
}
