//! Manifest files: text in, peer objects out. Pure.
//!
//! A file is split into documents first, so one broken document never hides its neighbours; each is parsed to a JSON
//! value and then to the type (directly, YAML would take `'5'` for a number). The directory reads through this, and so
//! does everything that edits manifests.

use std::ops::Range;
use std::sync::Arc;

use crds::EndpointId;
use serde_json::Value;
use serde_yaml::options::{DuplicateKeyPolicy, Options};

use super::object::{Broken, Key, Object, ids_in, judge};

/// Largest file read: ten thousand times a manifest. Whatever is larger was not written by hand.
pub const MAX_FILE_BYTES: u64 = 1 << 20;
/// Most documents in one file; more belong into several.
pub const MAX_DOCUMENTS: usize = 1000;
/// Deepest nesting. A peer needs four levels; a stack has no thousands.
const MAX_DEPTH: usize = 32;
/// Values an alias may repeat in one document: anchors are for humans, not for bombs.
const MAX_ALIASED: usize = 1000;
/// The group of our kinds.
const GROUP: &str = "packetparamedic.io";
/// The version this release reads.
const API_VERSION: &str = "packetparamedic.io/v1alpha1";

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// `*.yaml`, `*.yml`
    Yaml,
    /// `*.json`
    Json,
}

impl Format {
    /// By suffix; anything else, and dot files, are no manifests.
    pub fn of(file_name: &str) -> Option<Self> {
        let (stem, suffix) = file_name.rsplit_once('.')?;
        match suffix {
            _ if stem.is_empty() || file_name.starts_with('.') => None,
            "yaml" | "yml" => Some(Self::Yaml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// Whose peers are ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mine {
    /// `access.name`: peers that reference kind Reflector by this name.
    pub name: String,
    /// `access.fleet`: and kind `ReflectorFleet` by this one.
    pub fleet: Option<String>,
}

/// What one file holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parsed {
    /// Our peers, good and broken, in order.
    pub objects: Vec<(Key, Arc<Object>)>,
    /// Peers of other reflectors and objects of other kinds.
    pub foreign: u32,
}

/// A document and where it stands in its file. What lies between two ranges holds comments only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// From 1, empty ones not counted.
    pub number: u32,
    /// Bytes of the file, its `---` line included.
    pub range: Range<usize>,
    /// The parsed document, or why it cannot be parsed.
    pub value: Result<Value, String>,
}

/// Reads a whole file.
pub fn parse(file_name: &str, format: Format, text: &str, mine: &Mine) -> Parsed {
    let file: Arc<str> = file_name.into();
    let mut parsed = Parsed::default();
    for document in documents(format, text) {
        let key = Key { source: Arc::clone(&file), document: document.number };
        let raw = text.get(document.range.clone()).unwrap_or_default();
        let peer = match &document.value {
            Err(problem) => Err(unreadable(&key, ids_in(raw), problem.clone())),
            Ok(value) => match sort(value, mine) {
                Class::Foreign => {
                    parsed.foreign = parsed.foreign.saturating_add(1);
                    continue;
                }
                Class::Broken(problem) => Err(unreadable(&key, ids_in(raw), problem)),
                Class::Ours => judge(value, &key.to_string()),
            },
        };
        parsed.objects.push((key, Arc::new(Object { created: None, peer })));
    }
    parsed
}

/// A file that could not be read at all. It goes on denying the IDs it named when it could.
pub fn unread(file_name: &str, claims: Vec<EndpointId>, problem: String) -> Parsed {
    let key = Key { source: file_name.into(), document: 1 };
    let peer = Err(unreadable(&key, claims, problem));
    Parsed { objects: vec![(key, Arc::new(Object { created: None, peer }))], foreign: 0 }
}

fn unreadable(key: &Key, claims: Vec<EndpointId>, problem: String) -> Broken {
    Broken { name: key.to_string().into(), claims, problem }
}

/// Splits and parses. Empty documents (comments, a trailing `---`) are left out. Past [`MAX_DOCUMENTS`] the rest is one
/// broken document.
pub fn documents(format: Format, text: &str) -> Vec<Document> {
    let ranges = match format {
        Format::Json => std::iter::once(0..text.len()).collect(),
        Format::Yaml => split(text),
    };
    let mut found = Vec::new();
    for range in ranges {
        let value = to_json(format, text.get(range.clone()).unwrap_or_default());
        if value == Ok(Value::Null) {
            continue;
        }
        let number = u32::try_from(found.len()).unwrap_or(u32::MAX).saturating_add(1);
        if found.len() == MAX_DOCUMENTS {
            let value = Err(format!("more than {MAX_DOCUMENTS} documents in one file: split it"));
            found.push(Document { number, range: range.start..text.len(), value });
            break;
        }
        found.push(Document { number, range, value });
    }
    found
}

/// Cuts before every line that starts a document. `---` in column 0 ends even a block scalar, so no text is torn.
fn split(text: &str) -> Vec<Range<usize>> {
    let starts_document = |line: &str| {
        line.strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
    };
    let mut ranges = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in text.split_inclusive('\n') {
        if starts_document(line) && at > start {
            ranges.push(start..at);
            start = at;
        }
        at += line.len();
    }
    ranges.push(start..text.len());
    ranges
}

fn to_json(format: Format, text: &str) -> Result<Value, String> {
    let text = text.trim_start_matches('\u{feff}');
    let value = match format {
        Format::Json if text.trim().is_empty() => Ok(Value::Null),
        Format::Json => serde_json::from_str(text).map_err(|e| format!("not JSON: {e}")),
        Format::Yaml => {
            serde_yaml::from_str_with_options(text, options()).map_err(|e| format!("not YAML: {e}"))
        }
    };
    value.map_err(|problem| {
        // Only the first line, and not all of a foreign text.
        problem.lines().next().unwrap_or_default().chars().take(200).collect()
    })
}

fn options() -> Options {
    serde_yaml::options! {
        budget: serde_yaml::budget! { max_documents: 1, max_depth: MAX_DEPTH },
        alias_limits: serde_yaml::alias_limits! { max_total_replayed_events: MAX_ALIASED },
        duplicate_keys: DuplicateKeyPolicy::Error,
        with_snippet: false,
    }
}

enum Class {
    Ours,
    Foreign,
    Broken(String),
}

fn sort(value: &Value, mine: &Mine) -> Class {
    if !value.is_object() {
        return Class::Broken("not an object: write apiVersion, kind, metadata and spec".to_owned());
    }
    let text = |path: &str| value.pointer(path).and_then(Value::as_str);
    let Some(kind) = text("/kind") else {
        return Class::Broken("kind is missing: write kind: ReflectorPeer".to_owned());
    };
    let version = text("/apiVersion").unwrap_or_default();
    let ours = version.split('/').next() == Some(GROUP) || version.is_empty();
    if holds_peers(value, kind, mine) {
        return Class::Broken(
            "a list of objects: write each as a document of its own, with a line of --- between them"
                .to_owned(),
        );
    }
    if !kind.eq_ignore_ascii_case("ReflectorPeer") || !ours {
        return Class::Foreign;
    }
    if kind != "ReflectorPeer" || version != API_VERSION {
        return Class::Broken(format!(
            "not a kind this release reads: write apiVersion: {API_VERSION} and kind: ReflectorPeer"
        ));
    }
    match (text("/spec/reflectorRef/kind"), text("/spec/reflectorRef/name")) {
        (Some("Reflector"), Some(name)) if name != mine.name => Class::Foreign,
        (Some("ReflectorFleet"), Some(name)) if Some(name) != mine.fleet.as_deref() => Class::Foreign,
        _ => Class::Ours,
    }
}

/// What `kubectl get -o yaml` prints. Ignoring it in silence would load nobody, and revoke nobody.
fn holds_peers(value: &Value, kind: &str, mine: &Mine) -> bool {
    let items = value.get("items").and_then(Value::as_array).into_iter().flatten();
    kind == "ReflectorPeerList"
        || (kind == "List" && items.into_iter().any(|item| !matches!(sort(item, mine), Class::Foreign)))
}

#[cfg(test)]
mod tests;
