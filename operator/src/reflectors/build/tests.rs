//! What a few specs become, as one would see it with kubectl.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::*;
use crate::reflectors::testing::{reflector, settings, yaml};
use crate::reflectors::validate;

fn desired(spec: &str) -> Desired {
    let settings = settings();
    let plan = validate::plan(&reflector(spec), &settings).unwrap();
    build(&plan, None, &settings).unwrap()
}

fn text(desired: &Desired) -> String {
    let mut text = String::new();
    let mut put = |object: &Value| write!(text, "---\n{}", yaml_of(object)).unwrap();
    let Desired { account, binding, config, claim, service, deployment } = desired;
    put(&serde_json::to_value(account).unwrap());
    put(&serde_json::to_value(binding).unwrap());
    put(&serde_json::to_value(config).unwrap());
    if let Some(claim) = claim {
        put(&serde_json::to_value(claim).unwrap());
    }
    if let Some(service) = service {
        put(&serde_json::to_value(service).unwrap());
    }
    put(&serde_json::to_value(deployment).unwrap());
    text
}

fn yaml_of(object: &impl Serialize) -> String {
    let text = serde_yaml::to_string(object).unwrap();
    if text.ends_with('\n') { text } else { format!("{text}\n") }
}

#[expect(clippy::disallowed_methods, reason = "whoever runs the tests says whether the files are written")]
fn golden(name: &str, spec: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/reflectors/build/golden").join(name);
    let made = text(&desired(spec));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == made, "{name} is not what is built: UPDATE_GOLDEN=1 cargo test -p operator --lib golden");
}

/// F1
#[test]
fn golden_a_reflector_of_defaults() {
    golden("defaults.yaml", "{}");
}

/// F3
#[test]
fn golden_a_reflector_with_everything_set() {
    golden(
        "everything.yaml",
        r#"
  placement:
    nodeSelector: { kubernetes.io/hostname: pi5-attic }
    tolerations: [{ key: dedicated, operator: Equal, value: lab, effect: NoSchedule }]
    priorityClassName: measuring
  image: { repository: example.net/mirror, tag: "9", pullPolicy: Always }
  network:
    mode: Direct
    port: 4100
    dataPorts: { start: 5201, end: 5203 }
    plainOnControlPort: false
    healthPort: 7400
  identity:
    storage: { size: 128Mi, storageClassName: fast }
    retain: false
    importSecretRef: { name: old-key, key: raw }
  resources: { requests: { cpu: 20m }, limits: { memory: 300Mi } }
  podTemplate:
    labels: { team: net }
    annotations: { note: hello, packetparamedic.io/config: forged }
    env: [{ name: HTTPS_PROXY, value: proxy.example.net }, { name: POD_UID, value: forged }]
"#,
    );
}

/// F3
#[test]
fn golden_a_reflector_on_the_pod_network() {
    golden(
        "pod-network.yaml",
        "{ network: { hostNetwork: false, mode: Tunneled }, identity: { storage: { existingClaim: mine } } }",
    );
}

#[test]
fn the_same_plan_gives_the_same_objects() {
    assert_eq!(desired("{}"), desired("{}"));
}

/// F4
#[test]
fn only_what_the_pod_starts_with_changes_the_pod() {
    let template = |spec: &str| desired(spec).deployment.spec.unwrap().template;
    let plain = template("{}");
    for live in [
        "{ quotas: { bytesPerDay: 1G } }",
        "{ windows: [{ schedule: '0 22 * * *', duration: 8h, effect: Deny }] }",
        "{ access: { approval: Manual, offlineGrace: 1h } }",
        "{ suspend: true }",
        "{ audit: { onFailure: Deny } }",
        "{ network: { advertise: [attic.example.net] } }",
    ] {
        assert_eq!(template(live), plain, "{live}");
    }
    for restarting in ["{ network: { port: 4001 } }", "{ network: { plainOnControlPort: false } }"] {
        assert_ne!(template(restarting), plain, "{restarting}");
    }
}

/// The reflector's own tests read the same file.
#[test]
fn the_file_a_pod_starts_with_is_the_one_a_reflector_reads() {
    let network = "{ mode: Direct, port: 4100, healthPort: 7311, dataPorts: { start: 5201, end: 5210 }, plainOnControlPort: false }";
    let settings = settings();
    let mut plan = validate::plan(&reflector(&format!("{{ network: {network} }}")), &settings).unwrap();
    plan.fleet = Some(("homes".to_owned(), "uid-homes".to_owned()));
    let made = build(&plan, None, &settings).unwrap().config.data.unwrap();
    let golden = include_str!("../../../../crds/tests/bootstrap.toml");
    assert_eq!(made["reflector.toml"], golden, "make crds/tests/bootstrap.toml say the same");
}

#[test]
fn a_claim_that_exists_keeps_its_size_and_class() {
    let settings = settings();
    let plan = validate::plan(&reflector("{ identity: { storage: { size: 1Gi } } }"), &settings).unwrap();
    let existing: PersistentVolumeClaim = yaml(
        "
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: rfl-attic-identity }
spec: { accessModes: [ReadWriteOncePod], storageClassName: old, volumeName: pv-1, resources: { requests: { storage: 64Mi } } }
",
    );
    let claim = build(&plan, Some(&existing), &settings).unwrap().claim.unwrap().spec.unwrap();
    assert_eq!(claim.storage_class_name.as_deref(), Some("old"));
    assert_eq!(claim.access_modes.unwrap(), ["ReadWriteOncePod"]);
    assert_eq!(claim.resources.unwrap().requests.unwrap()["storage"].0, "64Mi");
    assert_eq!(claim.volume_name, None, "that is not ours to say");
}

#[test]
fn a_kept_claim_has_no_owner_and_everything_else_has() {
    let made = desired("{}");
    assert!(made.claim.unwrap().metadata.owner_references.is_none());
    let gone = desired("{ identity: { retain: false } }");
    let owner = |metadata: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta| {
        metadata.owner_references.as_ref().unwrap()[0].uid.clone()
    };
    assert_eq!(owner(&gone.claim.unwrap().metadata), "uid-attic");
    assert_eq!(owner(&gone.deployment.metadata), "uid-attic");
    assert_eq!(owner(&gone.account.metadata), "uid-attic");
}

/// Argo CD and the API server alike treat an empty map or list as a difference for ever.
#[test]
fn nothing_empty_is_rendered() {
    fn look(path: &str, value: &Value) {
        match value {
            Value::Object(map) => {
                assert!(!map.is_empty(), "{path}");
                for (key, value) in map {
                    look(&format!("{path}.{key}"), value);
                }
            }
            Value::Array(list) => {
                assert!(!list.is_empty(), "{path}");
                for value in list {
                    look(path, value);
                }
            }
            Value::Null => panic!("{path} is null"),
            _ => {}
        }
    }
    let made = desired("{}");
    look("deployment", &serde_json::to_value(made.deployment).unwrap());
    look("claim", &serde_json::to_value(made.claim).unwrap());
    look("account", &serde_json::to_value(made.account).unwrap());
}
