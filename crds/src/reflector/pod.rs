//! The pod of a reflector: image, resources and what is merged into it last.

#![expect(clippy::doc_markdown, reason = "field descriptions are printed as they stand by kubectl explain")]

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::quantity::ResourceText;
use crate::schema;

/// The container image.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ImageSpec {
    /// Where it is, without tag, such as registry.example.net/reflector.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub repository: Option<String>,
    /// Its tag. Left out: the operator's own version.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub tag: Option<String>,
    /// Its digest, sha256: and 64 hexadecimal digits. It wins over the tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::pod::digest")]
    pub digest: Option<String>,
    /// When the node fetches it: IfNotPresent (the default), Always or Never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_policy: Option<PullPolicy>,
}

/// Requests and limits of the container.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Resources {
    /// What the scheduler keeps free for it, such as cpu: 10m and memory: 24Mi.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::pod::resources")]
    pub requests: BTreeMap<String, ResourceText>,
    /// What it cannot exceed, such as memory: 256Mi. A CPU limit falsifies measurements.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::pod::resources")]
    pub limits: BTreeMap<String, ResourceText>,
}

/// What is merged into the pod last.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PodTemplate {
    /// More labels. Those the operator selects by cannot be set.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::pod::pod_labels")]
    pub labels: BTreeMap<String, String>,
    /// More annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::pod::annotations")]
    pub annotations: BTreeMap<String, String>,
    /// More environment variables, such as HTTPS_PROXY; none that begins with REFLECTOR__, for which there are fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub env: Vec<EnvVariable>,
}

/// One environment variable.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["name"]))]
pub struct EnvVariable {
    /// Its name.
    #[schemars(schema_with = "schema::pod::variable_name")]
    pub name: String,
    /// Its value.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub value: Option<String>,
}

schema::open_enum! {
    /// When the node fetches an image.
    pub enum PullPolicy {
        /// When it has none.
        IfNotPresent,
        /// At each start.
        Always,
        /// Never: it was imported.
        Never,
    }
}
