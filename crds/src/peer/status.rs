//! What the operator and the reflectors write into a ReflectorPeer. Nothing here grants anything except
//! `endpointId`, which the operator sets when a pairing is bound.

#![expect(clippy::doc_markdown, reason = "field descriptions are printed as they stand by kubectl explain")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// Where a peer stands.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ReflectorPeerStatus {
    /// The metadata.generation this status was written for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The Endpoint ID in force: spec.endpointId, or the one a pairing bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 69))]
    pub endpoint_id: Option<String>,
    /// Its first two groups, for columns.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 9))]
    pub short_id: Option<String>,
    /// The pairing, while there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pairing: Option<PairingStatus>,
    /// When the pairing was bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub paired_at: Option<Time>,
    /// Usage on its one reflector, or the sum over the fleet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Last time it was connected to any reflector.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub last_seen: Option<Time>,
    /// Its newest test on any reflector.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_test: Option<LastTest>,
    /// One entry per reflector.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub reflectors: Vec<PeerReflectorStatus>,
    /// Ready, Paired, QuotaAvailable, Revoked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// A pairing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PairingStatus {
    /// Waiting, Claimed, Bound or Expired.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub state: Option<PairingState>,
    /// Public key derived from the code; proves a claim without telling the code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub code_key: Option<String>,
    /// When the code stops working.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub expires_at: Option<Time>,
    /// Four groups of the claiming Endpoint ID, to compare with what the appliance shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub confirm: Option<String>,
    /// The Endpoint ID that proved the code and waits for approval. It authorises nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 69))]
    pub endpoint_id: Option<String>,
    /// The spec.pairing.round this is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub round: Option<i64>,
    /// Secret that has the code, while there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub secret: Option<String>,
    /// uid of that Secret: no other one is ever removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 36))]
    pub secret_uid: Option<String>,
    /// uid of the Reflector or fleet the code was made for: it is part of the code's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 36))]
    pub reference_uid: Option<String>,
}

/// How far a pairing is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(with = "String", inline)]
pub enum PairingState {
    /// The code waits for an appliance.
    Waiting,
    /// An appliance presented the code and waits for approval.
    Claimed,
    /// Done.
    Bound,
    /// Nobody came in time.
    Expired,
    /// Something this release does not know.
    #[serde(untagged)]
    Unknown(String),
}

/// What was used today (UTC).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Usage {
    /// Tests granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tests_today: Option<i64>,
    /// Bytes moved, both directions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_today: Option<i64>,
    /// Bytes left; missing when unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_remaining: Option<i64>,
    /// Requests denied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denied_today: Option<i64>,
    /// The day, such as 2026-11-21.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 10))]
    pub day: Option<String>,
}

/// A finished test.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LastTest {
    /// The same ID as in audit and metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 36))]
    pub test_id: Option<String>,
    /// Throughput or UdpEcho.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub test_type: Option<String>,
    /// Direct or Tunneled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub mode: Option<String>,
    /// Upload, Download or Bidirectional, as the appliance sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub direction: Option<String>,
    /// Payload bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
    /// How long it ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<i64>,
    /// Megabits a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mbps: Option<f64>,
    /// Median round trip, microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt_p50_us: Option<f64>,
    /// Packets lost, percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_pct: Option<f64>,
    /// What limited the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub limit: Option<String>,
    /// Why it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub end_reason: Option<String>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub at: Option<Time>,
}

/// This peer on one reflector.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("required" = ["name"]))]
pub struct PeerReflectorStatus {
    /// The reflector.
    #[schemars(length(max = 253))]
    pub name: String,
    /// The generation of this peer that reflector enforces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loaded_generation: Option<i64>,
    /// The Endpoint ID that reflector enforces it for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 69))]
    pub loaded_endpoint_id: Option<String>,
    /// Last time it was connected there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub last_seen: Option<Time>,
    /// Where it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub last_address: Option<String>,
    /// What it used there today.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Its newest test there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_test: Option<LastTest>,
    /// The last revocation there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation: Option<Revocation>,
    /// An appliance that presented the code there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
    /// Wrong codes seen there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pairing: Option<PairingCounts>,
}

/// How fast a revocation took hold.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Revocation {
    /// When the last socket was closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub enforced_at: Option<Time>,
    /// From the change reaching the reflector to the last socket closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
}

/// A code presented by an appliance, signed with the key the code stands for.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Claim {
    /// Who presented it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 69))]
    pub endpoint_id: Option<String>,
    /// From which address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub from: Option<String>,
    /// When; informational.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub at: Option<Time>,
    /// Signature by the code's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub proof: Option<String>,
}

/// Wrong pairing codes on one reflector.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PairingCounts {
    /// Wrong codes checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrong: Option<i64>,
    /// Since when only one code per ten seconds is checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub slowed_since: Option<Time>,
    /// Where most wrong codes came from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5), extend("x-kubernetes-list-type" = "atomic"))]
    pub top_sources: Vec<WrongCodeSource>,
}

/// One source of wrong codes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct WrongCodeSource {
    /// An IPv4 address or an IPv6 /64.
    #[schemars(length(max = 64))]
    pub source: String,
    /// How many.
    pub wrong: i64,
}
