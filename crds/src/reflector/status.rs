//! What the operator and the pod write into a Reflector.

#![expect(clippy::doc_markdown, reason = "field descriptions are printed as they stand by kubectl explain")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// Where a reflector stands.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ReflectorStatus {
    /// The metadata.generation the operator wrote this status for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// UID of the pod whose words these are. They count only while it is the running pod's.
    #[serde(rename = "podUID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub pod_uid: Option<String>,
    /// Its Endpoint ID: what appliances check when they connect.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 69))]
    pub endpoint_id: Option<String>,
    /// The first two groups of its Endpoint ID, for columns.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 9))]
    pub short_id: Option<String>,
    /// Where appliances reach it, host and port, such as 192.0.2.10:4000.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "addresses")]
    pub addresses: Vec<String>,
    /// The node it runs on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub node: Option<String>,
    /// The version of the running reflector.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub version: Option<String>,
    /// The metadata.generation whose policy the pod has in force, not the one that was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_generation: Option<i64>,
    /// How many peers name it, or its fleet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peers: Option<PeerCounts>,
    /// Tests that run now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub active_tests: Option<i64>,
    /// Where it stands in the network: lan, wan, hybrid or unknown. It decides the default of quotas.bytesPerDay.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub network_position: Option<String>,
    /// What it found when it measured its own host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub self_test: Option<SelfTestStatus>,
    /// Ready, Scheduled, IdentityReady, PolicyCurrent, Accepting, HardwareReady; Reconciling and Stalled while true.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// How many peers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PeerCounts {
    /// Peers with an Endpoint ID that may test.
    #[schemars(range(min = 0))]
    pub authorized: i64,
    /// Peers that wait for an appliance or for approval.
    #[schemars(range(min = 0))]
    pub pairing: i64,
    /// Peers that are suspended or expired.
    #[schemars(range(min = 0))]
    pub suspended: i64,
}

/// What it found when it measured its own host.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SelfTestStatus {
    /// READY, or what stands in the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub verdict: Option<String>,
    /// Fastest test this host can serve, megabits a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_max_mbps: Option<f64>,
    /// Tunnelled over direct throughput on loopback, 0 to 1: what the encryption of one port costs this processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tunnel_tax: Option<f64>,
    /// When it ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub last_run: Option<Time>,
}

fn addresses(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "atomic",
        "items": { "description": "Host and port.", "type": "string", "maxLength": 262 },
    })
}
