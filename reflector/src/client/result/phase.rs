//! One run of a test: what moved, when, and what stopped it from being more.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::evidence::Real;
use crate::engine::evidence::limit::{Direction, Limit};
use crate::engine::evidence::tcp::TcpSummary;

use super::measured::{CpuCost, Echo, Udp};

/// One run in one direction. A test of both directions at once is two phases with one `test_id`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Phase {
    /// `down`, `up`, `bidir-down`, `bidir-up` or `echo`. With `--compare` a name comes more than once.
    pub name: String,
    /// How the data travelled.
    pub mode: PhaseMode,
    /// What it travelled in. Absent for a run of echoes alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
    /// The session, as audit and metrics of the reflector name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_id: Option<String>,
    /// How it ended: `completed`, or what cut it.
    pub end_reason: String,
    /// First to last byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<Real>,
    /// Payload that arrived.
    pub bytes: u64,
    /// Payload per second over the whole run, by the receiver's count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mbps: Option<Real>,
    /// The same without the first two seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steady_mbps: Option<Real>,
    /// Each stream.
    #[serde(default)]
    pub streams: Vec<Stream>,
    /// What arrived, every 100 ms.
    #[serde(default)]
    pub intervals: Vec<Interval>,
    /// Loss and jitter. Only of UDP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub udp: Option<Udp>,
    /// Echoes before the streams ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub echo_idle: Option<Echo>,
    /// Echoes while the streams ran; in a run of echoes alone, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub echo_loaded: Option<Echo>,
    /// Processor time per GB.
    #[serde(default)]
    pub cpu: CpuCost,
    /// What kept it from being more.
    pub limit: Limit,
}

/// How data travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PhaseMode {
    /// On the path itself.
    Direct,
    /// Inside TLS connections on the control port. Loss and round-trip times are the tunnel's, not the path's.
    Tunneled,
}

/// What data travels in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// One stream. Everything below `mbps` is the sender's `TCP_INFO`, and absent for UDP.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stream {
    /// As both ends number it: 1, 3, 4, 5 …
    pub id: u32,
    /// Payload that arrived.
    pub bytes: u64,
    /// Payload per second, by the receiver's count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mbps: Option<Real>,
    /// What its sender's kernel says. Empty for UDP.
    #[serde(flatten)]
    pub tcp: TcpSummary,
}

/// What arrived in one interval.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Interval {
    /// Begin, since the streams began.
    pub start_s: Real,
    /// End.
    pub end_s: Real,
    /// Payload that arrived, of all streams.
    pub bytes: u64,
    /// Payload per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mbps: Option<Real>,
    /// Payload of each stream, in the order of `streams`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stream_bytes: Vec<u64>,
    /// Mean of the kernel's smoothed round-trip time over the streams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_us: Option<Real>,
}

impl Stream {
    /// A stream that carried `bytes` in `seconds`; `tcp` is what its sender's kernel says.
    pub fn new(id: u32, bytes: u64, seconds: f64, tcp: Option<&TcpSummary>) -> Self {
        Self { id, bytes, mbps: Real::mbps(bytes, seconds), tcp: tcp.cloned().unwrap_or_default() }
    }
}

impl Interval {
    /// One interval from the bytes of each stream; times are since the streams began.
    pub fn new(start_s: f64, end_s: f64, stream_bytes: Vec<u64>) -> Self {
        let bytes = stream_bytes.iter().fold(0u64, |sum, bytes| sum.saturating_add(*bytes));
        Self {
            start_s: Real::of(start_s).unwrap_or_default(),
            end_s: Real::of(end_s).unwrap_or_default(),
            bytes,
            mbps: Real::mbps(bytes, end_s - start_s),
            stream_bytes,
            rtt_us: None,
        }
    }
}

impl Phase {
    /// Which way the data flowed; `None` for a run of echoes.
    pub fn direction(&self) -> Option<Direction> {
        match self.name.strip_prefix("bidir-").unwrap_or(&self.name) {
            "up" => Some(Direction::Up),
            "down" => Some(Direction::Down),
            _ => None,
        }
    }
}
