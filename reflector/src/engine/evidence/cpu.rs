//! Processor time of this host, of this process and of its busiest thread during a run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Real;

/// Use of the processor during one run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CpuUse {
    /// Cores that are switched on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<u32>,
    /// Processor time of this process, user and system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process_s: Option<Real>,
    /// The thread of this process that used most of one core.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busiest_thread_percent: Option<Real>,
    /// The busiest core, whoever used it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busiest_core_percent: Option<Real>,
    /// The core that spent most of its time on the kernel's packet work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busiest_softirq_percent: Option<Real>,
    /// Time that a hypervisor gave to others, of all cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steal_percent: Option<Real>,
    /// Periods in which our cgroup had used up its processor time. Absent without a limit to be held to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup_throttled_periods: Option<u64>,
}
