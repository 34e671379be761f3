//! What the CLI and the running server say to each other: one JSON line each way over the admin socket.

use crds::EndpointId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::engine::evidence::Real;
use crate::link::message::{Mode, TestType};
use crate::reason::EndReason;

/// A question to the running server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Request {
    /// `reflector status`
    Status,
    /// `reflector pair`: open a window. A window that is open is replaced.
    OpenPairing {
        /// How long the code lives.
        ttl_sec: u64,
    },
    /// `reflector pair --close`
    ClosePairing,
    /// `reflector peers list`: the live side of each peer.
    Peers,
    /// `reflector rotate-identity`: make a new key, let the old one name it, present it from now on.
    RotateIdentity,
    /// `reflector peers revoke|remove`: wait until no connection of this ID is left and its policy refuses it.
    AwaitRevoked {
        /// Who was revoked.
        endpoint_id: EndpointId,
        /// Give up after this long.
        timeout_ms: u64,
    },
    /// `reflector peers add`: wait until this ID is authorised.
    AwaitAuthorised {
        /// Who was added.
        endpoint_id: EndpointId,
        /// Give up after this long.
        timeout_ms: u64,
    },
    /// `reflector audit verify`: the last line the running server wrote.
    AuditHead,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Response {
    /// To `Status`.
    Status(Box<Status>),
    /// To `OpenPairing`.
    Pairing {
        /// Eight symbols, shown once.
        code: String,
        /// When it stops working.
        expires_at: Timestamp,
        /// Who the appliance will be talking to.
        endpoint_id: EndpointId,
    },
    /// To `Peers`.
    Peers {
        /// One per known peer.
        peers: Vec<LivePeer>,
    },
    /// To `AwaitRevoked`.
    Revoked {
        /// Connections that were closed.
        connections: u32,
        /// From the change reaching the server to the last socket closed.
        latency_ms: f64,
    },
    /// To `RotateIdentity`.
    Rotated {
        /// The ID given up; its key is in `backup`.
        old: EndpointId,
        /// The ID in force.
        new: EndpointId,
        /// Where the old key is kept.
        backup: String,
    },
    /// To `AuditHead`.
    AuditHead {
        /// Number of the last line.
        seq: u64,
        /// Its hash, hex.
        hash: String,
    },
    /// Done, nothing to say.
    Ok,
    /// Not done.
    Error {
        /// What went wrong and what to do.
        message: String,
    },
}

/// The server as `reflector status` shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Our identity.
    pub endpoint_id: EndpointId,
    /// Version of the running binary.
    pub version: String,
    /// Seconds since start.
    pub uptime_sec: u64,
    /// Control listener, as bound.
    pub listen_address: String,
    /// Health listener, as bound.
    pub health_address: String,
    /// `lan`, `wan`, `hybrid`, `unknown`.
    pub network_position: String,
    /// True when a test would be accepted now.
    pub serving: bool,
    /// What is wrong, if anything: each with what to do about it.
    pub problems: Vec<String>,
    /// Open control connections, half-open ones included.
    pub connections: u32,
    /// Running sessions.
    pub active_tests: u32,
    /// The same, each.
    #[serde(default)]
    pub running: Vec<RunningTest>,
    /// Sessions that ended since the start, newest first; the audit log has all of them.
    #[serde(default)]
    pub last_tests: Vec<EndedTest>,
    /// How the policy stands.
    pub policy: PolicyStatus,
    /// The open pairing window, if any.
    pub pairing: Option<PairingStatus>,
}

/// How the policy stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyStatus {
    /// `current`, `never_loaded`, `stale`, `grace_over`
    pub state: String,
    /// Peers that may connect.
    pub authorized: u32,
    /// Peers that are suspended or expired.
    pub refused: u32,
    /// Files or objects that cannot be used, with the reason.
    pub broken: Vec<BrokenObject>,
    /// Objects of other reflectors in the same directory.
    pub foreign: u32,
}

/// A file or object that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokenObject {
    /// File (and document) or object name.
    pub name: String,
    /// What is wrong and what to write instead.
    pub problem: String,
}

/// The open pairing window. Never holds the code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairingStatus {
    /// When the code stops working.
    pub expires_at: Timestamp,
    /// Wrong codes checked so far.
    pub wrong: u32,
    /// Since when only one code per 10 s is checked.
    pub slowed_since: Option<Timestamp>,
    /// Sources with the most wrong codes, at most five.
    pub top_sources: Vec<(String, u32)>,
}

/// A running session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunningTest {
    /// The session.
    pub test_id: Uuid,
    /// Whose it is.
    pub endpoint_id: EndpointId,
    /// What runs.
    pub test_type: TestType,
    /// How its data flows.
    pub mode: Mode,
    /// When its granted time began.
    pub started_at: Timestamp,
    /// What is left of it.
    pub remaining_sec: u64,
    /// Payload bytes so far.
    pub bytes: u64,
}

/// A session that has ended: the numbers of its line in the audit log and of the peer's result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndedTest {
    /// The session.
    pub test_id: Uuid,
    /// The object that authorised it.
    pub peer: String,
    /// What ran.
    pub test_type: TestType,
    /// How its data flowed.
    pub mode: Mode,
    /// Why it ended.
    pub end_reason: EndReason,
    /// First to last byte.
    pub duration_ms: u64,
    /// Payload bytes, both directions.
    pub bytes: u64,
    /// Payload per second, by the reflector's count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mbps: Option<Real>,
    /// Who or what limited it, and how, as far as the reflector can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
}

/// The live side of a peer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LivePeer {
    /// Object name.
    pub name: String,
    /// Its identity.
    pub endpoint_id: EndpointId,
    /// `authorized`, `suspended`, `expired`, `invalid`, …
    pub state: String,
    /// Open connections.
    pub connections: u32,
    /// Running sessions.
    pub active_tests: u32,
    /// Grants in this UTC day.
    pub tests_today: u32,
    /// Bytes in this UTC day.
    pub bytes_today: u64,
    /// What is left of the day's bytes; missing when unlimited.
    pub bytes_remaining: Option<u64>,
    /// None of this day's bytes is missed over loopback: nobody set a limit, and the default one is for metered lines.
    #[serde(default)]
    pub unlimited_on_loopback: bool,
    /// Last time it was connected.
    pub last_seen: Option<Timestamp>,
}
