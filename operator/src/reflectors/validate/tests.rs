//! What is refused, and in whose words.

use std::sync::Arc;

use super::*;
use crate::reflectors::testing::{found, reflector, settings, yaml};

fn refusal(found: &Found) -> (Reason, String) {
    let refusal = validate(found, &settings()).unwrap_err();
    (refusal.reason, refusal.message)
}

#[test]
fn defaults_are_a_plan() {
    let plan = validate(&found(reflector("{}")), &settings()).unwrap();
    assert_eq!(plan.image.reference, "example.net/reflector:0.1.0");
    assert_eq!((plan.network.port, plan.network.health_port), (4000, 7301));
    assert!(plan.network.on_host && plan.network.plain_on_control_port);
    assert_eq!(plan.storage, Storage::Ours { size: "64Mi".into(), class: None, retain: true });
}

#[test]
fn what_the_spec_alone_makes_impossible_names_the_field() {
    let table = [
        ("{ network: { port: 80 } }", "spec.network.port"),
        ("{ network: { port: 70000 } }", "spec.network.port"),
        ("{ network: { healthPort: 4000 } }", "healthPort"),
        ("{ network: { mode: Direct } }", "dataPorts"),
        ("{ network: { mode: Tunneled, dataPorts: { start: 5201, end: 5202 } } }", "dataPorts"),
        ("{ network: { dataPorts: { start: 5202, end: 5201 } } }", "dataPorts"),
        ("{ network: { dataPorts: { start: 2000, end: 9000 } } }", "dataPorts"),
        ("{ network: { dataPorts: { start: 3999, end: 4001 } } }", "dataPorts"),
        ("{ network: { mode: Sideways } }", "Sideways"),
        ("{ image: { pullPolicy: Sometimes } }", "Sometimes"),
        ("{ identity: { storage: { size: 1Mi } } }", "spec.identity.storage.size"),
        ("{ podTemplate: { env: [{ name: REFLECTOR__NETWORK__MODE, value: auto }] } }", "env[0].name"),
    ];
    for (spec, words) in table {
        let (reason, message) = refusal(&found(reflector(spec)));
        assert_eq!(reason, Reason::InvalidSpec, "{spec}");
        assert!(message.contains(words), "{spec}: {message}");
    }
}

#[test]
fn an_image_from_elsewhere_is_refused_and_one_on_the_list_is_not() {
    let (reason, message) = refusal(&found(reflector("{ image: { repository: evil.example/r } }")));
    assert_eq!(reason, Reason::ImageNotAllowed);
    assert!(message.contains("evil.example/r") && message.contains("example.net/mirror"), "{message}");
    let digest = format!("sha256:{}", "0".repeat(64));
    let spec = format!("{{ image: {{ repository: example.net/mirror, tag: x, digest: '{digest}' }} }}");
    let plan = validate(&found(reflector(&spec)), &settings()).unwrap();
    assert_eq!(plan.image.reference, format!("example.net/mirror@{digest}"));
}

#[test]
fn a_missing_storage_class_is_named() {
    let mut found = found(reflector("{ identity: { storage: { storageClassName: fast } } }"));
    found.missing_class = Some("fast".into());
    assert_eq!(refusal(&found), (Reason::UnknownStorageClass, "there is no StorageClass fast".into()));
}

#[test]
fn an_object_of_somebody_else_is_never_taken() {
    for owners in ["[]", "[{ apiVersion: v1, kind: Reflector, name: attic, uid: another, controller: true }]"]
    {
        let mut found = found(reflector("{}"));
        found.children.config = Some(Arc::new(yaml(&format!(
            "{{ metadata: {{ name: rfl-attic, ownerReferences: {owners} }} }}"
        ))));
        let (reason, message) = refusal(&found);
        assert_eq!(reason, Reason::NameTaken);
        assert!(message.contains("ConfigMap rfl-attic"), "{message}");
    }
}

#[test]
fn a_claim_left_behind_is_found_again_by_name_and_label_only() {
    let claim = |labels: &str| {
        Some(Arc::new(yaml(&format!(
            "{{ metadata: {{ name: rfl-attic-identity, labels: {{ {labels} }} }} }}"
        ))))
    };
    let managed = "app.kubernetes.io/managed-by: reflector-operator";
    let mut found = found(reflector("{}"));
    found.children.claim = claim(&format!("{managed}, packetparamedic.io/reflector: attic"));
    assert!(validate(&found, &settings()).is_ok());
    for foreign in [managed, "packetparamedic.io/reflector: attic", "app: other"] {
        found.children.claim = claim(foreign);
        assert_eq!(refusal(&found).0, Reason::NameTaken, "{foreign}");
    }
}

#[test]
fn a_port_of_an_older_reflector_on_the_same_node_is_taken_and_its_owner_named() {
    let pinned = "{ placement: { nodeSelector: { kubernetes.io/hostname: pi } } }";
    let mut older = reflector(pinned);
    older.metadata.name = Some("cellar".into());
    older.metadata.uid = Some("uid-cellar".into());
    older.metadata.creation_timestamp = yaml("'2026-01-01T00:00:00Z'");
    let mut found = found(reflector(pinned));
    found.neighbours = [&older, &found.reflector].into_iter().filter_map(Neighbour::of).collect();
    let (reason, message) = refusal(&found);
    assert_eq!(reason, Reason::PortTaken);
    assert_eq!(message, "port 4000 belongs to the Reflector homes/cellar");
    older.spec.network = yaml("{ hostNetwork: false }");
    found.neighbours = Neighbour::of(&older).into_iter().collect();
    assert!(validate(&found, &settings()).is_ok());
}
