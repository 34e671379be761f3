//! From a spec as typed to a plan nobody has to check again. Pure.
//!
//! What the CRD's own rules can see was refused by the API server; here is what they cannot: other objects, the node,
//! the operator's own settings. And what an older CRD let through.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crds::quantity::ResourceText;
use crds::reasons::ReflectorReason as Reason;
use crds::reflector::ports::{DEFAULT_HEALTH_PORT, DEFAULT_PORT, MAX_DATA_PORTS};
use crds::reflector::{NetworkMode, NetworkSpec, PullPolicy, Reflector, ReflectorSpec};
use k8s_openapi::api::core::v1::{Affinity, Toleration};
use kube::ResourceExt as _;

use super::fetch::Found;
use super::neighbours::{self, Neighbour};
use super::settings::Settings;

/// Longest name: the pods' and claims' names made from it must fit 63 characters.
const MAX_NAME: usize = 52;
/// The claim's size when nobody says otherwise.
const DEFAULT_SIZE: &str = "64Mi";
/// The entry of an imported Secret when nobody says otherwise.
const DEFAULT_KEY: &str = "identity.ed25519";
/// Variables that start so override the configuration file, which is the operator's.
const RESERVED_VARIABLE: &str = "REFLECTOR__";

/// A Reflector that can be done.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) uid: String,
    pub(super) image: Image,
    pub(super) network: Network,
    pub(super) storage: Storage,
    pub(super) import: Option<Import>,
    pub(super) node_selector: BTreeMap<String, String>,
    pub(super) affinity: Option<Affinity>,
    pub(super) tolerations: Vec<Toleration>,
    pub(super) priority_class: Option<String>,
    pub(super) requests: BTreeMap<String, String>,
    pub(super) limits: BTreeMap<String, String>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) variables: Vec<(String, String)>,
    /// The fleet that owns it, by name and uid.
    pub(super) fleet: Option<(String, String)>,
}

/// What runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) reference: String,
    pub(super) tag: String,
    pub(super) pull_policy: &'static str,
}

/// Where it listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Network {
    pub(super) mode: Mode,
    pub(super) port: u16,
    pub(super) health_port: u16,
    /// First and last.
    pub(super) data_ports: Option<(u16, u16)>,
    pub(super) plain_on_control_port: bool,
    pub(super) host_network: bool,
}

impl Network {
    /// Every port it needs.
    pub(super) fn ports(&self) -> impl Iterator<Item = u16> + '_ {
        let data = self.data_ports.map(|(first, last)| first..=last);
        [self.port, self.health_port].into_iter().chain(data.into_iter().flatten())
    }
}

/// How data flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Auto,
    Tunneled,
    Direct,
}

/// Where key, ledger and audit log are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Storage {
    /// A claim of ours.
    Ours { size: String, class: Option<String>, retain: bool },
    /// Somebody's.
    Existing(String),
}

/// A Secret with a key to adopt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Import {
    pub(super) secret: String,
    pub(super) key: String,
}

/// Why a Reflector cannot be done as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) reason: Reason,
    pub(super) message: String,
}

fn refuse(reason: Reason, message: impl Into<String>) -> Refusal {
    Refusal { reason, message: message.into() }
}

fn invalid(message: impl Into<String>) -> Refusal {
    refuse(Reason::InvalidSpec, message)
}

/// Looks at everything; the first thing that is wrong is said.
pub(super) fn validate(found: &Found, settings: &Settings) -> Result<Plan, Refusal> {
    let plan = plan(&found.reflector, settings)?;
    if let Some(taken) = found.children.foreign(&plan.uid) {
        return Err(refuse(Reason::NameTaken, format!("{taken} exists and is not owned by this Reflector")));
    }
    if let Some(class) = &found.missing_class {
        return Err(refuse(Reason::UnknownStorageClass, format!("there is no StorageClass {class}")));
    }
    if plan.network.host_network {
        let me = Neighbour::new(&found.reflector, plan.network.ports().collect());
        if let Some((other, port)) = neighbours::clash(&me, &found.neighbours) {
            let message = format!("port {port} belongs to the Reflector {}", other.full_name());
            return Err(refuse(Reason::PortTaken, message));
        }
    }
    Ok(plan)
}

/// The plan, as far as the object alone tells.
pub(super) fn plan(reflector: &Reflector, settings: &Settings) -> Result<Plan, Refusal> {
    let spec = &reflector.spec;
    let name = reflector.name_any();
    if name.len() > MAX_NAME || name.contains('.') {
        return Err(invalid(format!(
            "metadata.name cannot be {name}: use at most {MAX_NAME} letters, digits and dashes"
        )));
    }
    let placement = spec.placement.clone().unwrap_or_default();
    let template = spec.pod_template.clone().unwrap_or_default();
    let resources = spec.resources.clone().unwrap_or_default();
    if let Some(variable) = template.env.iter().find(|variable| variable.name.starts_with(RESERVED_VARIABLE))
    {
        return Err(invalid(format!(
            "spec.podTemplate.env cannot set {}: there is a field for it in spec",
            variable.name
        )));
    }
    let texts = |map: &BTreeMap<String, ResourceText>| -> BTreeMap<String, String> {
        map.iter().map(|(key, value)| (key.clone(), value.as_str().to_owned())).collect()
    };
    let identity = spec.identity.clone().unwrap_or_default();
    Ok(Plan {
        namespace: reflector.namespace().unwrap_or_default(),
        uid: reflector.uid().unwrap_or_default(),
        image: image(spec, settings)?,
        network: network(&spec.network.clone().unwrap_or_default())?,
        storage: storage(spec)?,
        import: identity.import_secret_ref.map(|import| Import {
            secret: import.name,
            key: import.key.unwrap_or_else(|| DEFAULT_KEY.to_owned()),
        }),
        node_selector: placement.node_selector,
        affinity: placement.affinity,
        tolerations: placement.tolerations,
        priority_class: placement.priority_class_name,
        requests: texts(&resources.requests),
        limits: texts(&resources.limits),
        labels: template.labels,
        annotations: template.annotations,
        variables: template.env.into_iter().map(|var| (var.name, var.value.unwrap_or_default())).collect(),
        fleet: reflector
            .owner_references()
            .iter()
            .find(|owner| owner.kind == "ReflectorFleet" && owner.controller == Some(true))
            .map(|owner| (owner.name.clone(), owner.uid.clone())),
        name,
    })
}

fn image(spec: &ReflectorSpec, settings: &Settings) -> Result<Image, Refusal> {
    let wanted = spec.image.clone().unwrap_or_default();
    let repository = wanted.repository.unwrap_or_else(|| settings.repository.clone());
    if !settings.allows(&repository) {
        let allowed = settings.allowed_repositories.join(", ");
        return Err(refuse(Reason::ImageNotAllowed, format!("{repository} is not one of: {allowed}")));
    }
    let tag = wanted.tag.unwrap_or_else(|| settings.tag.clone());
    let reference = match wanted.digest {
        Some(digest) => format!("{repository}@{digest}"),
        None => format!("{repository}:{tag}"),
    };
    let pull_policy = match wanted.pull_policy {
        None | Some(PullPolicy::IfNotPresent) => "IfNotPresent",
        Some(PullPolicy::Always) => "Always",
        Some(PullPolicy::Never) => "Never",
        Some(PullPolicy::Unknown(other)) => {
            return Err(invalid(format!(
                "spec.image.pullPolicy cannot be {other}: write IfNotPresent, Always or Never"
            )));
        }
    };
    Ok(Image { reference, tag, pull_policy })
}

fn network(spec: &NetworkSpec) -> Result<Network, Refusal> {
    let mode = match spec.mode {
        None | Some(NetworkMode::Auto) => Mode::Auto,
        Some(NetworkMode::Tunneled) => Mode::Tunneled,
        Some(NetworkMode::Direct) => Mode::Direct,
        Some(NetworkMode::Unknown(ref other)) => {
            return Err(invalid(format!(
                "spec.network.mode cannot be {other}: write Auto, Tunneled or Direct"
            )));
        }
    };
    let port = port("port", spec.port.unwrap_or(DEFAULT_PORT))?;
    let health_port = self::port("healthPort", spec.health_port.unwrap_or(DEFAULT_HEALTH_PORT))?;
    if port == health_port {
        return Err(invalid("spec.network.healthPort must differ from port"));
    }
    let data_ports = match &spec.data_ports {
        None => None,
        Some(range) => {
            let (start, end) =
                (self::port("dataPorts.start", range.start)?, self::port("dataPorts.end", range.end)?);
            if start > end || range.end - range.start >= MAX_DATA_PORTS {
                return Err(invalid(format!(
                    "spec.network.dataPorts must be at most {MAX_DATA_PORTS} ports in order"
                )));
            }
            if (start..=end).contains(&port) || (start..=end).contains(&health_port) {
                return Err(invalid("spec.network.dataPorts must contain neither port nor healthPort"));
            }
            Some((start, end))
        }
    };
    if (mode == Mode::Direct) != data_ports.is_some() && mode != Mode::Auto {
        return Err(invalid("spec.network.dataPorts: mode Direct needs them, mode Tunneled forbids them"));
    }
    Ok(Network {
        mode,
        port,
        health_port,
        data_ports,
        plain_on_control_port: spec.plain_on_control_port.unwrap_or(true),
        host_network: spec.host_network.unwrap_or(true),
    })
}

/// A port that a process without rights may have.
fn port(field: &str, number: i32) -> Result<u16, Refusal> {
    let port = u16::try_from(number).ok().filter(|port| *port >= 1024);
    port.ok_or_else(|| invalid(format!("spec.network.{field} cannot be {number}: write 1024 to 65535")))
}

fn storage(spec: &ReflectorSpec) -> Result<Storage, Refusal> {
    let identity = spec.identity.clone().unwrap_or_default();
    let storage = identity.storage.unwrap_or_default();
    if let Some(claim) = storage.existing_claim {
        return Ok(Storage::Existing(claim));
    }
    let size = match storage.size {
        None => DEFAULT_SIZE.to_owned(),
        Some(size) => {
            let value =
                size.value().map_err(|error| invalid(format!("spec.identity.storage.size {error}")))?;
            if value < crds::reflector::MIN_STORAGE {
                return Err(invalid(format!(
                    "spec.identity.storage.size cannot be {size}: write at least 16Mi"
                )));
            }
            size.to_string()
        }
    };
    Ok(Storage::Ours { size, class: storage.storage_class_name, retain: identity.retain.unwrap_or(true) })
}
