//! What a peer may do, after everything has been folded together. Plain values; nobody downstream reads a raw object.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::reason::{EndReason, RefuseReason};

use super::windows::Window;

/// The limits in force for one peer: its own, over the reflector's, over the defaults, field by field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quotas {
    /// Longest test granted.
    pub max_test_duration: Duration,
    /// This peer's own sessions at one time.
    pub max_concurrent_tests: u32,
    /// Grants in any sliding 3600 s.
    pub tests_per_hour: u32,
    /// Bytes a UTC day, both directions. `None`: unlimited.
    pub bytes_per_day: Option<u64>,
    /// The same over loopback, where nothing is metered. Differs only while nobody set a limit and the default of where
    /// the reflector stands holds.
    pub bytes_per_day_on_loopback: Option<u64>,
    /// Pause after the last session of a connection.
    pub cooldown: Duration,
    /// Throughput tests may run.
    pub allow_throughput: bool,
    /// UDP echo tests may run.
    pub allow_udp_echo: bool,
    /// Streams when the request names none.
    pub default_streams: u32,
    /// Most streams a test may use.
    pub max_streams: u32,
    /// Echo packets per second.
    pub max_echo_pps: u32,
    /// Bits per second a test may move. `None`: no cap.
    pub max_rate: Option<u64>,
}

/// Everything admission needs to know about one authorised peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Name of the object that authorises this peer (`living-room`), for audit, metrics and messages.
    pub peer: Arc<str>,
    /// What a person calls it.
    pub display_name: Option<Arc<str>>,
    /// Limits of this peer.
    pub quotas: Quotas,
    /// Sessions of all peers together at one time.
    pub total_concurrent_tests: u32,
    /// When tests may or may not run.
    pub windows: Arc<[Window]>,
    /// After this moment the peer is refused.
    pub expires_at: Option<Timestamp>,
    /// The whole reflector is suspended: connections stay, tests are denied `busy`.
    pub reflector_suspended: bool,
}

impl Policy {
    /// As it holds for a connection from this address. Sessions, and whoever tells a peer its limits, ask.
    #[must_use]
    pub fn seen_from(self: &Arc<Self>, source: IpAddr) -> Arc<Self> {
        let limit = self.quotas.bytes_per_day_on_loopback;
        if !source.is_loopback() || self.quotas.bytes_per_day == limit {
            return Arc::clone(self);
        }
        let quotas = Quotas { bytes_per_day: limit, ..self.quotas.clone() };
        Arc::new(Self { quotas, ..(**self).clone() })
    }
}

/// Where a peer stands right now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// May do what its policy says.
    Allowed(Arc<Policy>),
    /// May not connect; running sessions end.
    Refused(Refusal),
}

/// Why a peer may not connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No object names this ID. The only refusal that pairing can cure.
    Unknown,
    /// Was authorised a moment ago; its object was deleted or now names another ID.
    Removed,
    /// `suspend: true`: revoked, and cannot pair again.
    Suspended {
        /// The object that says so.
        peer: Arc<str>,
    },
    /// `expiresAt` has passed.
    Expired {
        /// The object that says so.
        peer: Arc<str>,
    },
    /// Names this ID, but is invalid; denied by name, never guessed.
    Invalid {
        /// The object that is broken.
        peer: Arc<str>,
    },
    /// No policy was ever loaded: nobody is known.
    NeverLoaded,
    /// The source of policy has been away longer than `offlineGrace`.
    GraceOver,
}

impl Refusal {
    /// Stable name for audit and metrics.
    pub fn reason(&self) -> RefuseReason {
        match self {
            Self::Unknown => RefuseReason::UnknownPeer,
            Self::Removed => RefuseReason::Revoked,
            Self::Suspended { .. } => RefuseReason::Suspended,
            Self::Expired { .. } => RefuseReason::Expired,
            Self::Invalid { .. } => RefuseReason::InvalidPeer,
            Self::NeverLoaded => RefuseReason::NoPolicy,
            Self::GraceOver => RefuseReason::GraceOver,
        }
    }

    /// How a session that was running ends.
    pub fn end_reason(&self) -> EndReason {
        match self {
            Self::Suspended { .. } => EndReason::Suspended,
            Self::Expired { .. } | Self::GraceOver => EndReason::Expired,
            Self::Unknown | Self::Removed | Self::Invalid { .. } | Self::NeverLoaded => EndReason::Revoked,
        }
    }
}
