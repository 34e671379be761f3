//! Every message of pp-link/1 as a type, in the exact shape the ecosystem speaks.
//!
//! Field order is wire order: golden files compare byte for byte. Unknown fields are ignored when reading.

use crds::EndpointId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::engine::measured::Measured;
use crate::ledger::quota::LastTest;
use crate::reason::DenyReason;

/// What both sides send: an id that ties an answer to its question, and the message.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Envelope {
    /// Chosen by whoever asks; answers repeat it.
    pub request_id: String,
    /// The message.
    pub payload: Message,
}

/// The fourteen messages, and what `hello.features` may add. Read by [`super::decode()`] alone.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the table in docs/reference/protocol.md explains each field")]
pub enum Message {
    Hello {
        version: String,
        features: Vec<String>,
    },
    ServerHello(ServerHello),
    SessionRequest {
        test_type: TestType,
        params: SessionParams,
    },
    SessionGrant(SessionGrant),
    SessionDeny {
        reason: DenyReason,
        message: String,
        retry_after_sec: Option<u64>,
    },
    SessionClose {
        test_id: Uuid,
    },
    GetStatus,
    StatusSnapshot(StatusSnapshot),
    GetPathMeta,
    PathMeta(PathMeta),
    PairRequest {
        token: String,
    },
    PairResponse {
        success: bool,
        message: String,
        endpoint_id: Option<EndpointId>,
    },
    Ok,
    Error {
        code: u32,
        message: String,
    },
    /// Only with the feature `results`.
    SessionResult(Box<SessionResult>),
}

/// Answer to `hello`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerHello {
    /// Always "1.0".
    pub version: String,
    /// What both sides listed.
    pub features: Vec<String>,
    /// The asking peer's limits.
    pub policy_summary: PolicySummary,
    /// `lan`, `wan`, `hybrid`, `unknown`
    #[serde(default)]
    pub network_position: Option<String>,
    /// Ours: what is left of the peer's day. Missing when unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_remaining: Option<u64>,
    /// Ours, with the feature `succession`: our previous key's signature on this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succession: Option<crate::identity::Statement>,
}

/// Limits as told to the peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "named after the limits")]
pub struct PolicySummary {
    pub max_test_duration_sec: u64,
    pub max_concurrent_tests: u32,
    pub max_tests_per_hour: u32,
    pub allowed_test_types: Vec<TestType>,
}

/// The test types of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "named after the tests")]
pub enum TestType {
    Throughput,
    UdpEcho,
}

impl TestType {
    /// The wire name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Throughput => "throughput",
            Self::UdpEcho => "udp_echo",
        }
    }
}

/// Transport of a throughput test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "named after the protocols")]
pub enum Protocol {
    Tcp,
    Udp,
}

/// Parameters of a request that was well formed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the table in docs/reference/protocol.md explains each field")]
pub struct SessionParams {
    pub duration_sec: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streams: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverse: Option<bool>,
    /// Ours, with the feature `tunnel`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
}

/// How data of a session flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "named after the modes")]
pub enum Mode {
    Tunneled,
    DirectEphemeral,
}

/// A test may start now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionGrant {
    /// Names the session everywhere: audit, metrics, results.
    pub test_id: Uuid,
    /// How data flows.
    pub mode: Mode,
    /// Where the listener is; on the same address as the control connection.
    pub port: u16,
    /// Bearer token of the data plane.
    pub token: String,
    /// Granted duration plus five seconds, whole seconds.
    pub expires_at: Timestamp,
    /// Ours: the granted duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_sec: Option<u64>,
    /// Ours: bits a second that the peer may send in all streams. Missing when unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rate: Option<u64>,
}

/// Answer to `get_status`: all numbers are the asking peer's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the table in docs/reference/protocol.md explains each field")]
pub struct StatusSnapshot {
    pub endpoint_id: EndpointId,
    pub uptime_sec: u64,
    pub active_test: Option<ActiveTest>,
    pub tests_today: u32,
    pub bytes_today: u64,
    #[serde(default)]
    pub network_position: Option<String>,
    /// Ours: the session of this peer that ended last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_test: Option<LastTest>,
}

/// A running session of the asking peer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the table in docs/reference/protocol.md explains each field")]
pub struct ActiveTest {
    pub test_id: Uuid,
    pub test_type: TestType,
    pub peer_id: EndpointId,
    pub started_at: Timestamp,
    pub remaining_sec: u64,
}

/// Facts about the host and the path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the table in docs/reference/protocol.md explains each field")]
pub struct PathMeta {
    pub cpu_load: f64,
    pub memory_used_mb: u64,
    pub memory_total_mb: u64,
    pub load_avg: [f64; 3],
    pub mtu: Option<u32>,
    pub time_synced: bool,
    pub build_version: String,
    pub build_hash: String,
}

/// Ours: what a session came to. Grows with the engines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the table in docs/reference/protocol.md explains each field")]
pub struct SessionResult {
    pub test_id: Uuid,
    pub mode: Mode,
    pub end_reason: crate::reason::EndReason,
    pub duration_ms: u64,
    pub bytes: u64,
    /// Charged to the day and not part of the result.
    #[serde(default)]
    pub unread_bytes: u64,
    /// Streams, datagrams without an answer, samples of the reflector's host, what limited the test.
    #[serde(flatten)]
    pub measured: Measured,
}
