//! Whether the processor was slowed down by heat, or by too little voltage, during a run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Signs of a processor that was not allowed its full speed. Absent when the host has no such sensor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Thermal {
    /// A Raspberry Pi's firmware capped or throttled the processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware_throttled: Option<bool>,
    /// A Raspberry Pi's power supply was too weak.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub under_voltage: Option<bool>,
    /// How often a core or package got too hot (x86).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttle_events: Option<u64>,
}
