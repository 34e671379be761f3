//! Windows as a person writes them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::quantity::DurationText;
use crate::schema;

/// A time that returns.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("required" = ["schedule", "duration", "effect"]))]
pub struct WindowSpec {
    /// When it begins: a cron expression of five fields, such as "0 22 * * *" for each day at 22:00.
    #[schemars(schema_with = "schema::cron")]
    pub schedule: String,
    /// How long it lasts, 1s to 7d, such as 8h.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration::window")]
    pub duration: Option<DurationText>,
    /// The schedule's time zone by its IANA name, such as Europe/Paris; UTC when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time_zone")]
    pub time_zone: Option<String>,
    /// Deny: no tests inside. Allow: no tests outside of every window with Allow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<WindowEffect>,
}

schema::open_enum! {
    /// What a window does.
    pub enum WindowEffect {
        /// No tests inside.
        Deny,
        /// No tests outside.
        Allow,
    }
}
