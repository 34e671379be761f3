//! What is to be done for a code, and when a pairing is over. Pure.

use anyhow::{Result, bail, ensure};
use crds::peer::{PairingSpec, PairingState, PairingStatus, ReflectorKind, ReflectorRef};
use crds::quantity::DurationText;
use crds::{Reflector, ReflectorPeer, ReflectorPeerSpec};
use kube::ResourceExt as _;
use serde_json::{Value, json};

use super::show::End;
use crate::plugin::args::Pair;
use crate::plugin::peers::target;

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(super) enum Plan {
    /// There is no such peer.
    Create(Box<ReflectorPeer>),
    /// A new code for one that is there: its round.
    Raise(i64),
    /// A code is there, or on its way: its round.
    Join(i64),
    /// Nothing: it ended already, so.
    Over(End),
}

/// `reflectors` are those of the namespace, when nobody said which.
pub(super) fn plan(there: Option<&ReflectorPeer>, wanted: &Pair, reflectors: &[Reflector]) -> Result<Plan> {
    let Some(peer) = there else { return Ok(Plan::Create(Box::new(create(wanted, reflectors)?))) };
    let name = &wanted.name;
    ensure!(peer.metadata.deletion_timestamp.is_none(), "{name} is being deleted: try again when it is gone");
    if let Some(asked) = asked(wanted) {
        ensure!(
            asked == peer.spec.reflector_ref,
            "{name} is a peer of {}, which cannot be changed: delete it, or take another name",
            target(peer)
        );
    }
    ensure!(peer.spec.suspend != Some(true), "{name} is suspended: remove spec.suspend first");
    if let Some(id) = &peer.spec.endpoint_id {
        ensure!(!wanted.again, "spec.endpointId says who {name} is: make another peer for another appliance");
        return Ok(Plan::Over(End::Bound(id.clone())));
    }
    let asked = peer.spec.pairing.as_ref().and_then(|pairing| pairing.round).unwrap_or(0);
    if wanted.again {
        let said = peer.status.as_ref().and_then(|status| status.pairing.as_ref()?.round);
        return Ok(Plan::Raise(asked.max(said.unwrap_or(0)) + 1));
    }
    Ok(end(peer, asked).map_or(Plan::Join(asked), Plan::Over))
}

fn create(wanted: &Pair, reflectors: &[Reflector]) -> Result<ReflectorPeer> {
    let reflector_ref = match asked(wanted) {
        Some(asked) => asked,
        None => match reflectors {
            [only] => ReflectorRef { kind: ReflectorKind::Reflector, name: only.name_any() },
            [] => {
                bail!("there is no Reflector in this namespace: make one, or name another namespace with -n")
            }
            several => {
                let names: Vec<String> = several.iter().take(8).map(kube::ResourceExt::name_any).collect();
                bail!(
                    "there are several Reflectors ({}): say --reflector NAME, or --fleet NAME",
                    names.join(", ")
                )
            }
        },
    };
    let pairing = wanted.ttl.clone().map(|ttl| PairingSpec { ttl: Some(ttl_of(&ttl)), round: None });
    let spec = ReflectorPeerSpec { reflector_ref, pairing, ..ReflectorPeerSpec::default() };
    let peer = ReflectorPeer::new(&wanted.name, spec);
    if let Err(problems) = crds::peer::validate(&peer) {
        let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
        bail!("{}", all.join("; "));
    }
    Ok(peer)
}

/// What the command line says about the reflector.
fn asked(wanted: &Pair) -> Option<ReflectorRef> {
    let of = |kind: ReflectorKind, name: &String| ReflectorRef { kind, name: name.clone() };
    let reflector = wanted.reflector.as_ref().map(|name| of(ReflectorKind::Reflector, name));
    reflector.or_else(|| wanted.fleet.as_ref().map(|name| of(ReflectorKind::ReflectorFleet, name)))
}

fn ttl_of(text: &str) -> DurationText {
    DurationText::new(text)
}

/// The edit that asks for a new code.
pub(super) fn raise(round: i64, wanted: &Pair) -> Value {
    let mut pairing = json!({ "round": round });
    if let Some(ttl) = &wanted.ttl {
        pairing["ttl"] = json!(ttl);
    }
    json!({ "spec": { "pairing": pairing } })
}

/// Whether the operator has said something final about this round: a code, or that it is over.
pub(super) fn is_over_or_has_code(pairing: &PairingStatus, round: i64) -> bool {
    pairing.round.unwrap_or(0) == round
        && match pairing.state {
            Some(PairingState::Waiting) => pairing.secret.is_some(),
            Some(_) => true,
            None => false,
        }
}

/// How the pairing of this round ended; nothing, while it goes on.
pub(super) fn end(peer: &ReflectorPeer, round: i64) -> Option<End> {
    let status = peer.status.as_ref()?;
    let pairing = status.pairing.as_ref().filter(|pairing| pairing.round.unwrap_or(0) == round)?;
    match pairing.state.as_ref()? {
        PairingState::Bound => Some(End::Bound(status.endpoint_id.clone().unwrap_or_default())),
        PairingState::Claimed => Some(End::Claimed(pairing.confirm.clone().unwrap_or_default())),
        PairingState::Expired => Some(End::Expired),
        PairingState::Waiting | PairingState::Unknown(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::args::Force;
    use crate::plugin::testing::yaml;

    fn wanted() -> Pair {
        Pair {
            name: "kitchen".into(),
            reflector: None,
            fleet: None,
            ttl: None,
            wait: false,
            again: false,
            force: Force { force: false },
        }
    }

    fn peer(spec: &str, status: &str) -> ReflectorPeer {
        yaml(&format!(
            "{{ metadata: {{ name: kitchen }}, spec: {{ reflectorRef: {{ kind: Reflector, name: attic }}, {spec} }}, status: {{ {status} }} }}"
        ))
    }

    fn refused(there: Option<&ReflectorPeer>, wanted: &Pair, reflectors: &[Reflector]) -> String {
        plan(there, wanted, reflectors).unwrap_err().to_string()
    }

    #[test]
    fn a_new_peer_is_one_of_the_only_reflector_or_of_the_one_that_was_named() {
        let attic: Reflector = yaml("{ metadata: { name: attic }, spec: {} }");
        let cellar: Reflector = yaml("{ metadata: { name: cellar }, spec: {} }");
        let Plan::Create(peer) = plan(None, &wanted(), std::slice::from_ref(&attic)).unwrap() else {
            panic!()
        };
        assert_eq!(target(&peer), "attic");
        assert_eq!(peer.spec.pairing, None, "nothing is written that says what is the default");
        assert!(refused(None, &wanted(), &[]).contains("no Reflector"));
        assert!(refused(None, &wanted(), &[attic, cellar]).contains("attic, cellar"));
        let fleet = Pair { fleet: Some("homes".into()), ttl: Some("5m".into()), ..wanted() };
        let Plan::Create(peer) = plan(None, &fleet, &[]).unwrap() else { panic!() };
        assert_eq!(target(&peer), "fleet/homes");
        assert_eq!(serde_json::to_value(peer.spec.pairing).unwrap(), json!({ "ttl": "5m" }));
        let bad = Pair { reflector: Some("attic".into()), ttl: Some("soon".into()), ..wanted() };
        assert!(refused(None, &bad, &[]).contains("spec.pairing.ttl"));
    }

    #[test]
    fn a_code_that_is_there_is_shown_and_only_again_makes_another() {
        let waiting = peer("pairing: { round: 2 }", "pairing: { state: Waiting, round: 2, secret: s }");
        assert_eq!(plan(Some(&waiting), &wanted(), &[]).unwrap(), Plan::Join(2));
        let again = Pair { again: true, ttl: Some("5m".into()), ..wanted() };
        assert_eq!(plan(Some(&waiting), &again, &[]).unwrap(), Plan::Raise(3));
        assert_eq!(raise(3, &again), json!({ "spec": { "pairing": { "round": 3, "ttl": "5m" } } }));
        let bound = peer("", "endpointId: PP-X, pairing: { state: Bound, round: 0 }");
        assert_eq!(plan(Some(&bound), &wanted(), &[]).unwrap(), Plan::Over(End::Bound("PP-X".into())));
        assert_eq!(plan(Some(&bound), &again, &[]).unwrap(), Plan::Raise(1));
        let raised = peer("pairing: { round: 1 }", "endpointId: PP-X, pairing: { state: Bound, round: 0 }");
        assert_eq!(plan(Some(&raised), &wanted(), &[]).unwrap(), Plan::Join(1), "the new code is on its way");
    }

    #[test]
    fn what_cannot_get_a_code_says_what_to_do() {
        let expired = peer("", "pairing: { state: Expired }");
        assert_eq!(plan(Some(&expired), &wanted(), &[]).unwrap(), Plan::Over(End::Expired));
        let claimed = peer("", "pairing: { state: Claimed, confirm: 7DN2 }");
        assert_eq!(plan(Some(&claimed), &wanted(), &[]).unwrap(), Plan::Over(End::Claimed("7DN2".into())));
        let elsewhere = Pair { reflector: Some("cellar".into()), ..wanted() };
        assert!(refused(Some(&expired), &elsewhere, &[]).contains("peer of attic"));
        assert!(refused(Some(&peer("suspend: true", "")), &wanted(), &[]).contains("suspend"));
        let declared = peer("endpointId: PP-X", "");
        assert_eq!(plan(Some(&declared), &wanted(), &[]).unwrap(), Plan::Over(End::Bound("PP-X".into())));
        assert!(refused(Some(&declared), &Pair { again: true, ..wanted() }, &[]).contains("another peer"));
    }

    #[test]
    fn a_pairing_is_over_by_what_is_said_of_its_own_round() {
        let bound = peer("", "endpointId: PP-X, pairing: { state: Bound, round: 1 }");
        assert_eq!(end(&bound, 1), Some(End::Bound("PP-X".into())));
        assert_eq!(end(&bound, 2), None, "that was the one before");
        assert_eq!(end(&peer("", "pairing: { state: Waiting }"), 0), None);
        assert_eq!(end(&peer("", "pairing: { state: Expired }"), 0), Some(End::Expired));
        let claimed = peer("", "pairing: { state: Claimed, confirm: 7DN2 }");
        assert_eq!(end(&claimed, 0), Some(End::Claimed("7DN2".into())));
    }
}
