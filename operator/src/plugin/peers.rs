//! `peers`: who may test where, and what it used today.

use anyhow::{Context as _, Result};
use crds::peer::{ReflectorKind, Usage};
use crds::{Reflector, ReflectorPeer};
use jiff::Timestamp;
use kube::ResourceExt as _;

use super::answer::{Answer, list};
use super::args::Format;
use super::cluster::Cluster;
use super::text::{NONE, ago, bytes, find, table};
use crate::clock;

pub(super) async fn run(cluster: &Cluster, format: Option<Format>) -> Result<Answer> {
    let peers: Vec<ReflectorPeer> = cluster.list().await?;
    let text = match format {
        Some(format) => {
            let objects: Result<Vec<_>, _> = peers.iter().map(serde_json::to_value).collect();
            list(&objects.context("write JSON")?, format)?
        }
        None if peers.is_empty() => {
            format!(
                "There is no peer in namespace {}: kubectl reflector pair NAME makes one.\n",
                cluster.namespace
            )
        }
        None => show(&peers, clock::now().wall),
    };
    Ok(Answer::text(text))
}

/// The table.
fn show(peers: &[ReflectorPeer], now: Timestamp) -> String {
    let head = [
        "NAME",
        "REFLECTOR",
        "READY",
        "REASON",
        "ENDPOINT-ID",
        "TESTS",
        "BYTES",
        "REMAINING",
        "DENIED",
        "SEEN",
        "AGE",
    ];
    let rows =
        std::iter::once(head.map(str::to_owned).to_vec()).chain(peers.iter().map(|peer| row(peer, now)));
    table(&rows.collect::<Vec<_>>())
}

fn row(peer: &ReflectorPeer, now: Timestamp) -> Vec<String> {
    let status = peer.status.clone().unwrap_or_default();
    let ready = find(&status.conditions, "Ready");
    let or_none =
        |text: Option<String>| text.filter(|text| !text.is_empty()).unwrap_or_else(|| NONE.to_owned());
    let usage = today(peer, now).unwrap_or_default();
    vec![
        peer.name_any(),
        target(peer),
        or_none(ready.map(|ready| ready.status.clone())),
        or_none(ready.map(|ready| ready.reason.clone())),
        or_none(status.short_id),
        usage.tests_today.unwrap_or(0).to_string(),
        bytes(usage.bytes_today.unwrap_or(0)),
        or_none(usage.bytes_remaining.map(bytes)),
        usage.denied_today.unwrap_or(0).to_string(),
        ago(status.last_seen.as_ref(), now),
        ago(peer.metadata.creation_timestamp.as_ref(), now),
    ]
}

/// `attic`, or `fleet/homes`.
pub(super) fn target(peer: &ReflectorPeer) -> String {
    let named = &peer.spec.reflector_ref;
    match named.kind {
        ReflectorKind::ReflectorFleet => format!("fleet/{}", named.name),
        _ => named.name.clone(),
    }
}

/// What it used today. Numbers are good for their day only: at midnight nobody writes that they are nought again.
pub(super) fn today(peer: &ReflectorPeer, now: Timestamp) -> Option<Usage> {
    let usage = peer.status.as_ref()?.usage.clone()?;
    let day = now.strftime("%Y-%m-%d").to_string();
    (usage.day.as_deref() == Some(&day)).then_some(usage)
}

/// Whether a peer may test on a Reflector: it names it, or the fleet that made it.
pub(super) fn is_of(peer: &ReflectorPeer, reflector: &Reflector) -> bool {
    let named = &peer.spec.reflector_ref;
    match named.kind {
        ReflectorKind::Reflector => named.name == reflector.name_any(),
        ReflectorKind::ReflectorFleet => reflector
            .owner_references()
            .iter()
            .any(|owner| owner.kind == "ReflectorFleet" && owner.name == named.name),
        ReflectorKind::Unknown(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::testing::{golden, now, picture};

    #[test]
    fn golden_peers_as_a_table() {
        golden("peers.txt", &show(&picture().peers, now()));
    }

    #[test]
    fn yesterdays_numbers_are_not_todays() {
        let peer = picture().peers.into_iter().find(|peer| peer.name_any() == "living-room").unwrap();
        assert_eq!(today(&peer, now()).unwrap().tests_today, Some(3));
        let tomorrow = now().checked_add(jiff::Span::new().hours(24)).unwrap();
        assert_eq!(today(&peer, tomorrow), None);
    }
}
