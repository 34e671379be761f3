//! A TCP stream as its kernel sees it: samples every 100 ms, bounded in number, and what they come to. Pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Real;

/// Time between two samples of a stream.
pub const SAMPLE_INTERVAL_MS: u32 = 100;

/// Samples kept of one stream: a minute of them. When they are full, every other one goes and the interval doubles, so
/// that the whole run stays covered however long it is.
pub const MAX_SAMPLES_PER_STREAM: usize = 600;

/// Samples kept of all streams of a session: as JSON less than half of the largest frame.
pub const MAX_SAMPLES_PER_SESSION: usize = 4096;

/// What the kernel says about a connection at one moment. Counters run since the connection was opened; what an older
/// kernel does not know is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TcpState {
    /// Since the streams began.
    pub at_ms: u32,
    /// Smoothed round-trip time. 0 before the first acknowledgement.
    pub rtt_us: u32,
    /// The smallest one of the last minutes.
    pub min_rtt_us: Option<u32>,
    /// Bytes that congestion control lets be under way.
    pub cwnd_bytes: u64,
    /// Bytes that the receiver lets be under way.
    pub snd_wnd_bytes: Option<u64>,
    /// The kernel's estimate of what arrives.
    pub delivery_rate_bytes_per_s: Option<u64>,
    /// Segments sent again.
    pub retransmits: u64,
    /// Segments with data that were sent, again or not.
    pub segments: Option<u64>,
    /// Time with something to send.
    pub busy_us: Option<u64>,
    /// Of it, the time stopped by the receiver's window.
    pub rwnd_limited_us: Option<u64>,
    /// Of it, the time stopped by the send buffer.
    pub sndbuf_limited_us: Option<u64>,
    /// The largest packet the path is known to carry.
    pub pmtu_bytes: u32,
    /// Packets seen out of order.
    pub reord_seen: Option<u64>,
}

/// One stream: what it came to, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stream {
    /// As both ends number it: 1, 3, 4, 5 …
    pub id: u32,
    /// What it came to.
    #[serde(flatten)]
    pub summary: TcpSummary,
    /// Time between two of `samples`.
    pub sample_interval_ms: u32,
    /// One per interval.
    pub samples: Vec<TcpSample>,
}

/// One sample as it is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TcpSample {
    /// Since the streams began.
    pub at_ms: u32,
    /// Smoothed round-trip time.
    pub rtt_us: u32,
    /// Bytes that congestion control lets be under way.
    pub cwnd_bytes: u64,
    /// Segments sent again until now.
    pub retransmits: u64,
}

/// What a sending stream came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TcpSummary {
    /// Segments sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retransmits: Option<u64>,
    /// Segments with data that were sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segments: Option<u64>,
    /// Mean of the kernel's smoothed round-trip time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_us: Option<Real>,
    /// The smallest round-trip time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_rtt_us: Option<u32>,
    /// Median of the congestion window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwnd_bytes: Option<u64>,
    /// Median of the receiver's window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snd_wnd_bytes: Option<u64>,
    /// Median of the kernel's estimate of what arrives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_rate_mbps: Option<Real>,
    /// Time with something to send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy_ms: Option<u64>,
    /// Of it, the time stopped by the receiver's window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rwnd_limited_ms: Option<u64>,
    /// Of it, the time stopped by the send buffer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sndbuf_limited_ms: Option<u64>,
    /// The largest packet the path is known to carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pmtu_bytes: Option<u32>,
    /// Packets seen out of order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reord_seen: Option<u64>,
}
