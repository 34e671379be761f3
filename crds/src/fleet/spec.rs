//! What a person writes into a ReflectorFleet. Field descriptions are what `kubectl explain` prints.

#![expect(clippy::doc_markdown, reason = "field descriptions are printed as they stand by kubectl explain")]
#![expect(clippy::duplicated_attributes, reason = "each printer column repeats the names of its settings")]

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Toleration;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::reflector::ReflectorSpec;
use crate::schema;

use super::status::ReflectorFleetStatus;

/// One Reflector on each node that matches.
#[derive(CustomResource, Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "packetparamedic.io",
    version = "v1alpha1",
    kind = "ReflectorFleet",
    plural = "reflectorfleets",
    singular = "reflectorfleet",
    shortname = "rfleet",
    category = "packetparamedic",
    namespaced,
    status = "ReflectorFleetStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "One Reflector, with an identity of its own, on each node that matches; at most 64. A peer that names the fleet may use every member.",
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
    printcolumn(name = "Desired", type_ = "integer", json_path = ".status.desired"),
    printcolumn(name = "Serving", type_ = "integer", json_path = ".status.ready"),
    printcolumn(name = "Updated", type_ = "integer", json_path = ".status.updated"),
    printcolumn(name = "Unavailable", type_ = "integer", json_path = ".status.unavailable"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("required" = ["nodeSelector", "template"]))]
pub struct ReflectorFleetSpec {
    /// Labels of the nodes that get a member, such as packetparamedic.io/site: home. For every node write
    /// kubernetes.io/os: linux.
    #[schemars(schema_with = "node_selector")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints of these nodes that do not keep a member away, as in a pod.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::pod::tolerations")]
    pub tolerations: Vec<Toleration>,
    /// What each member is made from.
    pub template: ReflectorTemplate,
    /// How a change of the template reaches the members.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// What follows when a node is deleted. false, the default: its member and claim stay, and are used again when it
    /// returns. true: both are deleted, and the identity with them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prune: Option<bool>,
}

/// What each member is made from.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["spec"], "x-kubernetes-validations" = template_rules()))]
pub struct ReflectorTemplate {
    /// Labels and annotations of each member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<TemplateMetadata>,
    /// The spec of each member, as in a Reflector; {} for the defaults. Its node is selected by the fleet.
    pub spec: ReflectorSpec,
}

/// Labels and annotations of each member.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TemplateMetadata {
    /// More labels. Those the operator selects by cannot be set.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::pod::pod_labels")]
    pub labels: BTreeMap<String, String>,
    /// More annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::pod::annotations")]
    pub annotations: BTreeMap<String, String>,
}

/// How a change of the template reaches the members.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Rollout {
    /// Most members that are changed at one time, 1 to 64; 1 when left out. Running tests end first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 64))]
    pub max_unavailable: Option<i64>,
}

fn node_selector(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let mut schema = schema::pod::labels(generator);
    schema.insert(
        "x-kubernetes-validations".into(),
        schema::rule::rules(&[(
            "self.size() > 0",
            "is empty: write a label of the nodes, such as kubernetes.io/os: linux for every node",
        )]),
    );
    schema
}

fn template_rules() -> serde_json::Value {
    let identity = "!has(self.spec.identity)";
    schema::rule::rules(&[
        (
            format!(
                "{identity} || !has(self.spec.identity.storage) || !has(self.spec.identity.storage.existingClaim)"
            ),
            "members cannot share a claim: remove spec.identity.storage.existingClaim",
        ),
        (
            format!("{identity} || !has(self.spec.identity.importSecretRef)"),
            "members cannot share a key: remove spec.identity.importSecretRef, and import keys one Reflector at a time",
        ),
    ])
}
