//! Whether this host's wall clock can be compared with another's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The kernel's word on its own clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClockState {
    /// Somebody (NTP, PTP) keeps it in step.
    pub synced: bool,
    /// The most it can be off, while it is kept in step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_bound_us: Option<u64>,
    /// What the kernel counts time with, such as `tsc` or `arch_sys_counter`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}
