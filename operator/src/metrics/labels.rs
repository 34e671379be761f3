//! Every value a label can have.

/// A kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Reflector,
    ReflectorPeer,
    ReflectorFleet,
    ServiceAccount,
    RoleBinding,
    ConfigMap,
    Secret,
    PersistentVolumeClaim,
    Service,
    Deployment,
    Pod,
    Node,
    Event,
    Lease,
}

impl Kind {
    pub(super) const ALL: [Self; 14] = [
        Self::Reflector,
        Self::ReflectorPeer,
        Self::ReflectorFleet,
        Self::ServiceAccount,
        Self::RoleBinding,
        Self::ConfigMap,
        Self::Secret,
        Self::PersistentVolumeClaim,
        Self::Service,
        Self::Deployment,
        Self::Pod,
        Self::Node,
        Self::Event,
        Self::Lease,
    ];
    /// Those that are followed.
    pub(super) const WATCHED: [Self; 11] = [
        Self::Reflector,
        Self::ReflectorPeer,
        Self::ReflectorFleet,
        Self::ServiceAccount,
        Self::RoleBinding,
        Self::ConfigMap,
        Self::PersistentVolumeClaim,
        Self::Service,
        Self::Deployment,
        Self::Pod,
        Self::Node,
    ];
    /// Those that are reconciled.
    pub(super) const OURS: [Self; 3] = [Self::Reflector, Self::ReflectorPeer, Self::ReflectorFleet];

    pub(crate) const fn value(self) -> &'static str {
        match self {
            Self::Reflector => "Reflector",
            Self::ReflectorPeer => "ReflectorPeer",
            Self::ReflectorFleet => "ReflectorFleet",
            Self::ServiceAccount => "ServiceAccount",
            Self::RoleBinding => "RoleBinding",
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
            Self::PersistentVolumeClaim => "PersistentVolumeClaim",
            Self::Service => "Service",
            Self::Deployment => "Deployment",
            Self::Pod => "Pod",
            Self::Node => "Node",
            Self::Event => "Event",
            Self::Lease => "Lease",
        }
    }
}

/// How a reconcile ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Something was written.
    Ok,
    /// All was as it should be, and nothing was written.
    Unchanged,
    /// The object cannot be done; it waits for an edit.
    Invalid,
    /// It failed, and is tried again.
    Error,
}

impl Outcome {
    pub(super) const ALL: [Self; 4] = [Self::Ok, Self::Unchanged, Self::Invalid, Self::Error];

    pub(crate) const fn value(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unchanged => "unchanged",
            Self::Invalid => "invalid",
            Self::Error => "error",
        }
    }
}

/// A way of writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Create,
    Update,
    Apply,
    ApplyStatus,
    Delete,
}

impl Verb {
    pub(super) const ALL: [Self; 5] =
        [Self::Create, Self::Update, Self::Apply, Self::ApplyStatus, Self::Delete];

    pub(super) const fn value(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Apply => "apply",
            Self::ApplyStatus => "apply_status",
            Self::Delete => "delete",
        }
    }

    /// As people say it, in errors.
    pub(crate) const fn said(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Apply => "apply",
            Self::ApplyStatus => "write the status of",
            Self::Delete => "delete",
        }
    }
}

/// A step of a pairing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pairing {
    /// A code was made.
    Waiting,
    /// A proven claim waits for approval.
    Claimed,
    /// An appliance was bound.
    Bound,
    /// Nobody came in time, or the peer was shut out before.
    Expired,
    /// A claim proved nothing.
    Refused,
}

impl Pairing {
    pub(super) const ALL: [Self; 5] =
        [Self::Waiting, Self::Claimed, Self::Bound, Self::Expired, Self::Refused];

    pub(super) const fn value(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Claimed => "claimed",
            Self::Bound => "bound",
            Self::Expired => "expired",
            Self::Refused => "refused",
        }
    }
}

/// The `Ready` condition of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readiness {
    True,
    False,
    Unknown,
}

impl Readiness {
    pub(crate) const ALL: [Self; 3] = [Self::True, Self::False, Self::Unknown];

    pub(super) const fn value(self) -> &'static str {
        match self {
            Self::True => "true",
            Self::False => "false",
            Self::Unknown => "unknown",
        }
    }
}
