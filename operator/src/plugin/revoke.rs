//! `revoke`: shuts a peer out, and says how long it took from our own write until its reflectors had done it.

use std::time::Duration;

use anyhow::Result;
use crds::ReflectorPeer;
use crds::peer::PeerReflectorStatus;
use kube::ResourceExt as _;
use serde_json::json;

use super::answer::{Answer, Exit};
use super::args::Revoke;
use super::cluster::Cluster;
use super::text::{count, find, line, plain};
use crate::clock;

pub(super) async fn run(cluster: &Cluster, wanted: &Revoke) -> Result<Answer> {
    let before: ReflectorPeer = cluster.get(&wanted.peer).await?;
    if before.spec.suspend == Some(true) && is_done(&before, &before) {
        return Ok(Answer::text(format!("{} is shut out already.\n", wanted.peer)));
    }
    // From before it is sent: what is measured is what the person waits.
    let began = clock::now().mono_ms;
    let written = match before.spec.suspend {
        Some(true) => before.clone(),
        _ => cluster.edit(&before, json!({ "spec": { "suspend": true } }), wanted.force).await?,
    };
    cluster.stands_for(&format!("wait reflectorpeer/{} --for condition=Revoked", wanted.peer));
    let done = cluster.until(&wanted.peer, wanted.timeout, |peer| is_done(peer, &written)).await?;
    let took = Duration::from_millis(clock::now().mono_ms.saturating_sub(began));
    if let Some(peer) = done {
        return Ok(Answer::text(shown(&peer, took)));
    }
    let now: ReflectorPeer = cluster.get(&wanted.peer).await?;
    Ok(Answer { text: late(&now, &written, took), exit: Exit::No })
}

/// Whether every reflector it names has shut it out since that write. The operator's word counts for those that have
/// nothing to say: a peer that was never connected has no sessions to end.
fn is_done(peer: &ReflectorPeer, written: &ReflectorPeer) -> bool {
    let Some(status) = &peer.status else { return false };
    let since = written.metadata.generation;
    let revoked = find(&status.conditions, "Revoked");
    revoked.is_some_and(|revoked| revoked.status == "True" && revoked.observed_generation >= since)
        || !status.reflectors.is_empty() && status.reflectors.iter().all(|entry| has_done(entry, written))
}

fn has_done(entry: &PeerReflectorStatus, written: &ReflectorPeer) -> bool {
    let old = written.status.iter().flat_map(|status| &status.reflectors).find(|old| old.name == entry.name);
    let at = |entry: &PeerReflectorStatus| entry.revocation.as_ref()?.enforced_at.clone();
    let new = at(entry);
    entry.loaded_generation >= written.metadata.generation && new.is_some() && old.and_then(at) != new
}

fn shown(peer: &ReflectorPeer, took: Duration) -> String {
    let mut out = format!("{} is shut out: {} ms after the command.\n", peer.name_any(), took.as_millis());
    for entry in peer.status.iter().flat_map(|status| &status.reflectors) {
        let latency = entry.revocation.as_ref().and_then(|revocation| revocation.latency_ms);
        if let Some(latency) = latency {
            let name = plain(&entry.name);
            line(
                &mut out,
                &format!("  {name}: its last socket was closed {latency:.1} ms after the change reached it"),
            );
        }
    }
    out
}

fn late(peer: &ReflectorPeer, written: &ReflectorPeer, took: Duration) -> String {
    let entries = peer.status.iter().flat_map(|status| &status.reflectors);
    let open: Vec<String> =
        entries.filter(|entry| !has_done(entry, written)).map(|entry| plain(&entry.name)).collect();
    let whose =
        if open.is_empty() { "no reflector".to_owned() } else { format!("not by {}", open.join(", ")) };
    format!(
        "{} is suspended, but after {} it is confirmed {whose}: kubectl reflector status shows those that cannot reach the API server; they go on until spec.access.offlineGrace is over.\n",
        peer.name_any(),
        count(i64::try_from(took.as_secs()).unwrap_or(i64::MAX), "second"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::testing::yaml;

    fn peer(generation: i64, entries: &str, revoked: &str) -> ReflectorPeer {
        yaml(&format!(
            "{{ metadata: {{ name: kitchen, generation: {generation} }}, spec: {{ reflectorRef: {{ kind: Reflector, name: attic }}, suspend: true }}, status: {{ reflectors: [{entries}], conditions: [{revoked}] }} }}"
        ))
    }

    fn entry(name: &str, generation: i64, at: &str) -> String {
        format!(
            "{{ name: {name}, loadedGeneration: {generation}, revocation: {{ enforcedAt: '2026-11-22T12:00:{at}Z', latencyMs: 3.25 }} }}"
        )
    }

    #[test]
    fn it_is_done_when_each_reflector_has_done_it_since() {
        let written = peer(3, &format!("{}, {}", entry("a", 2, "00"), entry("b", 2, "00")), "");
        assert!(!is_done(&written, &written));
        let one = peer(3, &format!("{}, {}", entry("a", 3, "07"), entry("b", 2, "00")), "");
        assert!(!is_done(&one, &written), "one of two");
        assert!(late(&one, &written, Duration::from_secs(30)).contains("not by b"));
        let loaded = peer(3, &format!("{}, {}", entry("a", 3, "07"), entry("b", 3, "00")), "");
        assert!(!is_done(&loaded, &written), "an earlier revocation is none");
        let both = peer(3, &format!("{}, {}", entry("a", 3, "07"), entry("b", 3, "08")), "");
        assert!(is_done(&both, &written));
        let words = shown(&both, Duration::from_millis(42));
        assert!(
            words.starts_with("kitchen is shut out: 42 ms") && words.contains("b: its last socket"),
            "{words}"
        );
    }

    #[test]
    fn the_operators_word_counts_only_for_this_generation() {
        let revoked = |generation: i64| {
            format!(
                "{{ type: Revoked, status: 'True', reason: Suspended, message: '', observedGeneration: {generation}, lastTransitionTime: '2026-11-22T12:00:00Z' }}"
            )
        };
        let written = peer(3, "", "");
        assert!(!is_done(&peer(3, "", &revoked(2)), &written));
        assert!(is_done(&peer(3, "", &revoked(3)), &written));
        assert!(!is_done(&written, &written), "no reflector is not every reflector");
    }
}
