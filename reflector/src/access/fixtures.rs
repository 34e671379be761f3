//! Builders for this room's tests and its neighbours'. No two fields share a value, so a swap shows.

use std::sync::Arc;
use std::time::Duration;

use crds::EndpointId;
use crds::peer::ValidPeer;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::clock::Now;

use super::effective::ReflectorPolicy;
use super::object::{Key, Object, judge};
use super::policy::Quotas;

pub(crate) const NAME: &str = "attic";

pub(crate) fn id(n: u8) -> EndpointId {
    EndpointId::from_public_key([n; 32])
}

pub(crate) fn numbered(n: u16) -> EndpointId {
    let mut key = [0; 32];
    key[..2].copy_from_slice(&n.to_be_bytes());
    EndpointId::from_public_key(key)
}

pub(crate) fn reflector() -> ReflectorPolicy {
    ReflectorPolicy {
        quotas: Quotas {
            max_test_duration: Duration::from_secs(60),
            max_concurrent_tests: 1,
            tests_per_hour: 10,
            bytes_per_day: Some(5_000_000_000),
            bytes_per_day_on_loopback: None,
            cooldown: Duration::from_secs(5),
            allow_throughput: true,
            allow_udp_echo: true,
            default_streams: 4,
            max_streams: 8,
            max_echo_pps: 10_000,
            max_rate: None,
        },
        total_concurrent_tests: 3,
        windows: Arc::new([]),
        suspended: false,
    }
}

/// A moment: seconds since boot, and the wall clock that many seconds after the start of 2026.
pub(crate) fn at(secs: u64) -> Now {
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let wall = start.checked_add(jiff::SignedDuration::from_secs(i64::try_from(secs).unwrap())).unwrap();
    Now { mono_ms: secs * 1000, wall }
}

pub(crate) fn key(file: &str) -> Key {
    Key { source: file.into(), document: 1 }
}

pub(crate) fn peer(name: &str) -> PeerBuilder {
    PeerBuilder(json!({
        "apiVersion": "packetparamedic.io/v1alpha1",
        "kind": "ReflectorPeer",
        "metadata": { "name": name },
        "spec": { "reflectorRef": { "kind": "Reflector", "name": NAME } },
    }))
}

#[derive(Clone)]
pub(crate) struct PeerBuilder(Value);

impl PeerBuilder {
    pub(crate) fn endpoint(mut self, n: u8) -> Self {
        self.0["spec"]["endpointId"] = json!(id(n));
        self
    }

    pub(crate) fn suspended(mut self) -> Self {
        self.0["spec"]["suspend"] = json!(true);
        self
    }

    pub(crate) fn expires(mut self, secs: u64) -> Self {
        self.0["spec"]["expiresAt"] = json!(at(secs).wall.to_string());
        self
    }

    pub(crate) fn quotas(mut self, yaml: &str) -> Self {
        self.0["spec"]["quotas"] = serde_yaml::from_str(yaml).unwrap();
        self
    }

    pub(crate) fn reference(mut self, kind: &str, name: &str) -> Self {
        self.0["spec"]["reflectorRef"] = json!({ "kind": kind, "name": name });
        self
    }

    pub(crate) fn broken(mut self) -> Self {
        self.0["spec"]["quotas"] = json!({ "maxStreams": 0 });
        self
    }

    pub(crate) fn json(&self) -> Value {
        self.0.clone()
    }

    pub(crate) fn yaml(&self) -> String {
        serde_yaml::to_string(&self.0).unwrap()
    }

    pub(crate) fn valid(&self) -> ValidPeer {
        judge(&self.0, "fixture").unwrap()
    }

    pub(crate) fn object(&self) -> Arc<Object> {
        Arc::new(Object { created: None, peer: judge(&self.0, "fixture") })
    }
}
