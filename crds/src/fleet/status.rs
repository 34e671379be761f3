//! What the operator writes into a ReflectorFleet.

#![expect(clippy::doc_markdown, reason = "field descriptions are printed as they stand by kubectl explain")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// Where a fleet stands.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ReflectorFleetStatus {
    /// The metadata.generation this status was written for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Nodes that match and are there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub desired: Option<i64>,
    /// Members that are Ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub ready: Option<i64>,
    /// Members made from the template as it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub updated: Option<i64>,
    /// Nodes that match and have no member that is Ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub unavailable: Option<i64>,
    /// One entry per member, those whose node is gone among them; at most 64.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["reflector"]))]
    pub members: Vec<FleetMember>,
    /// Ready; Reconciling and Stalled while true.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// One member.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("required" = ["reflector"]))]
pub struct FleetMember {
    /// Name of its Reflector.
    #[schemars(length(max = 253))]
    pub reflector: String,
    /// Its node.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub node: Option<String>,
    /// Its Endpoint ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 69))]
    pub endpoint_id: Option<String>,
    /// Whether it is Ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<bool>,
}
