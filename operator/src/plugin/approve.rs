//! `approve`: lets an appliance in that presented a code, by naming it in `spec.endpointId`.

use std::io::{self, BufRead as _, IsTerminal as _};

use anyhow::{Context as _, Result, bail, ensure};
use crds::peer::PairingState;
use crds::{EndpointId, ReflectorPeer};
use kube::ResourceExt as _;
use serde_json::json;

use super::answer::{Answer, written};
use super::args::{Approve, Format};
use super::cluster::Cluster;
use super::text::plain;

pub(super) async fn run(cluster: &Cluster, wanted: &Approve, format: Option<Format>) -> Result<Answer> {
    let peer: ReflectorPeer = cluster.get(&wanted.peer).await?;
    let waiting = claimed(&peer)?;
    let typed = match &wanted.confirm {
        Some(typed) => typed.clone(),
        None => ask(&waiting)?,
    };
    ensure!(
        is_same(&typed, &waiting.confirm()),
        "the appliance that waits is {}, not {}: somebody else may have had the code. kubectl reflector pair {} --again makes a new one",
        waiting.confirm(),
        plain(&typed),
        wanted.peer
    );
    cluster.edit(&peer, json!({ "spec": { "endpointId": waiting.to_string() } }), wanted.force).await?;
    let text = match format {
        Some(format) => written(&json!({ "peer": wanted.peer, "endpointId": waiting.to_string() }), format)?,
        None => format!("{} is {waiting}; it may test now.\n", wanted.peer),
    };
    Ok(Answer::text(text))
}

/// Whose claim the operator accepted: the one with the confirm code it published. Others prove nothing.
fn claimed(peer: &ReflectorPeer) -> Result<EndpointId> {
    let name = peer.name_any();
    ensure!(peer.spec.endpoint_id.is_none(), "spec.endpointId says already who {name} is");
    let status = peer.status.clone().unwrap_or_default();
    let pairing = status.pairing.unwrap_or_default();
    if pairing.state != Some(PairingState::Claimed) {
        bail!("no appliance waits for approval as {name}: kubectl reflector why {name} says more");
    }
    let confirm = pairing.confirm.context("the operator has not published a confirm code yet")?;
    // The one that proved the code; a pod that restarted does not say it any more.
    if let Some(proven) = pairing.endpoint_id.as_deref().and_then(|id| id.parse::<EndpointId>().ok()) {
        ensure!(is_same(&proven.confirm(), &confirm), "the claim and the confirm code of {name} differ");
        return Ok(proven);
    }
    let claims = status.reflectors.iter().filter_map(|entry| entry.claim.as_ref()?.endpoint_id.as_deref());
    let mut fitting: Vec<EndpointId> = claims
        .filter_map(|id| id.parse::<EndpointId>().ok())
        .filter(|id| is_same(&id.confirm(), &confirm))
        .collect();
    fitting.sort_unstable_by_key(|id| *id.public_key());
    fitting.dedup();
    match fitting.as_slice() {
        [only] => Ok(*only),
        [] => {
            bail!("the claim with confirm code {confirm} is not in the status of {name} any more: try again")
        }
        _ => bail!(
            "several appliances have the confirm code {confirm}: set spec.endpointId of {name} yourself"
        ),
    }
}

/// People leave out dashes and write small letters.
fn is_same(one: &str, other: &str) -> bool {
    let plain = |text: &str| -> String {
        text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
    };
    !plain(one).is_empty() && plain(one) == plain(other)
}

fn ask(waiting: &EndpointId) -> Result<String> {
    ensure!(io::stdin().is_terminal(), "say what the appliance shows: --confirm {}", "GROUPS");
    anstream::eprint!("An appliance waits. Which confirm code does it show? ");
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).context("read the confirm code")?;
    let line = line.trim().to_owned();
    ensure!(!line.is_empty(), "nothing was approved; the appliance should show {}", waiting.confirm());
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::testing::yaml;

    fn id(byte: u8) -> EndpointId {
        EndpointId::from_public_key([byte; 32])
    }

    fn peer(state: &str, confirm: &str, claims: &[EndpointId]) -> ReflectorPeer {
        let entries: Vec<String> = claims
            .iter()
            .enumerate()
            .map(|(index, id)| format!("{{ name: r{index}, claim: {{ endpointId: {id} }} }}"))
            .collect();
        yaml(&format!(
            "{{ metadata: {{ name: kitchen }}, spec: {{ reflectorRef: {{ kind: Reflector, name: attic }} }}, status: {{ pairing: {{ state: {state}, confirm: {confirm} }}, reflectors: [{}] }} }}",
            entries.join(", ")
        ))
    }

    #[test]
    fn the_claim_the_operator_accepted_is_approved_and_no_other() {
        let peer = peer("Claimed", &id(2).confirm(), &[id(1), id(2), id(2)]);
        assert_eq!(claimed(&peer).unwrap(), id(2));
    }

    #[test]
    fn nothing_is_approved_that_does_not_wait() {
        let words = |peer: &ReflectorPeer| claimed(peer).unwrap_err().to_string();
        assert!(words(&peer("Waiting", &id(1).confirm(), &[id(1)])).contains("no appliance waits"));
        assert!(words(&peer("Claimed", &id(2).confirm(), &[id(1)])).contains("try again"));
        let mut declared = peer("Claimed", &id(1).confirm(), &[id(1)]);
        declared.spec.endpoint_id = Some(id(1).to_string());
        assert!(words(&declared).contains("already"));
    }

    #[test]
    fn a_confirm_code_may_be_typed_without_dashes() {
        assert!(is_same("7dn2 ff6e", "7DN2-FF6E"));
        assert!(!is_same("7DN2-FF6F", "7DN2-FF6E"));
        assert!(!is_same("", ""));
    }
}
