//! From a [`ReflectorPeer`] to a [`ValidPeer`]: everything CEL and the schema refuse, this refuses too, so a directory
//! of manifests and a cluster accept exactly the same objects.

use std::time::Duration;

use jiff::Timestamp;

use crate::EndpointId;
use crate::check::Check;
use crate::definition;
use crate::problem::{Problem, shortened};

use super::moment;
use super::spec::{PairingSpec, ReflectorKind, ReflectorPeer, ReflectorRef};
use super::valid::{
    DEFAULT_PAIRING_TTL, MAX_DISPLAY_NAME, MAX_PAIRING_TTL, MIN_PAIRING_TTL, RefKind, ValidPeer, ValidRef,
};

/// Checks a whole object and reports every problem at once.
pub fn validate(peer: &ReflectorPeer) -> Result<ValidPeer, Vec<Problem>> {
    let mut check = Check::default();
    let name = peer.metadata.name.clone().unwrap_or_default();
    check.dns_name("metadata.name", &name);
    let reflector = check.reflector_ref(&peer.spec.reflector_ref);
    let bound = peer.status.as_ref().and_then(|s| s.endpoint_id.as_deref());
    let endpoint_id = match (peer.spec.endpoint_id.as_deref(), bound) {
        (Some(text), _) => check.endpoint_id("spec.endpointId", text),
        (None, Some(text)) => check.endpoint_id("status.endpointId", text),
        (None, None) => None,
    };
    let pairing = peer.spec.pairing.clone().unwrap_or_default();
    let (pairing_ttl, pairing_round) = check.pairing(&pairing);
    let display_name = check.display_name(peer.spec.display_name.as_deref());
    let quotas = peer.spec.quotas.as_ref().map(|q| check.quotas("spec.quotas", q)).unwrap_or_default();
    let expires_at = check.expires_at(peer.spec.expires_at.as_deref());
    check.bounds(definition::PEER.part("spec"), "spec", &peer.spec);
    match reflector {
        Some(reflector) if check.problems.is_empty() => Ok(ValidPeer {
            name,
            created: peer.metadata.creation_timestamp.as_ref().map(|t| t.0),
            reflector,
            endpoint_id,
            pairing_ttl,
            pairing_round,
            display_name,
            quotas,
            expires_at,
            suspended: peer.spec.suspend.unwrap_or(false),
        }),
        _ => Err(check.problems),
    }
}

impl Check {
    fn reflector_ref(&mut self, reference: &ReflectorRef) -> Option<ValidRef> {
        self.dns_name("spec.reflectorRef.name", &reference.name);
        let kind = match &reference.kind {
            ReflectorKind::Reflector => RefKind::Reflector,
            ReflectorKind::ReflectorFleet => RefKind::ReflectorFleet,
            ReflectorKind::Unknown(text) => {
                let found = if text.is_empty() {
                    "is missing".into()
                } else {
                    format!("cannot be {:?}", shortened(text))
                };
                self.problem("spec.reflectorRef.kind", format!("{found}: write Reflector or ReflectorFleet"));
                return None;
            }
        };
        Some(ValidRef { kind, name: reference.name.clone() })
    }

    fn endpoint_id(&mut self, path: &str, text: &str) -> Option<EndpointId> {
        if text.trim() != text {
            self.problem(path, "has spaces or line breaks around the Endpoint ID: leave them out");
        }
        text.parse().map_err(|e| self.problem(path, format!("is not an Endpoint ID: {e}"))).ok()
    }

    fn pairing(&mut self, pairing: &PairingSpec) -> (Duration, u32) {
        let ttl = self.duration(
            "spec.pairing.ttl",
            pairing.ttl.as_ref(),
            MIN_PAIRING_TTL,
            MAX_PAIRING_TTL,
            "1s to 24h",
        );
        let round = self.whole("spec.pairing.round", pairing.round, 0, i32::MAX.unsigned_abs());
        (ttl.unwrap_or(DEFAULT_PAIRING_TTL), round.unwrap_or(0))
    }

    fn display_name(&mut self, name: Option<&str>) -> Option<String> {
        let name = name?;
        if name.chars().count() > MAX_DISPLAY_NAME {
            self.problem(
                "spec.displayName",
                format!("is longer than {MAX_DISPLAY_NAME} characters: write a shorter name"),
            );
        }
        // A line break here would forge a second line in whatever prints it.
        if name.chars().any(char::is_control) {
            self.problem(
                "spec.displayName",
                "holds a line break or another control character: write one line of text",
            );
        }
        Some(name.to_owned())
    }

    fn expires_at(&mut self, text: Option<&str>) -> Option<Timestamp> {
        let text = text?;
        let time = moment::read(text);
        if time.is_none() {
            let rule = "is no moment: write a time such as 2026-12-31T00:00:00Z";
            self.problem("spec.expiresAt", format!("{:?} {rule}", shortened(text)));
        }
        time
    }
}
