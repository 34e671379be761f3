//! What comes out of validation, and the bounds it holds every field to.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use crate::EndpointId;

/// Longest test: an appliance measures for seconds; five minutes of a full link are a bill.
pub const MAX_TEST_DURATION: Duration = Duration::from_secs(300);
/// Most sessions at one time; each may hold ports and threads.
pub const MAX_CONCURRENT_TESTS: u32 = 64;
/// Most grants an hour; each is a durable record for an hour.
pub const MAX_TESTS_PER_HOUR: u32 = 10_000;
/// Largest byte or bit amount an object can hold.
pub const MAX_BYTE_AMOUNT: u64 = i64::MAX as u64;
/// Longest pause between tests; a longer one is a suspension.
pub const MAX_COOLDOWN: Duration = Duration::from_secs(86_400);
/// Most parallel streams; iperf3 itself stops at 128.
pub const MAX_STREAMS: u32 = 128;
/// Most echo packets a second; above that it is no latency probe any more.
pub const MAX_ECHO_PPS: u32 = 100_000;
/// Lowest rate: below it not one packet a second leaves.
pub const MIN_RATE: u64 = 12_000;
/// A code that lives longer would be written down.
pub const MAX_PAIRING_TTL: Duration = Duration::from_secs(86_400);
/// Shorter is no window.
pub const MIN_PAIRING_TTL: Duration = Duration::from_secs(1);
/// What link.md gives a code when nothing is said.
pub(super) const DEFAULT_PAIRING_TTL: Duration = Duration::from_secs(600);
/// Longest display name, in characters: it stands in tables and log lines.
pub const MAX_DISPLAY_NAME: usize = 128;
/// Longest object name (DNS-1123 subdomain).
pub const MAX_NAME: usize = 253;

/// A field that cannot stay as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where, as one would pass it to `kubectl explain`: `spec.quotas.maxStreams`. Empty for the whole object.
    pub path: String,
    /// What is wrong and what to write. Bounded, whatever the field held.
    pub message: String,
}

/// Longest message of a problem, in characters: it stands in status and logs, and may quote what was typed.
const MAX_MESSAGE: usize = 300;

impl Problem {
    pub(super) fn new(path: impl Into<String>, message: impl fmt::Display) -> Self {
        let message = message.to_string();
        let mut short: String = message.chars().take(MAX_MESSAGE).collect();
        if short.len() < message.len() {
            short.push('…');
        }
        Self { path: path.into(), message: short }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{} {}", self.path, self.message)
        }
    }
}

/// A peer that needs no further checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidPeer {
    /// `metadata.name`
    pub name: String,
    /// `metadata.creationTimestamp`; missing in a manifest.
    pub created: Option<Timestamp>,
    /// Whose peer it is.
    pub reflector: ValidRef,
    /// `spec.endpointId`, else the one a pairing bound. `None`: waits for pairing and authorises nobody.
    pub endpoint_id: Option<EndpointId>,
    /// Life of a code.
    pub pairing_ttl: Duration,
    /// Which code.
    pub pairing_round: u32,
    /// What people call it.
    pub display_name: Option<String>,
    /// Its own limits.
    pub quotas: ValidQuotas,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// Revoked.
    pub suspended: bool,
}

/// Whose peer it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidRef {
    /// One endpoint or a fleet.
    pub kind: RefKind,
    /// Its name.
    pub name: String,
}

/// The two kinds a peer can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefKind {
    /// One endpoint.
    Reflector,
    /// Each member of a fleet.
    ReflectorFleet,
}

/// A peer's own limits. `None` follows the reflector's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValidQuotas {
    /// Longest test granted.
    pub max_test_duration: Option<Duration>,
    /// Own sessions at one time.
    pub max_concurrent_tests: Option<u32>,
    /// Grants in any 3600 s.
    pub tests_per_hour: Option<u32>,
    /// Bytes a UTC day.
    pub bytes_per_day: Option<u64>,
    /// Pause between tests.
    pub cooldown: Option<Duration>,
    /// Whether throughput tests may run; set together with the next.
    pub allow_throughput: Option<bool>,
    /// Whether echo tests may run.
    pub allow_udp_echo: Option<bool>,
    /// Most streams.
    pub max_streams: Option<u32>,
    /// Most echo packets a second.
    pub max_echo_pps: Option<u32>,
    /// Bits a second.
    pub max_rate: Option<u64>,
}

/// Who wins when two objects name one Endpoint ID: the smaller one, that is the older, then the one whose key sorts
/// first. Objects without a creation time (manifests) count as older than any with one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seniority<K> {
    /// `metadata.creationTimestamp`
    pub created: Option<Timestamp>,
    /// Object name, or file name.
    pub key: K,
}
