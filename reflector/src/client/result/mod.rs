//! What a test came to: the one JSON object `reflector.test/1`.
//!
//! In: what the runs measured. Out: a [`TestResult`], which is written as JSON, saved, and read by every kind of report.
//! Its keys name their units and keep their order; a version only gains keys. What was not measured is absent and
//! listed in `not_measured`, with why: there is no zero that means "not known".

mod measured;
mod missing;
mod phase;
#[cfg(test)]
pub(crate) mod samples;
mod schema;
mod score;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::evidence::Real;
use crate::engine::evidence::clock::ClockState;

pub use measured::{Bin, CpuCost, Delay, Echo, EchoMethod, LostIn, OneWay, Udp, histogram};
pub use missing::NotMeasured;
pub use phase::{Interval, Phase, PhaseMode, Stream, Transport};
pub use schema::json_schema;
pub use score::{Grade, METHOD, PhaseScore, Responsiveness, per_minute, responsiveness, trimmed_mean};

/// Name and version of the format.
pub const SCHEMA: &str = "reflector.test/1";

/// One test: all that was measured, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TestResult {
    /// Always `reflector.test/1`.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: String,
    /// Version of the program that measured.
    pub version: String,
    /// When the test began.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub started_at: Timestamp,
    /// Where it was measured from.
    pub local: Local,
    /// What it was measured against.
    pub reflector: Remote,
    /// The runs, in the order they were made.
    pub phases: Vec<Phase>,
    /// How quickly the path answers while it is full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub responsiveness: Option<Responsiveness>,
    /// What the tunnel costs. Only with `--compare`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tunnel_tax: Option<TunnelTax>,
    /// What the test cost.
    pub usage: Usage,
    /// Whatever is absent above although this kind of test has it.
    #[serde(default)]
    pub not_measured: Vec<NotMeasured>,
    /// What a reader of the numbers should know.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// The host that measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Local {
    /// Our identity, when the other end is a reflector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint_id: Option<String>,
    /// The address the test left from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The operating system's kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// The processor's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_model: Option<String>,
    /// Cores that may be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<u32>,
    /// The interface the test left through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// Its speed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_mbps: Option<u64>,
    /// Its largest packet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu_bytes: Option<u32>,
    /// Our clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockState>,
}

/// The other end.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Remote {
    /// Host and port as they were given.
    pub target: String,
    /// What answered.
    pub kind: RemoteKind,
    /// Its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Its identity, proven in the handshake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint_id: Option<String>,
    /// The version it says it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// `lan`, `wan`, `hybrid` or `unknown`, as it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_position: Option<String>,
    /// The speed of its interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_mbps: Option<u64>,
    /// The largest packet of its interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu_bytes: Option<u32>,
    /// Load of its processors before the test: 1 is every core busy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_load: Option<Real>,
    /// Its clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockState>,
}

/// What the other end is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RemoteKind {
    /// A reflector.
    #[default]
    Reflector,
    /// A stock iperf3 server: no identity, no echo, no session result.
    Iperf3,
}

/// Tunnelled data against data sent directly, over the same path in turns.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TunnelTax {
    /// How many runs of each.
    pub pairs: u32,
    /// Rate in the tunnel, as a part of the rate without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_ratio: Option<Real>,
    /// Processor seconds per GB in the tunnel, as a multiple of those without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ratio: Option<Real>,
    /// What the tunnel adds to the median round-trip time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub echo_p50_difference_us: Option<Real>,
}

/// What the test cost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// Sessions that were granted.
    pub tests: u32,
    /// Bytes the test moved, both ways, as this end counted them.
    pub bytes: u64,
    /// Bytes the reflector charged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charged_bytes: Option<u64>,
    /// Bytes left today. Absent when there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining_bytes: Option<u64>,
}

impl TestResult {
    /// As `--json` prints it and the history keeps it.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }

    /// Reads a result of this version or a later one that only gained keys.
    pub fn from_json(text: &str) -> serde_json::Result<Self> {
        let result: Self = serde_json::from_str(text)?;
        if result.schema == SCHEMA {
            Ok(result)
        } else {
            Err(serde::de::Error::custom(format!("the format is {:?}, not {SCHEMA:?}", result.schema)))
        }
    }
}
