//! What a peer names: one Reflector, or every member of a fleet.

use crds::peer::{ReflectorKind, ReflectorRef};

/// `spec.reflectorRef`, when its kind is one we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reference<'a> {
    Reflector(&'a str),
    Fleet(&'a str),
}

impl<'a> Reference<'a> {
    pub(super) fn of(reference: &'a ReflectorRef) -> Option<Self> {
        match reference.kind {
            ReflectorKind::Reflector => Some(Self::Reflector(&reference.name)),
            ReflectorKind::ReflectorFleet => Some(Self::Fleet(&reference.name)),
            ReflectorKind::Unknown(_) => None,
        }
    }
}

/// `Kind/name`, as people write it.
pub(super) fn full_name(reference: &ReflectorRef) -> String {
    match Reference::of(reference) {
        Some(Reference::Reflector(name)) => reflector(name),
        Some(Reference::Fleet(name)) => fleet(name),
        None => format!("?/{}", reference.name),
    }
}

/// `Reflector/name`
pub(super) fn reflector(name: &str) -> String {
    format!("Reflector/{name}")
}

/// `ReflectorFleet/name`
pub(super) fn fleet(name: &str) -> String {
    format!("ReflectorFleet/{name}")
}
