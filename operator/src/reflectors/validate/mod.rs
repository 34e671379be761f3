//! From a spec as typed to a plan nobody has to check again. Pure.
//!
//! What the object alone says was refused by the API server, and is refused again by `crds` for what an older CRD let
//! through. Here is what neither can see: other objects, the node, the operator's own settings.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crds::quantity::ResourceText;
use crds::reasons::ReflectorReason as Reason;
use crds::reflector::{
    DEFAULT_KEY_ENTRY, DEFAULT_STORAGE, NetworkMode, PullPolicy, Reflector, ReflectorSpec, ValidNetwork,
};
use k8s_openapi::api::core::v1::{Affinity, Toleration};
use kube::ResourceExt as _;

use super::fetch::Found;
use super::neighbours::{self, Neighbour};
use super::peers;
use crate::settings::Settings;

/// Most problems that are said at one time; a message is read in a terminal.
const MOST_PROBLEMS: usize = 4;

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
    /// Whether it has the node's own addresses.
    pub(super) on_host: bool,
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

impl Refusal {
    /// Whether something else than an edit of the Reflector can end it, of which no watch of ours tells.
    pub(super) fn waits_for_others(&self) -> bool {
        matches!(self.reason, Reason::NameTaken | Reason::UnknownStorageClass)
    }
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
    if plan.network.on_host {
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
    let valid = crds::reflector::validate(reflector).map_err(|problems| {
        let all: Vec<String> = problems.iter().take(MOST_PROBLEMS).map(ToString::to_string).collect();
        invalid(all.join("; "))
    })?;
    let network = network(&valid.network).ok_or_else(|| invalid("spec.network cannot be read"))?;
    let placement = spec.placement.clone().unwrap_or_default();
    let template = spec.pod_template.clone().unwrap_or_default();
    let resources = spec.resources.clone().unwrap_or_default();
    let texts = |map: &BTreeMap<String, ResourceText>| -> BTreeMap<String, String> {
        map.iter().map(|(key, value)| (key.clone(), value.as_str().to_owned())).collect()
    };
    let identity = spec.identity.clone().unwrap_or_default();
    Ok(Plan {
        namespace: reflector.namespace().unwrap_or_default(),
        uid: reflector.uid().unwrap_or_default(),
        image: image(spec, settings)?,
        network,
        storage: storage(spec, valid.retain),
        import: identity.import_secret_ref.map(|import| Import {
            secret: import.name,
            key: import.key.unwrap_or_else(|| DEFAULT_KEY_ENTRY.to_owned()),
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
        fleet: peers::fleet(reflector).map(|owner| (owner.name.clone(), owner.uid.clone())),
        name: reflector.name_any(),
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

fn network(valid: &ValidNetwork) -> Option<Network> {
    let mode = match valid.mode {
        NetworkMode::Auto => Mode::Auto,
        NetworkMode::Tunneled => Mode::Tunneled,
        NetworkMode::Direct => Mode::Direct,
        NetworkMode::Unknown(_) => return None,
    };
    let port = |number: i32| u16::try_from(number).ok();
    let data_ports = match &valid.data_ports {
        None => None,
        Some(range) => Some((port(*range.start())?, port(*range.end())?)),
    };
    Some(Network {
        mode,
        port: port(valid.port)?,
        health_port: port(valid.health_port)?,
        data_ports,
        plain_on_control_port: valid.plain_on_control_port,
        on_host: valid.host_network,
    })
}

fn storage(spec: &ReflectorSpec, retain: bool) -> Storage {
    let storage = spec.identity.clone().and_then(|identity| identity.storage).unwrap_or_default();
    if let Some(claim) = storage.existing_claim {
        return Storage::Existing(claim);
    }
    let size = storage.size.map_or_else(|| DEFAULT_STORAGE.to_owned(), |size| size.to_string());
    Storage::Ours { size, class: storage.storage_class_name, retain }
}
