//! What is worth an audit line, and what stands in it.

use std::net::IpAddr;
use std::time::Duration;

use crds::EndpointId;
use serde_json::Value;
use uuid::Uuid;

/// The nine event types. Names are stable API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the documentation; the table in the docs explains each")]
pub enum EventType {
    ConnectionAccepted,
    ConnectionDenied,
    SessionGranted,
    SessionDenied,
    SessionCompleted,
    PairingEnabled,
    PeerPaired,
    PeerRemoved,
    IdentityRotated,
}

impl EventType {
    /// Every type, in the order of the documentation.
    pub const ALL: [Self; 9] = [
        Self::ConnectionAccepted,
        Self::ConnectionDenied,
        Self::SessionGranted,
        Self::SessionDenied,
        Self::SessionCompleted,
        Self::PairingEnabled,
        Self::PeerPaired,
        Self::PeerRemoved,
        Self::IdentityRotated,
    ];

    /// The stable name, as `event_type` says it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConnectionAccepted => "connection_accepted",
            Self::ConnectionDenied => "connection_denied",
            Self::SessionGranted => "session_granted",
            Self::SessionDenied => "session_denied",
            Self::SessionCompleted => "session_completed",
            Self::PairingEnabled => "pairing_enabled",
            Self::PeerPaired => "peer_paired",
            Self::PeerRemoved => "peer_removed",
            Self::IdentityRotated => "identity_rotated",
        }
    }
}

/// One event. The writer adds sequence number, time, our own Endpoint ID and the hash chain.
#[derive(Debug, Clone)]
pub struct Event {
    /// What happened.
    pub kind: EventType,
    /// The other side, once its key is known.
    pub peer_id: Option<EndpointId>,
    /// Name of the peer's object, once known.
    pub peer_name: Option<String>,
    /// Where it came from.
    pub source: Option<IpAddr>,
    /// The session.
    pub test_id: Option<Uuid>,
    /// `throughput`, `udp_echo`
    pub test_type: Option<&'static str>,
    /// Parameters as granted or asked for. More than 2 KiB are replaced by their size.
    pub params: Option<Value>,
    /// `allowed`, `denied`
    pub decision: Option<&'static str>,
    /// A name from `reason.rs`.
    pub reason: Option<&'static str>,
    /// Payload bytes of the session.
    pub bytes: Option<u64>,
    /// Length of the session.
    pub duration: Option<Duration>,
    /// What a denied appliance was told. For the log: a line of the audit log has its reason alone.
    pub message: Option<String>,
    /// When it was told to come back. Likewise.
    pub retry_after_sec: Option<u64>,
}

impl Event {
    /// An event with everything else left out.
    pub fn new(kind: EventType) -> Self {
        Self {
            kind,
            peer_id: None,
            peer_name: None,
            source: None,
            test_id: None,
            test_type: None,
            params: None,
            decision: None,
            reason: None,
            bytes: None,
            duration: None,
            message: None,
            retry_after_sec: None,
        }
    }
}
