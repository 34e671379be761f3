//! Whose code it is, and what became of a claim. Pure.

use std::sync::Arc;

use crds::EndpointId;
use crds::pairing::CodeKey;
use crds::peer::{PairingState, RefKind};
use jiff::Timestamp;

use crate::access::cluster::HeldPeer;

/// A peer whose code waits for an appliance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its name.
    pub name: Arc<str>,
    /// Its uid: what a proof is about.
    pub uid: Arc<str>,
    /// Which kind of object its code is salted with.
    pub kind: RefKind,
    /// What its code stands for, as it is published.
    pub code_key: CodeKey,
    /// When its code ends.
    pub expires_at: Timestamp,
}

/// How a claim stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// The operator has not looked yet.
    Open,
    /// It is bound to this appliance.
    Bound,
    /// Somebody has to approve it.
    Claimed,
    /// It went to another appliance, or its object is gone.
    Lost,
    /// Its time is over.
    Expired,
}

/// The peer as one that waits; `None` when no code of it can be presented.
pub fn waiting(peer: &HeldPeer, now: Timestamp) -> Option<Waiting> {
    let pairing = peer.pairing.as_ref().filter(|pairing| pairing.state == Some(PairingState::Waiting))?;
    let valid = peer.object.peer.as_ref().ok()?;
    let expires_at = pairing.expires_at.as_ref()?.0;
    // Whoever is shut out does not come back by a code.
    let shut_out = valid.suspended || valid.expires_at.is_some_and(|at| at <= now);
    if shut_out || expires_at <= now {
        return None;
    }
    Some(Waiting {
        name: Arc::clone(&peer.name),
        uid: peer.uid.as_str().into(),
        kind: valid.reflector.kind,
        code_key: pairing.code_key.as_deref()?.parse().ok()?,
        expires_at,
    })
}

/// What became of this appliance's claim on a peer. `None`: there is no such peer any more.
pub fn progress(peer: Option<&HeldPeer>, uid: &str, id: &EndpointId) -> Progress {
    let Some(peer) = peer.filter(|peer| peer.uid == uid) else { return Progress::Lost };
    let Some(pairing) = &peer.pairing else { return Progress::Lost };
    let names_us = peer.object.peer.as_ref().is_ok_and(|peer| peer.endpoint_id.as_ref() == Some(id));
    match &pairing.state {
        Some(PairingState::Waiting) | None => Progress::Open,
        Some(PairingState::Bound) if names_us => Progress::Bound,
        Some(PairingState::Claimed) if pairing.confirm.as_ref() == Some(&id.confirm()) => Progress::Claimed,
        Some(PairingState::Expired) => Progress::Expired,
        Some(PairingState::Bound | PairingState::Claimed | PairingState::Unknown(_)) => Progress::Lost,
    }
}
