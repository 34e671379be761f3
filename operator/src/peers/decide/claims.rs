//! Who presented the code, and who only says so.

use crds::EndpointId;
use crds::pairing::{CodeKey, Statement};
use crds::peer::PairingStatus;
use kube::ResourceExt as _;

use crate::peers::found::{Found, Named};

/// Claims of one peer, judged.
pub(super) struct Claims {
    /// The first that proves it.
    pub(super) valid: Option<EndpointId>,
    /// Reflectors whose claim proves nothing.
    pub(super) refused: Vec<String>,
}

/// Judges, in the order of the entries. Only reflectors the peer names may claim. `at` is somebody else's clock and
/// decides nothing.
pub(super) fn claims(
    found: &Found,
    named: &Named,
    pairing: &PairingStatus,
    bound: Option<EndpointId>,
) -> Claims {
    let key = pairing.code_key.as_deref().and_then(|text| text.parse::<CodeKey>().ok());
    let uid = found.peer.uid().unwrap_or_default();
    let mut claims = Claims { valid: None, refused: vec![] };
    let entries = found.peer.status.iter().flat_map(|status| &status.reflectors);
    for entry in entries.filter(|entry| named.reflectors.iter().any(|one| one.name == entry.name)) {
        let Some(claim) = &entry.claim else { continue };
        let id = claim.endpoint_id.as_deref().and_then(|text| text.parse::<EndpointId>().ok());
        let proven = id.zip(key.as_ref()).is_some_and(|(endpoint_id, key)| {
            let statement = Statement { peer_uid: &uid, reflector: &entry.name, endpoint_id };
            key.accepts(&statement, claim.proof.as_deref().unwrap_or_default())
        });
        match (proven, id) {
            (true, id) => claims.valid = claims.valid.or(id),
            // The claim that bound it in an earlier round.
            (false, Some(id)) if Some(id) == bound => {}
            (false, _) => claims.refused.push(entry.name.clone()),
        }
    }
    claims
}
