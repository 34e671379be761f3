//! What a person writes into a ReflectorPeer. Field descriptions are what `kubectl explain` prints.

#![expect(clippy::doc_markdown, reason = "field descriptions are printed as they stand by kubectl explain")]
#![expect(clippy::duplicated_attributes, reason = "each printer column repeats the names of its settings")]

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::quantity::DurationText;
use crate::quotas::Quotas;
use crate::schema;

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
#[schemars(extend("required" = ["reflectorRef"], "x-kubernetes-validations" = schema::transition::peer()))]
pub struct ReflectorPeerSpec {
    /// The Reflector or ReflectorFleet this appliance may measure against. Cannot be changed later.
    pub reflector_ref: ReflectorRef,
    /// The appliance's Endpoint ID (PP-…, 69 characters, as `reflector show-id` or the appliance prints it). Leave it
    /// out to pair with a code. Cannot be changed once set: make another object for another appliance.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::endpoint_id::typed")]
    pub endpoint_id: Option<String>,
    /// How to pair. Ignored once endpointId is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pairing: Option<PairingSpec>,
    /// What people call this appliance. At most 128 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::display_name")]
    pub display_name: Option<String>,
    /// Limits of this appliance. A field that is left out follows the Reflector's own quotas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quotas: Option<Quotas>,
    /// After this moment (RFC 3339, such as 2026-12-31T00:00:00Z) the appliance is refused and its sessions end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::typed_time")]
    pub expires_at: Option<String>,
    /// true revokes now: running tests are cut and the appliance cannot pair again. Leave it out otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
}

/// Which reflector.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["kind", "name"]))]
pub struct ReflectorRef {
    /// Reflector (one endpoint) or ReflectorFleet (each of its members).
    pub kind: ReflectorKind,
    /// Name of that object in the same namespace.
    #[schemars(schema_with = "schema::object_name")]
    pub name: String,
}

schema::open_enum! {
    /// Reflector or ReflectorFleet.
    pub enum ReflectorKind {
        /// One endpoint.
        Reflector,
        /// Each member of a fleet.
        ReflectorFleet,
    }
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
    #[schemars(schema_with = "schema::duration::pairing_ttl")]
    pub ttl: Option<DurationText>,
    /// Raise it to get a new code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub round: Option<i64>,
}
