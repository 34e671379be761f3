//! From the files of a directory to the objects of an index: names are unique, their number is bounded. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use crate::access::manifest;
use crate::access::object::{Broken, Key, Object};

use super::files::Files;

/// Most objects loaded from one directory: what a fleet's worth of appliances needs, at some kilobytes each.
pub const MAX_OBJECTS: usize = 10_000;

/// All objects there are.
#[derive(Debug)]
pub(super) struct Merged {
    pub(super) objects: Vec<(Key, Arc<Object>)>,
    pub(super) foreign: u32,
}

pub(super) fn merge(files: &Files) -> Merged {
    let mut objects: Vec<(Key, Arc<Object>)> = Vec::new();
    let mut first: HashMap<&str, &Key> = HashMap::new();
    let mut foreign = 0u32;
    let mut left_out = files.unlisted;
    for parsed in files.parsed() {
        foreign = foreign.saturating_add(parsed.foreign);
        for (key, object) in &parsed.objects {
            if objects.len() >= MAX_OBJECTS {
                left_out = left_out.saturating_add(1);
                continue;
            }
            let name = object.peer.as_ref().ok().map(|peer| peer.name.as_str());
            let object = match name.and_then(|name| Some((name, first.get(name)?))) {
                Some((name, earlier)) => Arc::new(same_name(object, name, earlier)),
                None => Arc::clone(object),
            };
            if let Some(name) = name {
                first.entry(name).or_insert(key);
            }
            objects.push((key.clone(), object));
        }
    }
    if left_out > 0 {
        let problem = format!(
            "more than {MAX_OBJECTS} objects in the directory: {left_out} are not loaded, remove some"
        );
        // Sorts behind every file name people use.
        objects.extend(manifest::unread("\u{10ffff} (rest of the directory)", Vec::new(), problem).objects);
    }
    Merged { objects, foreign }
}

fn same_name(object: &Object, name: &str, earlier: &Key) -> Object {
    let problem = format!("the name {name} is already used in {earlier}: write another metadata.name");
    Object {
        created: None,
        peer: Err(Broken { name: name.into(), claims: object.claims().to_vec(), problem }),
    }
}
