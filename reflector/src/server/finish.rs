//! How connections end: what is audited and counted, and what stops with them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::json;
use tokio::time::timeout;

use crate::access::policy::Verdict;
use crate::audit::{Event, EventType};
use crate::clock;
use crate::metrics::StrayKind;
use crate::reason::{EndReason, RefuseReason};

use super::answers;
use super::connection::{Connection, Ending};
use super::gate::Refused;
use super::shared::Shared;

/// How long a connection's sessions may take to let go of their sockets before the latency of a cut is reported
/// without them. An engine that ignores its stop is dropped after 1 s.
const SESSIONS_GONE: Duration = Duration::from_secs(2);

/// Nobody came in.
pub(super) fn refused(shared: &Arc<Shared>, remote: SocketAddr, refused: &Refused) {
    let services = &shared.services;
    services.metrics.connection_refused(refused.reason);
    match refused.reason {
        RefuseReason::NotTls => services.metrics.stray_connection(StrayKind::NotTls),
        RefuseReason::UnexpectedCookie => services.metrics.stray_connection(StrayKind::UnexpectedCookie),
        _ => {}
    }
    tracing::debug!(%remote, reason = %refused.reason, detail = refused.detail.as_deref(), "connection refused");
    // Port scanners and load balancers open and close sockets all day: counted, not audited.
    if matches!(refused.reason, RefuseReason::NoFirstByte) {
        return;
    }
    services.audit.record_limited(Event {
        peer_id: refused.key,
        source: Some(remote.ip()),
        decision: Some("denied"),
        reason: Some(refused.reason.as_str()),
        params: refused.detail.as_ref().map(|detail| serde_json::json!({ "detail": detail })),
        ..Event::new(EventType::ConnectionDenied)
    });
}

/// Stops what the connection still runs, closes its socket, and writes down why.
pub(super) async fn connection(connection: Connection, ending: Ending) {
    let shared = Arc::clone(&connection.shared);
    let services = &shared.services;
    if let Some(asking) = &connection.asked {
        asking.stop(end_reason(&ending));
    }
    let since_mono_ms = connection.standing.borrow().since_mono_ms;
    let was_known = connection.known;
    let (peer, remote) = (connection.peer, connection.remote);
    match &ending {
        Ending::PeerLeft => tracing::debug!(%remote, peer = %peer.short(), "peer left"),
        Ending::Stopped => tracing::debug!(%remote, peer = %peer.short(), "connection stopped"),
        Ending::Closed(reason) => denied(&connection, *reason),
        Ending::Revoked(refusal) => turned_away(&connection, refusal.reason()),
    }
    let event = answers::about(&connection, EventType::ConnectionDenied);
    if let Verdict::Allowed(_) = connection.verdict() {
        answers::seen(&connection);
    }
    let Connection { wire, seat, mut sessions, asked, .. } = connection;
    drop(asked);
    match &ending {
        // Its place is somebody else's already: no word and no wait for whoever had to go.
        Ending::Closed(RefuseReason::Crowded) => drop(wire),
        _ => drop(wire.close(matches!(ending, Ending::Closed(_))).await),
    }
    // The socket is closed; the data sockets of its sessions belong to the same cut.
    let gone = async { while sessions.next().await.is_some() {} };
    if timeout(SESSIONS_GONE, gone).await.is_err() {
        tracing::warn!(peer = %peer.short(), "sessions were slow to end");
    }
    if let Ending::Revoked(refusal) = &ending {
        let event = Event { decision: Some("denied"), reason: Some(refusal.reason().as_str()), ..event };
        if was_known {
            let millis = clock::now().mono_ms.saturating_sub(since_mono_ms);
            services.metrics.revoked(Duration::from_millis(millis));
            #[expect(clippy::cast_precision_loss, reason = "milliseconds of a cut, far below 2^52")]
            shared.revocations.record(peer, since_mono_ms, millis as f64);
            // Our owner's doing, at most once per place of a known ID: no stranger can cause these.
            services.audit.record_now(Event { params: Some(json!({ "latency_ms": millis })), ..event });
        } else {
            services.audit.record_limited(event);
        }
    }
    drop(seat);
}

fn denied(connection: &Connection, reason: RefuseReason) {
    turned_away(connection, reason);
    if matches!(reason, RefuseReason::Idle) {
        return;
    }
    connection.shared.services.audit.record_limited(Event {
        decision: Some("denied"),
        reason: Some(reason.as_str()),
        ..answers::about(connection, EventType::ConnectionDenied)
    });
}

fn turned_away(connection: &Connection, reason: RefuseReason) {
    connection.shared.services.metrics.connection_refused(reason);
    tracing::debug!(remote = %connection.remote, peer = %connection.peer.short(), %reason, "connection closed");
}

fn end_reason(ending: &Ending) -> EndReason {
    match ending {
        Ending::PeerLeft | Ending::Closed(RefuseReason::Idle | RefuseReason::SlowReader) => {
            EndReason::ClientVanished
        }
        Ending::Closed(_) => EndReason::ProtocolError,
        Ending::Revoked(refusal) => refusal.end_reason(),
        Ending::Stopped => EndReason::Shutdown,
    }
}
