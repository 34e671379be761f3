//! What a person writes into a ReflectorPeer. Field descriptions are what `kubectl explain` prints.

#![expect(clippy::doc_markdown, reason = "field descriptions are printed as they stand by kubectl explain")]
#![expect(clippy::duplicated_attributes, reason = "each printer column repeats the names of its settings")]

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::quantity::{Amount, DurationText};

use super::schema;
use super::status::ReflectorPeerStatus;

/// One appliance and what it may do on one Reflector or on every member of one ReflectorFleet.
#[derive(CustomResource, Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "packetparamedic.io",
    version = "v1alpha1",
    kind = "ReflectorPeer",
    plural = "reflectorpeers",
    singular = "reflectorpeer",
    shortname = "rpeer",
    category = "packetparamedic",
    namespaced,
    status = "ReflectorPeerStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "One appliance and what it may do on one Reflector or on every member of one ReflectorFleet. Deleting the object, or setting spec.suspend, ends the appliance's sessions within two seconds.",
    selectable = ".spec.reflectorRef.name",
    selectable = ".spec.reflectorRef.kind",
    printcolumn(name = "Reflector", type_ = "string", json_path = ".spec.reflectorRef.name"),
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
    printcolumn(name = "Tests", type_ = "integer", json_path = ".status.usage.testsToday"),
    printcolumn(name = "Bytes", type_ = "integer", json_path = ".status.usage.bytesToday"),
    printcolumn(name = "Remaining", type_ = "integer", json_path = ".status.usage.bytesRemaining"),
    printcolumn(name = "Last-Seen", type_ = "date", json_path = ".status.lastSeen"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", default)]
pub struct ReflectorPeerSpec {
    /// The Reflector or ReflectorFleet this appliance may measure against. Cannot be changed later.
    #[schemars(required)]
    pub reflector_ref: ReflectorRef,
    /// The appliance's Endpoint ID (PP-…, 69 characters, as `reflector show-id` or the appliance prints it). Leave it
    /// out to pair with a code. Cannot be changed once set: make another object for another appliance.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::endpoint_id")]
    pub endpoint_id: Option<String>,
    /// How to pair. Ignored once endpointId is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pairing: Option<PairingSpec>,
    /// What people call this appliance. At most 128 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub display_name: Option<String>,
    /// Limits of this appliance. A field that is left out follows the Reflector's own quotas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quotas: Option<PeerQuotas>,
    /// After this moment (RFC 3339, such as 2026-12-31T00:00:00Z) the appliance is refused and its sessions end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::expires_at")]
    pub expires_at: Option<String>,
    /// true revokes now: running tests are cut and the appliance cannot pair again. Leave it out otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
}

/// Which reflector.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ReflectorRef {
    /// Reflector (one endpoint) or ReflectorFleet (each of its members).
    #[schemars(required)]
    pub kind: ReflectorKind,
    /// Name of that object in the same namespace.
    #[schemars(required, length(min = 1, max = 253))]
    pub name: String,
}

/// Reflector or ReflectorFleet. A kind of a newer release survives reading and is refused by validation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReflectorKind {
    /// One endpoint.
    Reflector,
    /// Each member of a fleet.
    ReflectorFleet,
    /// Something this release does not know.
    #[serde(untagged)]
    Unknown(String),
}

impl Default for ReflectorKind {
    /// A missing kind, which is not a kind.
    fn default() -> Self {
        Self::Unknown(String::new())
    }
}

/// How to pair.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PairingSpec {
    /// How long a code lives: 1s to 24h, 10m when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<DurationText>,
    /// Raise it to get a new code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub round: Option<i64>,
}

/// Limits of one appliance.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PeerQuotas {
    /// Longest test granted, 1s to 300s. A longer request is shortened to this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_test_duration: Option<DurationText>,
    /// This appliance's sessions at one time. The Reflector's own limit over all appliances holds besides.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 64))]
    pub max_concurrent_tests: Option<i64>,
    /// Tests in any 3600 seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub tests_per_hour: Option<i64>,
    /// Bytes a UTC day, both directions together, such as 5G. A running test is cut when they are used up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_day: Option<Amount>,
    /// Pause between two tests, such as 5s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cooldown: Option<DurationText>,
    /// Which tests may run: Throughput, UdpEcho. To allow none, set spec.suspend.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::allowed_tests")]
    pub allowed_tests: Option<Vec<TestType>>,
    /// Most parallel streams of a throughput test.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 128))]
    pub max_streams: Option<i64>,
    /// Most echo packets a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_echo_pps: Option<i64>,
    /// Bits per second a test may move, such as 500M. We pace when sending and end a sender that exceeds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_rate: Option<Amount>,
}

/// A kind of test. A name of a newer release survives reading and is refused by validation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TestType {
    /// TCP or UDP throughput.
    Throughput,
    /// Round-trip times, jitter and loss of small UDP packets.
    UdpEcho,
    /// Something this release does not know.
    #[serde(untagged)]
    Unknown(String),
}
