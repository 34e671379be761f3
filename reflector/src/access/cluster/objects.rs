//! From an object as the API server sends it to what we hold of it. Pure.

use std::sync::Arc;

use crds::peer::{PairingStatus, PeerReflectorStatus};
use crds::reflector::{ReflectorStatus, ValidReflector};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::access::object::{Broken, Key, Object, judge};
use crate::cluster::Own;

/// What one watch follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Watched {
    /// The Reflector we are.
    Own,
    /// Peers that name it.
    Peers,
    /// Peers that name our fleet.
    FleetPeers,
}

impl Watched {
    /// For people.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Own => "our Reflector",
            Self::Peers => "the peers of our Reflector",
            Self::FleetPeers => "the peers of our fleet",
        }
    }

    /// Where an object stands in the index. A peer that is deleted and made again under the other kind of reference is for
    /// a moment held by both watches, and must not be deleted by the first.
    pub(super) fn key(self, name: &Arc<str>) -> Key {
        Key { source: Arc::clone(name), document: u32::from(self == Self::FleetPeers) }
    }
}

/// A peer as we hold it.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldPeer {
    /// `metadata.name`
    pub name: Arc<str>,
    /// `metadata.uid`
    pub uid: String,
    /// `metadata.generation`
    pub generation: i64,
    /// Good, or broken with its reason.
    pub object: Arc<Object>,
    /// `status.pairing`, as far as it can be read.
    pub pairing: Option<PairingStatus>,
    /// Our own entry of `status.reflectors`, as the server has it.
    pub entry: Option<PeerReflectorStatus>,
    /// What goes to disk.
    pub(super) kept: Box<str>,
}

/// Our Reflector as we hold it.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldReflector {
    /// `metadata.uid`
    pub uid: String,
    /// `metadata.generation`: what `policyGeneration` says.
    pub generation: i64,
    /// Its spec.
    pub valid: ValidReflector,
    /// Its status as the server has it, as far as it can be read.
    pub status: Option<ReflectorStatus>,
    /// What goes to disk.
    pub(super) kept: Box<str>,
}

/// What to make of an object.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Read<T> {
    /// It counts.
    Held(T),
    /// It is being deleted, or names somebody else.
    Absent,
}

/// Reads a peer. One that cannot be used is held as broken: it denies whom it names.
pub(super) fn peer(value: &Value, watched: Watched, own: &Own) -> Option<(Arc<str>, Read<HeldPeer>)> {
    let name: Arc<str> = text(value, "/metadata/name")?.into();
    if is_going(value) {
        return Some((name, Read::Absent));
    }
    let kept = trimmed(value);
    let judged = judge(&kept, &name);
    // The server selects. One that does not must not let in whom another reflector knows.
    if is_foreign(value, watched, own) {
        return Some((name, Read::Absent));
    }
    let part = |path: &str| value.pointer(path).cloned();
    let entries = value.pointer("/status/reflectors").and_then(Value::as_array);
    let entry = entries.into_iter().flatten().find(|entry| entry["name"] == own.name.as_str());
    let held = HeldPeer {
        uid: text(value, "/metadata/uid").unwrap_or_default().to_owned(),
        generation: generation(value),
        object: Arc::new(Object {
            created: Some(created(value)),
            peer: judged.map_err(|broken| named(broken, &name)),
        }),
        pairing: part("/status/pairing").and_then(|pairing| serde_json::from_value(pairing).ok()),
        entry: entry.and_then(|entry| serde_json::from_value(entry.clone()).ok()),
        kept: kept.to_string().into(),
        name: Arc::clone(&name),
    };
    Some((name, Read::Held(held)))
}

/// Reads our Reflector. The error says what is wrong with it, for people.
pub(super) fn reflector(value: &Value) -> Result<Read<HeldReflector>, String> {
    if is_going(value) {
        return Ok(Read::Absent);
    }
    let kept = trimmed(value);
    let valid = crds::reflector::read(kept.clone()).and_then(|object| crds::reflector::validate(&object));
    let valid = valid.map_err(|problems| {
        problems
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; ")
            .chars()
            .take(500)
            .collect::<String>()
    })?;
    let uid = text(value, "/metadata/uid").ok_or("it has no uid")?.to_owned();
    let status = value.get("status").and_then(|status| serde_json::from_value(status.clone()).ok());
    let (generation, kept) = (generation(value), kept.to_string().into());
    Ok(Read::Held(HeldReflector { uid, generation, valid, status, kept }))
}

/// Leaves out what nobody here reads, before many are held at a time: a fleet's peers carry a status of each member.
pub(super) fn slim(mut value: Value, own: &Own) -> Value {
    if let Some(metadata) = value.pointer_mut("/metadata").and_then(Value::as_object_mut) {
        for unread in ["managedFields", "annotations", "labels", "ownerReferences"] {
            metadata.swap_remove(unread);
        }
    }
    if let Some(entries) = value.pointer_mut("/status/reflectors").and_then(Value::as_array_mut) {
        entries.retain(|entry| entry["name"] == own.name.as_str());
    }
    // Those of our Reflector are told apart from what we would write.
    if value["kind"] == "ReflectorPeer"
        && let Some(status) = value.pointer_mut("/status").and_then(Value::as_object_mut)
    {
        status.swap_remove("conditions");
    }
    value
}

/// What of an object decides, and nothing else: what others write into its status must not wear the disk.
fn trimmed(value: &Value) -> Value {
    let part = |path: &str| value.pointer(path).cloned().unwrap_or(Value::Null);
    let mut kept = json!({
        "apiVersion": part("/apiVersion"),
        "kind": part("/kind"),
        "metadata": {
            "name": part("/metadata/name"),
            "uid": part("/metadata/uid"),
            "generation": part("/metadata/generation"),
            "creationTimestamp": part("/metadata/creationTimestamp"),
        },
        "spec": part("/spec"),
    });
    // The API server's other half of a pairing.
    if let Some(bound) = value.pointer("/status/endpointId").filter(|_| value["kind"] == "ReflectorPeer")
        && let Some(kept) = kept.as_object_mut()
    {
        kept.insert("status".to_owned(), json!({ "endpointId": bound }));
    }
    kept
}

/// Somebody deleted it, and something else keeps it for a while.
fn is_going(value: &Value) -> bool {
    value.pointer("/metadata/deletionTimestamp").is_some_and(|at| !at.is_null())
}

/// Names somebody else. A reference that cannot be read is ours: the object is broken, and denies whom it names.
fn is_foreign(value: &Value, watched: Watched, own: &Own) -> bool {
    let (kind, name) = match watched {
        Watched::Own => return true,
        Watched::Peers => ("Reflector", Some(own.name.as_str())),
        Watched::FleetPeers => ("ReflectorFleet", own.fleet.as_ref().map(|fleet| fleet.name.as_str())),
    };
    let said = |path: &str| value.pointer(path).and_then(Value::as_str);
    said("/spec/reflectorRef/kind").is_some_and(|said| said != kind)
        || said("/spec/reflectorRef/name").is_some_and(|said| Some(said) != name)
}

fn named(broken: Broken, name: &Arc<str>) -> Broken {
    Broken { name: Arc::clone(name), ..broken }
}

fn text<'v>(value: &'v Value, path: &str) -> Option<&'v str> {
    value.pointer(path).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn generation(value: &Value) -> i64 {
    value.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(0)
}

/// When it cannot be read the object is as young as can be: it takes nobody's place.
fn created(value: &Value) -> Timestamp {
    text(value, "/metadata/creationTimestamp").and_then(|at| at.parse().ok()).unwrap_or(Timestamp::MAX)
}
