//! What a condition can be about.

use std::fmt;

/// The type of a condition. Not every kind has every one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConditionType {
    /// All kinds: the object does what it is there for. On a Reflector: a test would pass now.
    Ready,
    /// All kinds, only while true: the operator is at work on it.
    Reconciling,
    /// All kinds, only while true: nothing happens until somebody edits it.
    Stalled,
    /// Reflector: its pod has a node.
    Scheduled,
    /// Reflector: its claim is bound and holds a key.
    IdentityReady,
    /// Reflector: the policy in force is the one that was written.
    PolicyCurrent,
    /// Reflector: it takes connections and grants tests.
    Accepting,
    /// Reflector: its host is fast enough. Advice; it never blocks `Ready`.
    HardwareReady,
    /// Peer: it has an Endpoint ID.
    Paired,
    /// Peer: it has tests and bytes left.
    QuotaAvailable,
    /// Peer: it is shut out, and its sessions have ended.
    Revoked,
}

impl ConditionType {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Ready,
        Self::Reconciling,
        Self::Stalled,
        Self::Scheduled,
        Self::IdentityReady,
        Self::PolicyCurrent,
        Self::Accepting,
        Self::HardwareReady,
        Self::Paired,
        Self::QuotaAvailable,
        Self::Revoked,
    ];

    /// The name, as in `type` of a condition.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
            Self::Scheduled => "Scheduled",
            Self::IdentityReady => "IdentityReady",
            Self::PolicyCurrent => "PolicyCurrent",
            Self::Accepting => "Accepting",
            Self::HardwareReady => "HardwareReady",
            Self::Paired => "Paired",
            Self::QuotaAvailable => "QuotaAvailable",
            Self::Revoked => "Revoked",
        }
    }
}

impl fmt::Display for ConditionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
