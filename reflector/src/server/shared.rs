//! What every connection of one server shares.

use std::sync::OnceLock;

use crds::EndpointId;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::access::Access;
use crate::access::pairing::Pairing;
use crate::audit::Audit;
use crate::clock::Now;
use crate::cluster::pairing::Codes;
use crate::cluster::status::Witness;
use crate::engine::BoxFuture;
use crate::engine::door::Doors;
use crate::engine::tunnel::Tunnels;
use crate::identity::LiveIdentity;
use crate::ledger::Ledger;
use crate::link::features::Features;
use crate::link::message::PolicySummary;
use crate::metrics::Metrics;
use crate::session::Sessions;

use super::floor::Floor;
use super::revocations::Revocations;

/// How far the process is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Normal work.
    Serving,
    /// No new sessions; running ones go on; connections without one close.
    Draining,
    /// Everything closes now.
    Stopping,
}

/// Makes a peer durable when a code was right.
pub trait Roster: Send + Sync {
    /// Writes the peer down and waits until policy knows it. An error: it is not written down.
    fn enrol(&self, id: EndpointId) -> BoxFuture<Result<Enrolled, String>>;
}

/// A peer that is written down.
pub struct Enrolled {
    /// The name of its object.
    pub name: String,
    /// Why it is not in force yet.
    pub problem: Option<String>,
}

/// The way in for appliances that no policy knows.
pub enum Entrance {
    /// A window that somebody opens here, and where its appliance is written down.
    Window {
        /// The window.
        pairing: Pairing,
        /// Where new peers are written down.
        roster: Box<dyn Roster>,
    },
    /// The codes of objects that wait in a cluster.
    Codes(Codes),
}

impl Entrance {
    /// Follows until when a code could be presented; `None` while none could. Restricted connections end with it.
    pub(super) fn watch(&self) -> watch::Receiver<Option<Timestamp>> {
        match self {
            Self::Window { pairing, .. } => pairing.watch(),
            Self::Codes(codes) => codes.watch(),
        }
    }

    /// Whether a code could be presented now.
    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::Window { pairing, .. } => pairing.is_open(),
            Self::Codes(codes) => codes.watch().borrow().is_some(),
        }
    }
}

/// Handles a server hands to its connections.
pub struct Services {
    /// Who may do what.
    pub access: Access,
    /// The way in for appliances that no policy knows.
    pub entrance: Entrance,
    /// Admission and running sessions.
    pub sessions: Sessions,
    /// Where plain data on the control port finds its session.
    pub doors: Doors,
    /// Where tunneled streams find theirs.
    pub tunnels: Tunnels,
    /// The audit log.
    pub audit: Audit,
    /// Counters.
    pub metrics: Metrics,
    /// Our identity, as it is now.
    pub identity: LiveIdentity,
    /// Usage.
    pub ledger: Ledger,
    /// What an unpaired peer is told pairing would give.
    pub default_summary: PolicySummary,
    /// `lan`, `wan`, `hybrid`, `unknown`.
    pub position: &'static str,
    /// Extensions this build really has.
    pub features: Features,
    /// Refuse clients that offer no ALPN.
    pub require_alpn: bool,
    /// When the process started.
    pub started: Now,
    /// Is told who came and went, in a cluster.
    pub witness: Option<Witness>,
}

/// [`Services`] and what the server itself keeps.
pub(super) struct Shared {
    pub(super) services: Services,
    pub(super) floor: Floor,
    pub(super) phase: watch::Receiver<Phase>,
    pub(super) revocations: Revocations,
    /// The ID of the key that this process connects to itself with, once there is one.
    pub(super) itself: OnceLock<EndpointId>,
}
