//! What `reflector status` and `peers list` show about the policy: counts, broken objects, every peer by name.

use std::sync::Arc;

use crds::EndpointId;
use jiff::Timestamp;

use crate::admin::protocol::{BrokenObject, PolicyStatus};

use super::effective::configured_name;
use super::handle::Access;
use super::index::Index;
use super::object::{Key, Object};
use super::source::Source;

/// Broken objects named in a status; the rest are counted. An answer stays one readable page.
pub const MAX_NAMED_BROKEN: usize = 50;

/// One peer as people know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownPeer {
    /// Object name.
    pub name: Arc<str>,
    /// Where it stands: file, or `reflector.toml`.
    pub origin: String,
    /// Its identity; missing while it waits for pairing or cannot be read.
    pub endpoint_id: Option<EndpointId>,
    /// What people call it.
    pub display_name: Option<String>,
    /// Whether it may connect.
    pub state: PeerState,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// What is wrong with it.
    pub problem: Option<String>,
}

/// Whether a peer may connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PeerState {
    /// May connect.
    Authorized,
    /// Revoked.
    Suspended,
    /// Its time is over.
    Expired,
    /// Its object cannot be used.
    Invalid,
    /// An older object names the same Endpoint ID.
    Duplicate,
    /// Has no Endpoint ID yet.
    Waiting,
}

impl PeerState {
    /// Stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authorized => "authorized",
            Self::Suspended => "suspended",
            Self::Expired => "expired",
            Self::Invalid => "invalid",
            Self::Duplicate => "duplicate",
            Self::Waiting => "waiting",
        }
    }
}

/// Objects by state, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// May connect (while the policy holds).
    pub authorized: u32,
    /// Suspended or expired.
    pub refused: u32,
    /// Invalid or duplicate.
    pub broken: u32,
    /// Waiting for pairing.
    pub waiting: u32,
    /// Of other reflectors.
    pub foreign: u32,
}

impl Access {
    /// How the policy stands.
    pub fn status(&self) -> PolicyStatus {
        self.with_index(|index| {
            let counts = count(index);
            let serving = matches!(index.source(), Source::Current | Source::Stale { .. });
            PolicyStatus {
                state: index.source().as_str().to_owned(),
                authorized: if serving { counts.authorized } else { 0 },
                refused: counts.refused,
                broken: broken(index, counts.broken),
                foreign: counts.foreign,
            }
        })
    }

    /// Objects by state.
    pub fn counts(&self) -> Counts {
        self.with_index(count)
    }

    /// Every peer, those of the directory first.
    pub fn peers(&self) -> Vec<KnownPeer> {
        self.with_index(|index| peers(index).collect())
    }
}

fn peers(index: &Index) -> impl Iterator<Item = KnownPeer> + '_ {
    let listed = index.objects().map(|(key, object)| known(index, key, object));
    let configured = index.configured().map(|id| KnownPeer {
        name: configured_name(id).into(),
        origin: "access.authorized_peers".to_owned(),
        endpoint_id: Some(*id),
        display_name: None,
        state: PeerState::Authorized,
        expires_at: None,
        problem: None,
    });
    listed.chain(configured)
}

fn known(index: &Index, key: &Key, object: &Object) -> KnownPeer {
    let (state, problem) = state_of(index, key, object);
    let good = object.peer.as_ref().ok();
    KnownPeer {
        name: object.name().into(),
        origin: key.to_string(),
        endpoint_id: object.claims().first().copied(),
        display_name: good.and_then(|p| p.display_name.clone()),
        state,
        expires_at: good.and_then(|p| p.expires_at),
        problem,
    }
}

fn state_of(index: &Index, key: &Key, object: &Object) -> (PeerState, Option<String>) {
    let peer = match &object.peer {
        Err(broken) => return (PeerState::Invalid, Some(broken.problem.clone())),
        Ok(peer) => peer,
    };
    let Some(id) = &peer.endpoint_id else { return (PeerState::Waiting, None) };
    match index.winner(id) {
        Some((winner, older)) if winner != key => {
            let name = older.name();
            let remedy = "delete one of them; the older one decides until then";
            return (
                PeerState::Duplicate,
                Some(format!("Duplicate: {name} ({winner}) names the same Endpoint ID; {remedy}")),
            );
        }
        _ => {}
    }
    if peer.suspended {
        (PeerState::Suspended, None)
    } else if index.has_expired(peer) {
        (PeerState::Expired, None)
    } else {
        (PeerState::Authorized, None)
    }
}

fn count(index: &Index) -> Counts {
    let mut counts = Counts { foreign: index.foreign(), ..Counts::default() };
    for peer in peers(index) {
        let slot = match peer.state {
            PeerState::Authorized => &mut counts.authorized,
            PeerState::Suspended | PeerState::Expired => &mut counts.refused,
            PeerState::Invalid | PeerState::Duplicate => &mut counts.broken,
            PeerState::Waiting => &mut counts.waiting,
        };
        *slot = slot.saturating_add(1);
    }
    counts
}

fn broken(index: &Index, total: u32) -> Vec<BrokenObject> {
    let away =
        index.source().why().map(|why| BrokenObject { name: "policy source".into(), problem: why.into() });
    let objects = peers(index)
        .filter_map(|p| p.problem.map(|problem| BrokenObject { name: p.origin, problem }))
        .take(MAX_NAMED_BROKEN);
    let mut named: Vec<BrokenObject> = away.into_iter().chain(objects).collect();
    let unnamed = usize::try_from(total).unwrap_or(usize::MAX).saturating_sub(MAX_NAMED_BROKEN);
    if unnamed > 0 {
        let problem = "cannot be used either: mend the ones above first".to_owned();
        named.push(BrokenObject { name: format!("{unnamed} more"), problem });
    }
    named
}
