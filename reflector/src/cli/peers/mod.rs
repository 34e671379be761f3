//! `reflector peers`: manifests are edited, then the running server is asked whether it took the change.

use std::path::Path;

use crds::EndpointId;
use jiff::Timestamp;
use serde::Serialize;

use super::args::Peers;
use super::backend::{Backend, Edited, ManifestPeer, NewPeer};
use super::commands::unexpected;
use super::output::{Answer, Style, bytes, count, plain, pretty};
use crate::admin::client::AskError;
use crate::admin::protocol::{LivePeer, Request, Response};
use crate::config::Config;

/// How long the running server may take to confirm: revocation is promised within 2 s, and half of the client's
/// deadline is left for the answer.
const CONFIRM_MS: u64 = 5_000;

/// Runs one of the peers commands.
pub(super) fn run(
    command: &Peers,
    config: &Config,
    backend: &dyn Backend,
) -> anyhow::Result<(Box<dyn Answer>, bool)> {
    let socket = config.admin_socket_path();
    Ok(match command {
        Peers::List { json } => (Box::new(list(config, backend, &socket)?), json.json),
        Peers::Add { endpoint_id, name, display_name, json } => {
            let peer =
                NewPeer { endpoint_id: *endpoint_id, name: name.clone(), display_name: display_name.clone() };
            let edited = backend.add_peer(config, &peer)?;
            let wait = |endpoint_id| Request::AwaitAuthorised { endpoint_id, timeout_ms: CONFIRM_MS };
            (Box::new(confirm(edited, Change::Added, backend, &socket, wait)?), json.json)
        }
        Peers::Remove { peer, json } => {
            let edited = backend.remove_peer(config, peer)?;
            let wait = |endpoint_id| Request::AwaitRevoked { endpoint_id, timeout_ms: CONFIRM_MS };
            (Box::new(confirm(edited, Change::Removed, backend, &socket, wait)?), json.json)
        }
        Peers::Revoke { peer, json } => {
            let edited = backend.revoke_peer(config, peer)?;
            let wait = |endpoint_id| Request::AwaitRevoked { endpoint_id, timeout_ms: CONFIRM_MS };
            (Box::new(confirm(edited, Change::Revoked, backend, &socket, wait)?), json.json)
        }
    })
}

/// One line of the list.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Row {
    name: String,
    state: String,
    endpoint_id: Option<EndpointId>,
    /// What only the running server knows.
    #[serde(flatten)]
    live: Option<Live>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Live {
    connections: u32,
    active_tests: u32,
    tests_today: u32,
    bytes_today: u64,
    bytes_remaining: Option<u64>,
    unlimited_on_loopback: bool,
    last_seen: Option<Timestamp>,
}

/// The list.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct PeerList {
    /// Whether the reflector was asked.
    running: bool,
    peers: Vec<Row>,
}

fn list(config: &Config, backend: &dyn Backend, socket: &Path) -> anyhow::Result<PeerList> {
    let manifests = backend.peers(config)?;
    match backend.ask(socket, &Request::Peers) {
        Ok(Response::Peers { peers }) => Ok(merge(manifests, Some(peers))),
        Ok(other) => Err(unexpected(other)),
        Err(AskError::NotRunning { .. }) => Ok(merge(manifests, None)),
        Err(error) => Err(error.into()),
    }
}

/// Manifests and live peers in one list, by name. The server's word on the state wins.
fn merge(manifests: Vec<ManifestPeer>, live: Option<Vec<LivePeer>>) -> PeerList {
    let running = live.is_some();
    let mut live = live.unwrap_or_default();
    let mut peers: Vec<Row> = Vec::with_capacity(manifests.len());
    for peer in manifests {
        let known = live.iter().position(|l| l.name == peer.name && Some(l.endpoint_id) == peer.endpoint_id);
        peers.push(match known.map(|at| live.swap_remove(at)) {
            Some(known) => row(known),
            None => Row { name: peer.name, state: peer.state, endpoint_id: peer.endpoint_id, live: None },
        });
    }
    peers.extend(live.into_iter().map(row));
    peers.sort_by(|a, b| (&a.name, a.endpoint_id).cmp(&(&b.name, b.endpoint_id)));
    PeerList { running, peers }
}

fn row(peer: LivePeer) -> Row {
    let live = Live {
        connections: peer.connections,
        active_tests: peer.active_tests,
        tests_today: peer.tests_today,
        bytes_today: peer.bytes_today,
        bytes_remaining: peer.bytes_remaining,
        unlimited_on_loopback: peer.unlimited_on_loopback,
        last_seen: peer.last_seen,
    };
    Row { name: peer.name, state: peer.state, endpoint_id: Some(peer.endpoint_id), live: Some(live) }
}

impl Answer for PeerList {
    fn json(&self) -> serde_json::Result<String> {
        pretty(self)
    }

    fn text(&self, style: Style) -> String {
        render_peers(self, style)
    }
}

/// The list as a table.
fn render_peers(list: &PeerList, style: Style) -> String {
    let none = || "-".to_owned();
    let heading = ["NAME", "STATE", "ENDPOINT-ID", "TESTS", "BYTES", "REMAINING", "LAST-SEEN"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for peer in &list.peers {
        let live = peer.live.as_ref();
        rows.push(vec![
            peer.name.clone(),
            peer.state.clone(),
            peer.endpoint_id.map_or_else(none, |id| id.short()),
            live.map_or_else(none, |l| l.tests_today.to_string()),
            live.map_or_else(none, |l| bytes(l.bytes_today)),
            remaining(peer).unwrap_or_else(none),
            live.and_then(|l| l.last_seen).map_or_else(none, |at| format!("{at:.0}")),
        ]);
    }
    style.table(&rows)
}

/// What is left of the day. Nothing is, not even an endless amount, for a peer that may not connect. What was used over
/// loopback counts, but ends nothing there unless somebody set a limit: a peer that goes on at "0 B" would be a riddle.
fn remaining(peer: &Row) -> Option<String> {
    let live = peer.live.as_ref().filter(|_| peer.state == "authorized")?;
    Some(match live.bytes_remaining {
        None => "unlimited".to_owned(),
        Some(0) if live.unlimited_on_loopback => "0 B (loopback: unlimited)".to_owned(),
        Some(left) => bytes(left),
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Change {
    Added,
    Removed,
    Revoked,
}

/// A change and whether the running server took it.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Changed {
    change: Change,
    name: String,
    endpoint_id: Option<EndpointId>,
    file: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    still_named_by: Vec<String>,
    /// The running server confirmed; false when none runs or there is nobody to wait for.
    confirmed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    connections_closed: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<f64>,
}

fn confirm(
    edited: Edited,
    change: Change,
    backend: &dyn Backend,
    socket: &Path,
    wait: impl FnOnce(EndpointId) -> Request,
) -> anyhow::Result<Changed> {
    let mut changed = Changed {
        change,
        name: edited.name,
        endpoint_id: edited.endpoint_id,
        file: edited.file.display().to_string(),
        still_named_by: edited.still_named_by,
        confirmed: false,
        connections_closed: None,
        latency_ms: None,
    };
    let Some(endpoint_id) = edited.endpoint_id else { return Ok(changed) };
    if !changed.still_named_by.is_empty() {
        // Whether it is shut out is for the others to say; waiting for it would be waiting for nothing.
        return Ok(changed);
    }
    let written = || format!("{} is written, but not confirmed", changed.file);
    match backend.ask(socket, &wait(endpoint_id)) {
        Ok(Response::Ok) => changed.confirmed = true,
        Ok(Response::Revoked { connections, latency_ms }) => {
            changed.confirmed = true;
            changed.connections_closed = Some(connections);
            changed.latency_ms = Some(latency_ms);
        }
        Ok(other) => return Err(unexpected(other).context(written())),
        Err(AskError::NotRunning { .. }) => {}
        Err(error) => return Err(anyhow::Error::new(error).context(written())),
    }
    Ok(changed)
}

impl Answer for Changed {
    fn json(&self) -> serde_json::Result<String> {
        pretty(self)
    }

    fn text(&self, _: Style) -> String {
        let (done, now) = match self.change {
            Change::Added => ("added", "it may connect now"),
            Change::Removed => ("removed", "it is shut out, and may pair again"),
            Change::Revoked => ("revoked", "it is shut out, and cannot pair again"),
        };
        if !self.still_named_by.is_empty() {
            return format!(
                "{done} {} ({}): its Endpoint ID is still named by {}, which decides now\n",
                plain(&self.name),
                plain(&self.file),
                plain(&self.still_named_by.join(", "))
            );
        }
        let effect = match (self.confirmed, self.connections_closed, self.latency_ms) {
            (true, Some(0), _) => format!("{now}; it was not connected"),
            (true, Some(closed), Some(ms)) => {
                format!("{now}; {} closed after {ms:.0} ms", count(closed, "connection"))
            }
            (true, ..) => now.to_owned(),
            (false, ..) if self.endpoint_id.is_none() => "it had no Endpoint ID yet".to_owned(),
            (false, ..) => "the reflector is not running; it takes effect when it starts".to_owned(),
        };
        format!("{done} {} ({}): {effect}\n", plain(&self.name), plain(&self.file))
    }
}

#[cfg(test)]
mod tests;
