//! The interface that carries a test, and packets that this host threw away.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An interface during one run. Counters are those of the run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NicUse {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// Speed of the link. Absent for interfaces without one, such as virtual ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed_mbps: Option<u64>,
    /// The largest packet it carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu_bytes: Option<u32>,
    /// Packets the interface received and dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receive_drops: Option<u64>,
    /// Packets the interface did not get out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_drops: Option<u64>,
    /// Datagrams for which a socket of this host had no room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub udp_receive_buffer_drops: Option<u64>,
    /// Datagrams this host could not send for want of room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub udp_send_buffer_drops: Option<u64>,
    /// Packets of which fragments were missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reassembly_failures: Option<u64>,
    /// TCP segments this host threw away because a queue was full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp_queue_drops: Option<u64>,
}
