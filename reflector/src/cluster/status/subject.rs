//! Whose status is written, and what is said there.

use std::fmt;
use std::sync::Arc;

use super::own::OwnReport;
use super::peer::PeerReport;

/// Whose status it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// The Reflector this pod serves for.
    Own {
        /// Its uid.
        uid: Arc<str>,
    },
    /// A peer.
    Peer {
        /// Its name.
        name: Arc<str>,
        /// Its uid: words about it never reach a namesake that was made later.
        uid: Arc<str>,
    },
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own { .. } => f.write_str("its own Reflector"),
            Self::Peer { name, .. } => write!(f, "ReflectorPeer {name}"),
        }
    }
}

/// What is said. Always everything: server-side apply takes away what a manager no longer names.
#[derive(Debug, Clone, PartialEq)]
pub enum Report {
    /// About the reflector.
    Own(Box<OwnReport>),
    /// About a peer.
    Peer(Box<PeerReport>),
}

impl Report {
    /// Whether the API server would take it: an entry in a fleet's peer has to be there before a pod may fill it.
    pub fn may_be_written(&self) -> bool {
        match self {
            Self::Own(_) => true,
            Self::Peer(report) => report.may_be_written(),
        }
    }
}
