//! What a person writes into a Reflector. Field descriptions are what `kubectl explain` prints.

#![expect(clippy::doc_markdown, reason = "field descriptions are printed as they stand by kubectl explain")]
#![expect(clippy::duplicated_attributes, reason = "each printer column repeats the names of its settings")]

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::quantity::DurationText;
use crate::quotas::Quotas;
use crate::schema;

use super::identity::IdentitySpec;
use super::network::NetworkSpec;
use super::placement::Placement;
use super::pod::{ImageSpec, PodTemplate, Resources};
use super::status::ReflectorStatus;
use super::window::WindowSpec;

/// One endpoint that appliances measure their network against.
#[derive(CustomResource, Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "packetparamedic.io",
    version = "v1alpha1",
    kind = "Reflector",
    plural = "reflectors",
    singular = "reflector",
    shortname = "rfl",
    category = "packetparamedic",
    namespaced,
    status = "ReflectorStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "One endpoint with one identity that appliances measure their network against. The operator runs it as one pod on the node that placement selects. Quotas, windows, access and suspend act at once and restart nothing.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(name = "Endpoint-ID", type_ = "string", json_path = ".status.shortId"),
    printcolumn(name = "Full-Endpoint-ID", type_ = "string", json_path = ".status.endpointId", priority = 1),
    printcolumn(name = "Address", type_ = "string", json_path = ".status.addresses[0]"),
    printcolumn(name = "Node", type_ = "string", json_path = ".status.node"),
    printcolumn(name = "Peers", type_ = "integer", json_path = ".status.peers.authorized"),
    printcolumn(name = "Active", type_ = "integer", json_path = ".status.activeTests"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = schema::transition::reflector()))]
pub struct ReflectorSpec {
    /// Which node it runs on. A reflector has one identity and one place: select one node, or nodes that are alike.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    /// The container image. Left out: the one of the operator's own release. The repository must be on the operator's
    /// list of allowed ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageSpec>,
    /// Where it listens and how data flows. A change restarts the pod, after running tests have ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkSpec>,
    /// Its key, and where key, ledger, audit log and last policy are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<IdentitySpec>,
    /// Who may use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access: Option<AccessSpec>,
    /// Limits of every peer; a peer's own quotas replace them field by field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quotas: Option<Quotas>,
    /// Times in which tests are denied, or outside of which they are; at most 16.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub windows: Vec<WindowSpec>,
    /// true lets running tests end, then denies new ones with the reason. Leave it out otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// When it measures its own host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub self_test: Option<SelfTestSpec>,
    /// The audit log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit: Option<AuditSpec>,
    /// Requests and limits of the container. Left out: requests of 10m and 24Mi, a memory limit of 256Mi, no CPU limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Labels, annotations and variables for the pod. Merged last; it cannot lift the pod's security settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_template: Option<PodTemplate>,
}

/// Who may use it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AccessSpec {
    /// What follows when an appliance presents a pairing code. Automatic (the default): it is a peer at once. Manual: it
    /// waits until spec.endpointId of the ReflectorPeer is set to it (`kubectl reflector approve`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// How long known peers are served while the API server is away, 0s to 30d; 24h when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration::offline_grace")]
    pub offline_grace: Option<DurationText>,
}

/// When it measures its own host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SelfTestSpec {
    /// A cron expression of five fields in UTC, such as "0 4 * * 0". The first run is a minute after the pod
    /// has started, and none begins while a test runs; meanwhile, for about eight seconds, tests are denied as busy. Left
    /// out: only when `kubectl reflector test` asks, which status does not show.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::cron")]
    pub schedule: Option<String>,
}

/// The audit log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AuditSpec {
    /// When the audit log cannot be written: Continue (the default) serves on and says so, Deny refuses new tests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailure>,
}

schema::open_enum! {
    /// What follows when an appliance presents a pairing code.
    pub enum Approval {
        /// It is a peer at once.
        Automatic,
        /// It waits for a person.
        Manual,
    }
}

schema::open_enum! {
    /// What to do when the audit log cannot be written.
    pub enum OnFailure {
        /// Serve on, and say so.
        Continue,
        /// Refuse new tests.
        Deny,
    }
}
