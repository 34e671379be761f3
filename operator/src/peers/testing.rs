//! What tests of this room are made from: YAML, read through the real types, and claims as a pod would make them.

use std::sync::{Arc, LazyLock};

use crds::EndpointId;
use crds::pairing::{Code, SecretKey, Statement, memory};
use crds::peer::ReflectorPeer;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::found::{Approval, Endpoint, Found, Named};
use crate::clock::Now;

/// uid of the Reflector the peers of tests name.
pub(super) const SALT: &str = "uid-of-the-attic";
/// uid of the peer.
pub(super) const UID: &str = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";

/// The key of the code that waits in tests; made once, because it is expensive.
pub(super) static KEY: LazyLock<SecretKey> =
    LazyLock::new(|| SecretKey::derive(&Code::parse("AB102345").unwrap(), SALT, &mut memory()).unwrap());

/// An object from YAML.
pub(super) fn yaml<K: DeserializeOwned>(text: &str) -> K {
    let value: Value = serde_yaml::from_str(text).unwrap();
    serde_json::from_value(value).unwrap()
}

pub(super) fn id(byte: u8) -> EndpointId {
    EndpointId::from_public_key([byte; 32])
}

pub(super) fn at(text: &str) -> Now {
    Now { mono_ms: 0, wall: moment(text) }
}

pub(super) fn moment(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A peer called den that names the Reflector attic; more of its spec and its status in flow style.
pub(super) fn peer(spec: &str, status: &str) -> ReflectorPeer {
    yaml(&format!(
        "
apiVersion: packetparamedic.io/v1alpha1
kind: ReflectorPeer
metadata: {{ name: den, namespace: homes, uid: {UID}, generation: 3, resourceVersion: '7', creationTimestamp: '2026-01-02T00:00:00Z' }}
spec: {{ reflectorRef: {{ kind: Reflector, name: attic }}, {spec} }}
status: {{ {status} }}
"
    ))
}

/// `status.pairing` with the code of [`KEY`], until ten past twelve.
pub(super) fn waiting() -> String {
    let key = KEY.code_key();
    format!(
        "pairing: {{ state: Waiting, codeKey: {key}, expiresAt: '2026-01-02T12:10:00Z', round: 0, secret: pairing-0f1e2d3c-0, secretUid: uid-of-the-secret, referenceUid: {SALT} }}"
    )
}

/// A claim as the pod of a reflector writes it, for a peer of this uid.
pub(super) fn claim(reflector: &str, byte: u8, uid: &str) -> String {
    let endpoint_id = id(byte);
    let proof = KEY.prove(&Statement { peer_uid: uid, reflector, endpoint_id });
    format!("claim: {{ endpointId: {endpoint_id}, from: 192.0.2.9, proof: {proof} }}")
}

/// The peer, and the Reflector it names.
pub(super) fn found(peer: ReflectorPeer) -> Found {
    Found { peer: Arc::new(peer), named: Some(named(&["attic"])), older: None, waiting_beside: 0 }
}

/// One Reflector, or the members of a fleet.
pub(super) fn named(names: &[&str]) -> Named {
    let endpoint = |name: &&str| Endpoint {
        name: (*name).to_owned(),
        id: Some(id(99)),
        address: Some(format!("{name}.example:4000")),
    };
    Named {
        uid: SALT.to_owned(),
        approval: Approval::Automatic,
        is_fleet: names.len() > 1,
        reflectors: names.iter().map(endpoint).collect(),
    }
}
