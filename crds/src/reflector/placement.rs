//! Where a reflector runs.

#![expect(clippy::doc_markdown, reason = "field descriptions are printed as they stand by kubectl explain")]

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, Toleration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// Which node it runs on.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Placement {
    /// Labels the node must have, such as kubernetes.io/hostname: pi5-attic.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::pod::labels")]
    pub node_selector: BTreeMap<String, String>,
    /// Finer rules about nodes and other pods, as in a pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::pod::affinity")]
    pub affinity: Option<Affinity>,
    /// Taints of the node that do not keep it away, as in a pod. Those for not-ready and unreachable nodes are added: a
    /// reflector cannot go elsewhere.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::pod::tolerations")]
    pub tolerations: Vec<Toleration>,
    /// The pod's PriorityClass.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub priority_class_name: Option<String>,
}
