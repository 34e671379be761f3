//! The one container of a pod, and what is mounted into it.

use std::collections::BTreeMap;

use crds::names::IMPORTED_KEY;
use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapProjection, ConfigMapVolumeSource, Container, ContainerPort,
    DownwardAPIProjection, DownwardAPIVolumeFile, EnvVar, EnvVarSource, HTTPGetAction, KeyToPath,
    ObjectFieldSelector, PersistentVolumeClaimVolumeSource, Probe, ProjectedVolumeSource,
    ResourceRequirements, SecretVolumeSource, SecurityContext, ServiceAccountTokenProjection, Volume,
    VolumeMount, VolumeProjection,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{config, names};
use crate::reflectors::validate::{Plan, Storage};

const CONFIG: &str = "/etc/reflector";
const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Lifetime of the pod's token; kubelet renews it.
const TOKEN_SECONDS: i64 = 3_600;
/// A slow card may take so long to make a key and open the ledger: attempts, two seconds apart.
const STARTUP_ATTEMPTS: i32 = 60;

/// The folder and the file.
fn imported_key() -> (&'static str, &'static str) {
    IMPORTED_KEY.rsplit_once('/').unwrap_or(("/", IMPORTED_KEY))
}

pub(super) fn build(plan: &Plan) -> Container {
    Container {
        name: "reflector".to_owned(),
        image: Some(plan.image.reference.clone()),
        image_pull_policy: Some(plan.image.pull_policy.to_owned()),
        args: Some(vec!["serve".to_owned()]),
        env: Some(variables(plan)),
        ports: Some(ports(plan)),
        resources: Some(resources(plan)),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities { add: None, drop: Some(vec!["ALL".to_owned()]) }),
            ..SecurityContext::default()
        }),
        startup_probe: Some(probe(plan, "/livez", 2, STARTUP_ATTEMPTS)),
        liveness_probe: Some(probe(plan, "/livez", 10, 3)),
        // One answer that is late during a throughput test is no news; 15 s of silence are.
        readiness_probe: Some(probe(plan, "/readyz", 5, 3)),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: Some(mounts(plan)),
        ..Container::default()
    }
}

/// The person's own first; ours cannot be replaced.
fn variables(plan: &Plan) -> Vec<EnvVar> {
    let ours = [("NODE_NAME", "spec.nodeName"), ("POD_NAME", "metadata.name"), ("POD_UID", "metadata.uid")];
    let file = EnvVar {
        name: "REFLECTOR_CONFIG".to_owned(),
        value: Some(format!("{CONFIG}/{}", config::FILE)),
        ..EnvVar::default()
    };
    let ours: Vec<EnvVar> = ours
        .map(|(name, field)| EnvVar {
            name: name.to_owned(),
            value_from: Some(EnvVarSource {
                field_ref: Some(ObjectFieldSelector {
                    api_version: Some("v1".to_owned()),
                    field_path: field.to_owned(),
                }),
                ..EnvVarSource::default()
            }),
            ..EnvVar::default()
        })
        .into_iter()
        .chain([file])
        .collect();
    let taken = |name: &str| ours.iter().any(|variable| variable.name == name);
    let theirs = plan.variables.iter().filter(|(name, _)| !taken(name));
    let theirs: Vec<EnvVar> = theirs
        .map(|(name, value)| EnvVar { name: name.clone(), value: Some(value.clone()), ..EnvVar::default() })
        .collect();
    theirs.into_iter().chain(ours).collect()
}

/// Nothing defaults the host port. The health port is TCP only.
fn ports(plan: &Plan) -> Vec<ContainerPort> {
    let network = &plan.network;
    let port = |port: u16, protocol: &str, name: Option<&str>| ContainerPort {
        container_port: i32::from(port),
        host_port: network.on_host.then_some(i32::from(port)),
        protocol: Some(protocol.to_owned()),
        name: name.map(str::to_owned),
        ..ContainerPort::default()
    };
    let mut ports = vec![
        port(network.port, "TCP", Some("control")),
        port(network.port, "UDP", Some("control-udp")),
        port(network.health_port, "TCP", Some("health")),
    ];
    let data = network.data_ports.map(|(first, last)| first..=last);
    for number in data.into_iter().flatten() {
        ports.extend([port(number, "TCP", None), port(number, "UDP", None)]);
    }
    ports
}

/// No CPU limit: it would falsify measurements.
fn resources(plan: &Plan) -> ResourceRequirements {
    let filled = |given: &BTreeMap<String, String>, defaults: &[(&str, &str)]| {
        let mut all: BTreeMap<String, Quantity> =
            defaults.iter().map(|(key, value)| ((*key).to_owned(), Quantity((*value).to_owned()))).collect();
        all.extend(given.iter().map(|(key, value)| (key.clone(), Quantity(value.clone()))));
        Some(all)
    };
    ResourceRequirements {
        requests: filled(&plan.requests, &[("cpu", "10m"), ("memory", "24Mi")]),
        limits: filled(&plan.limits, &[("memory", "256Mi")]),
        claims: None,
    }
}

fn probe(plan: &Plan, path: &str, period: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::Int(i32::from(plan.network.health_port)),
            scheme: Some("HTTP".to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(2),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}

fn mounts(plan: &Plan) -> Vec<VolumeMount> {
    let mount = |name: &str, path: &str, read_only: bool| VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    };
    let mut mounts = vec![
        mount("state", config::STATE, false),
        mount("config", CONFIG, true),
        mount("token", TOKEN, true),
    ];
    if plan.import.is_some() {
        mounts.push(mount("import", imported_key().0, true));
    }
    mounts
}

pub(super) fn volumes(plan: &Plan) -> Vec<Volume> {
    let claim = match &plan.storage {
        Storage::Existing(claim) => claim.clone(),
        Storage::Ours { .. } => names::claim(&plan.name),
    };
    let mut volumes = vec![
        Volume {
            name: "state".to_owned(),
            persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                claim_name: claim,
                read_only: None,
            }),
            ..Volume::default()
        },
        Volume {
            name: "config".to_owned(),
            config_map: Some(ConfigMapVolumeSource {
                name: names::child(&plan.name),
                ..ConfigMapVolumeSource::default()
            }),
            ..Volume::default()
        },
        token(),
    ];
    if let Some(import) = &plan.import {
        volumes.push(Volume {
            name: "import".to_owned(),
            secret: Some(SecretVolumeSource {
                secret_name: Some(import.secret.clone()),
                default_mode: Some(0o400),
                items: Some(vec![KeyToPath {
                    key: import.key.clone(),
                    path: imported_key().1.to_owned(),
                    mode: None,
                }]),
                optional: None,
            }),
            ..Volume::default()
        });
    }
    volumes
}

/// What Kubernetes mounts by itself, with a shorter life.
fn token() -> Volume {
    let projection = VolumeProjection::default;
    let sources = vec![
        VolumeProjection {
            service_account_token: Some(ServiceAccountTokenProjection {
                path: "token".to_owned(),
                expiration_seconds: Some(TOKEN_SECONDS),
                audience: None,
            }),
            ..projection()
        },
        VolumeProjection {
            config_map: Some(ConfigMapProjection {
                name: "kube-root-ca.crt".to_owned(),
                items: Some(vec![KeyToPath {
                    key: "ca.crt".to_owned(),
                    path: "ca.crt".to_owned(),
                    mode: None,
                }]),
                optional: None,
            }),
            ..projection()
        },
        VolumeProjection {
            downward_api: Some(DownwardAPIProjection {
                items: Some(vec![DownwardAPIVolumeFile {
                    path: "namespace".to_owned(),
                    field_ref: Some(ObjectFieldSelector {
                        api_version: Some("v1".to_owned()),
                        field_path: "metadata.namespace".to_owned(),
                    }),
                    ..DownwardAPIVolumeFile::default()
                }]),
            }),
            ..projection()
        },
    ];
    Volume {
        name: "token".to_owned(),
        projected: Some(ProjectedVolumeSource { sources: Some(sources), default_mode: None }),
        ..Volume::default()
    }
}
