//! What comes out of validation, and the bounds it holds every field to.

use std::time::Duration;

use jiff::Timestamp;

use crate::EndpointId;
use crate::quotas::ValidQuotas;

/// A code that lives longer would be written down.
pub const MAX_PAIRING_TTL: Duration = Duration::from_secs(86_400);
/// Shorter is no window.
pub const MIN_PAIRING_TTL: Duration = Duration::from_secs(1);
/// What link.md gives a code when nothing is said.
pub(super) const DEFAULT_PAIRING_TTL: Duration = Duration::from_secs(600);
/// Longest display name, in characters: it stands in tables and log lines.
pub const MAX_DISPLAY_NAME: usize = 128;

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
