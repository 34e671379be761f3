//! From a [`ReflectorPeer`] to a [`ValidPeer`]: everything CEL and the schema refuse, this refuses too, so a directory
//! of manifests and a cluster accept exactly the same objects.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use crate::EndpointId;
use crate::quantity::{Amount, DurationText};

use super::spec::{PairingSpec, PeerQuotas, ReflectorKind, ReflectorPeer, ReflectorRef, TestType};
use super::valid::{
    DEFAULT_PAIRING_TTL, MAX_CONCURRENT_TESTS, MAX_COOLDOWN, MAX_DISPLAY_NAME, MAX_ECHO_PPS, MAX_NAME,
    MAX_PAIRING_TTL, MAX_STREAMS, MAX_TEST_DURATION, MAX_TESTS_PER_HOUR, MIN_PAIRING_TTL, MIN_RATE, Problem,
    RefKind, ValidPeer, ValidQuotas, ValidRef,
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
    let quotas = peer.spec.quotas.as_ref().map(|q| check.quotas(q)).unwrap_or_default();
    let expires_at = check.expires_at(peer.spec.expires_at.as_deref());
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

/// Whether an object can be called this: labels of at most 63 characters with dots between them (DNS-1123 subdomain).
pub fn is_object_name(name: &str) -> bool {
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= 63
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    name.len() <= MAX_NAME && name.split('.').all(label)
}

#[derive(Default)]
struct Check {
    problems: Vec<Problem>,
}

impl Check {
    fn problem(&mut self, path: &str, message: impl fmt::Display) {
        self.problems.push(Problem::new(path, message));
    }

    fn dns_name(&mut self, path: &str, name: &str) {
        if name.is_empty() {
            self.problem(path, "is missing: write a name such as living-room");
        } else if !is_object_name(name) {
            let rule = "write lower-case letters, digits and dashes, at most 63, such as living-room";
            self.problem(path, format!("cannot be {:?}: {rule}", shortened(name)));
        }
    }

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

    fn quotas(&mut self, q: &PeerQuotas) -> ValidQuotas {
        let at = |field: &str| format!("spec.quotas.{field}");
        let second = Duration::from_secs(1);
        let allowed = self.allowed_tests(q.allowed_tests.as_deref());
        ValidQuotas {
            max_test_duration: self.duration(
                &at("maxTestDuration"),
                q.max_test_duration.as_ref(),
                second,
                MAX_TEST_DURATION,
                "1s to 300s",
            ),
            max_concurrent_tests: self.whole(
                &at("maxConcurrentTests"),
                q.max_concurrent_tests,
                1,
                MAX_CONCURRENT_TESTS,
            ),
            tests_per_hour: self.whole(&at("testsPerHour"), q.tests_per_hour, 1, MAX_TESTS_PER_HOUR),
            bytes_per_day: self.amount(&at("bytesPerDay"), q.bytes_per_day.as_ref(), 1),
            cooldown: self.duration(
                &at("cooldown"),
                q.cooldown.as_ref(),
                Duration::ZERO,
                MAX_COOLDOWN,
                "0s to 24h",
            ),
            allow_throughput: allowed.map(|(throughput, _)| throughput),
            allow_udp_echo: allowed.map(|(_, echo)| echo),
            max_streams: self.whole(&at("maxStreams"), q.max_streams, 1, MAX_STREAMS),
            max_echo_pps: self.whole(&at("maxEchoPps"), q.max_echo_pps, 1, MAX_ECHO_PPS),
            max_rate: self.amount(&at("maxRate"), q.max_rate.as_ref(), MIN_RATE),
        }
    }

    fn allowed_tests(&mut self, tests: Option<&[TestType]>) -> Option<(bool, bool)> {
        let path = "spec.quotas.allowedTests";
        let tests = tests?;
        if tests.is_empty() {
            self.problem(
                path,
                "is empty: list Throughput, UdpEcho or both; to allow none, write suspend: true",
            );
        }
        for test in tests {
            if let TestType::Unknown(name) = test {
                self.problem(path, format!("cannot hold {:?}: write Throughput or UdpEcho", shortened(name)));
            }
        }
        let (throughput, echo) = (tests.contains(&TestType::Throughput), tests.contains(&TestType::UdpEcho));
        if tests.len() > usize::from(throughput) + usize::from(echo)
            && self.problems.iter().all(|p| p.path != path)
        {
            self.problem(path, "lists a test twice: write each once");
        }
        Some((throughput, echo))
    }

    fn expires_at(&mut self, text: Option<&str>) -> Option<Timestamp> {
        let text = text?;
        let time = Some(text).filter(|t| is_rfc3339(t)).and_then(|t| t.parse().ok());
        if time.is_none() {
            let rule = "write a time such as 2026-12-31T00:00:00Z";
            self.problem("spec.expiresAt", format!("cannot be {:?}: {rule}", shortened(text)));
        }
        time
    }

    fn duration(
        &mut self,
        path: &str,
        text: Option<&DurationText>,
        least: Duration,
        most: Duration,
        range: &str,
    ) -> Option<Duration> {
        let text = text?;
        match text.value() {
            Ok(value) if value < least || value > most => {
                self.problem(path, format!("cannot be {text}: write {range}"));
                None
            }
            Ok(value) => Some(value),
            Err(error) => {
                self.problem(path, error);
                None
            }
        }
    }

    fn amount(&mut self, path: &str, amount: Option<&Amount>, least: u64) -> Option<u64> {
        let amount = amount?;
        match amount.value() {
            Ok(value) if value < least => {
                self.problem(path, format!("cannot be {amount}: write at least {least}"));
                None
            }
            Ok(value) => Some(value),
            Err(error) => {
                self.problem(path, error);
                None
            }
        }
    }

    fn whole(&mut self, path: &str, value: Option<i64>, least: u32, most: u32) -> Option<u32> {
        let value = value?;
        match u32::try_from(value) {
            Ok(value) if value >= least && value <= most => Some(value),
            _ => {
                self.problem(path, format!("cannot be {value}: write {least} to {most}"));
                None
            }
        }
    }
}

/// The form the API server takes; jiff alone would read more.
fn is_rfc3339(text: &str) -> bool {
    let zone =
        text.get(19..).unwrap_or_default().trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let offset = zone.len() == 6 && zone.starts_with(['+', '-']) && zone.get(3..4) == Some(":");
    text.get(10..11) == Some("T") && text.get(16..17) == Some(":") && (zone == "Z" || offset)
}

/// Enough of a text to recognise it.
fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}
