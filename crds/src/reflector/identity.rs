//! The key of a reflector, and where it is kept.

#![expect(clippy::doc_markdown, reason = "field descriptions are printed as they stand by kubectl explain")]

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::quantity::Amount;
use crate::schema;

/// Smallest claim, in bytes: key, ledger and last policy fit beside a short audit log.
pub const MIN_STORAGE: u64 = 16 << 20;

/// Its key, and where key, ledger, audit log and last policy are kept.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct IdentitySpec {
    /// The claim. Cannot be changed later: the identity would be left behind.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = storage_rules()))]
    pub storage: Option<StorageSpec>,
    /// true, the default: the claim stays when the Reflector is deleted, and one of the same name finds its identity
    /// again. false: the identity goes with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retain: Option<bool>,
    /// A Secret with an existing key to adopt, for a reflector that moves here. Read by the pod only, and only while the
    /// claim holds no key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import_secret_ref: Option<ImportSecretRef>,
    /// Raise it by one to get a new key: appliances learn it from the old one. It cannot be lowered; 0 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub rotation: Option<i64>,
}

/// The claim.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct StorageSpec {
    /// Its size, at least 16Mi; 64Mi when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::amount::storage")]
    pub size: Option<Amount>,
    /// Its StorageClass, such as local-path. Left out: the cluster's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub storage_class_name: Option<String>,
    /// Name of a claim that exists already in this namespace, instead of a new one. It is never deleted by us.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub existing_claim: Option<String>,
}

/// A Secret with a key.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["name"]))]
pub struct ImportSecretRef {
    /// The Secret, in this namespace.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Which of its entries holds the 32 bytes of the key; identity.ed25519 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub key: Option<String>,
}

fn storage_rules() -> serde_json::Value {
    schema::rule::rules(&[(
        "!has(self.existingClaim) || !has(self.size) && !has(self.storageClassName)",
        "existingClaim has its own size and class: remove size and storageClassName",
    )])
}
