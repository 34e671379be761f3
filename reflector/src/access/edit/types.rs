//! What goes in and out of an edit, and why one was not made.

use std::io;
use std::path::PathBuf;

use crds::EndpointId;
use crds::Problem;
use jiff::Timestamp;

use crate::access::directory::MAX_OBJECTS;

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or the directory could not be read.
    #[error("read {}", path.display())]
    Read {
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file could not be written or removed.
    #[error("change {}", path.display())]
    Write {
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Nobody is called that.
    #[error("no peer is called {who:?}{}", near.as_ref().map(|n| format!("; did you mean {n:?}?")).unwrap_or_default())]
    UnknownPeer {
        /// As asked for.
        who: String,
        /// The nearest name there is.
        near: Option<String>,
    },
    /// An object names this ID already.
    #[error("{name} ({file}) already names this Endpoint ID{}: change that one, or remove it first", if *suspended { " and is suspended" } else { "" })]
    AlreadyKnown {
        /// The object.
        name: String,
        /// Its file.
        file: String,
        /// Whether it is revoked.
        suspended: bool,
    },
    /// The name is in use.
    #[error("a peer called {name:?} exists already: choose another --name")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// The new object would not be valid.
    #[error("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid {
        /// Field by field.
        problems: Vec<Problem>,
    },
    /// There are as many objects as are ever loaded.
    #[error("the directory holds {MAX_OBJECTS} peers, no more are loaded: remove some first")]
    Full,
    /// The manifest is not a plain file, or holds nothing that could be edited.
    #[error("{file} cannot be edited: {why}")]
    NotEditable {
        /// The file.
        file: String,
        /// Why not, and what to do.
        why: &'static str,
    },
}

/// A peer as its manifest has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Object name.
    pub name: String,
    /// File name.
    pub file: String,
    /// Which document of it.
    pub document: u32,
    /// Its identity.
    pub endpoint_id: Option<EndpointId>,
    /// What people call it.
    pub display_name: Option<String>,
    /// Revoked.
    pub suspended: bool,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// What is wrong with it.
    pub problem: Option<String>,
}

/// A peer to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPeer {
    /// Its identity.
    pub endpoint_id: EndpointId,
    /// Object and file name; made from the ID when missing.
    pub name: Option<String>,
    /// What people call it.
    pub display_name: Option<String>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// Born revoked: for an ID that stands in `access.authorized_peers`, over which an object decides.
    pub suspended: bool,
}

/// What a change did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// The objects that were changed or removed, as they were.
    pub changed: Vec<Listed>,
    /// Objects that go on authorising the same Endpoint ID.
    pub remaining: Vec<Listed>,
}
