//! A code is presented. Unknown peers may become known here; everyone else learns where it stands.

use crate::access::pairing::{Outcome, Pairing, Refused};
use crate::access::policy::{Refusal, Verdict};
use crate::audit::{Event, EventType};
use crate::cluster::pairing::{Codes, Presented};
use crate::link::message::Message;
use crate::metrics::PairingResult;
use crate::network::source_key;
use crate::reason::RefuseReason;

use super::answers;
use super::connection::{Connection, Ending, stopping};
use super::shared::{Enrolled, Entrance, Roster};

/// Answers `pair_request`. After a success the same connection has full access: the change of policy gives it a known
/// place before its next frame is read.
pub(super) async fn attempt(connection: &mut Connection, code: &str) -> Result<Message, Ending> {
    match connection.verdict() {
        // The code stays good for whoever needs it.
        Verdict::Allowed(_) => Ok(paired(connection, "you are paired already; the code was not used")),
        Verdict::Refused(Refusal::Unknown) if connection.shared.services.access.may_pair() => {
            let shared = connection.shared.clone();
            match &shared.services.entrance {
                Entrance::Window { pairing, roster } => {
                    Ok(window(connection, code, pairing, &**roster).await)
                }
                Entrance::Codes(codes) => waiting(connection, code, codes).await,
            }
        }
        Verdict::Refused(refusal) => Ok(refused(&answers::refusal(&refusal))),
    }
}

/// The code of a peer that waits in the cluster. Its operator decides, which takes a moment: whatever ends the connection
/// does not wait for it.
async fn waiting(connection: &mut Connection, code: &str, codes: &Codes) -> Result<Message, Ending> {
    let presented = tokio::select! {
        biased;
        () = stopping(connection.phase.clone()) => return Err(Ending::Stopped),
        () = connection.seat.evicted.cancelled() => return Err(Ending::Closed(RefuseReason::Crowded)),
        presented = codes.present(code, connection.peer, connection.remote.ip()) => presented,
    };
    let services = &connection.shared.services;
    match presented {
        Presented::Bound(name) => {
            record_paired(connection, &name).await;
            Ok(paired(connection, "paired"))
        }
        Presented::Waits(name) => {
            let confirm = connection.peer.confirm();
            services.metrics.pairing_attempt(PairingResult::Waits);
            tracing::info!(peer = %connection.peer, %name, "a claim waits for approval");
            Ok(refused(&format!("waiting for approval as {confirm}")))
        }
        Presented::Unconfirmed(name) => {
            services.metrics.pairing_attempt(PairingResult::Failed);
            tracing::warn!(peer = %connection.peer, %name, "the operator did not confirm a claim in time");
            Ok(refused("the cluster did not confirm in time, try again"))
        }
        Presented::Refused(why) => Ok(not_accepted(connection, why)),
    }
}

fn not_accepted(connection: &Connection, why: Refused) -> Message {
    let services = &connection.shared.services;
    services.metrics.pairing_attempt(counted(why));
    services.audit.record_limited(Event {
        decision: Some("denied"),
        reason: Some(why.reason().as_str()),
        message: Some(why.to_string()),
        ..answers::about(connection, EventType::ConnectionDenied)
    });
    refused(&why.to_string())
}

async fn record_paired(connection: &Connection, name: &str) {
    let services = &connection.shared.services;
    services.metrics.pairing_attempt(PairingResult::Paired);
    services.metrics.pairing_window(services.entrance.is_open());
    tracing::info!(peer = %connection.peer, %name, "paired");
    services
        .audit
        .record(Event {
            peer_name: Some(name.to_owned()),
            decision: Some("allowed"),
            ..answers::about(connection, EventType::PeerPaired)
        })
        .await;
}

async fn window(connection: &mut Connection, code: &str, pairing: &Pairing, roster: &dyn Roster) -> Message {
    let shared = connection.shared.clone();
    let services = &shared.services;
    let source = source_key(connection.remote.ip());
    let reservation = match pairing.attempt(source, connection.peer, code).await {
        Outcome::Accepted(reservation) => reservation,
        Outcome::Refused(why) => return not_accepted(connection, why),
    };
    let Enrolled { name, problem } = match roster.enrol(connection.peer).await {
        Ok(enrolled) => enrolled,
        Err(problem) => {
            // Dropping the reservation makes the code good again.
            drop(reservation);
            services.metrics.pairing_attempt(PairingResult::Failed);
            tracing::error!(%problem, peer = %connection.peer.short(), "a right code could not enrol its appliance");
            return refused(
                "the reflector could not write you down: try again, and tell its owner if it stays so",
            );
        }
    };
    if let Err(error) = reservation.commit().await {
        // The peer is durable; the code is spent in memory and was taken off the disk before the peer was put on it.
        tracing::warn!(%error, "the used pairing window is not recorded as closed");
    }
    record_paired(connection, &name).await;
    match problem {
        None => paired(connection, "paired"),
        // The code did its work and is not good twice.
        Some(problem) => {
            tracing::error!(%problem, peer = %connection.peer.short(), %name, "a paired appliance is not in force yet");
            paired(connection, "paired; the reflector has yet to take it up: connect again in a minute")
        }
    }
}

fn counted(why: Refused) -> PairingResult {
    match why {
        Refused::Wrong => PairingResult::WrongCode,
        Refused::Wait { .. } | Refused::InUse { .. } => PairingResult::Limited,
        Refused::NotRecorded => PairingResult::Failed,
        _ => PairingResult::Closed,
    }
}

fn paired(connection: &Connection, message: &str) -> Message {
    Message::PairResponse {
        success: true,
        message: message.to_owned(),
        endpoint_id: Some(connection.shared.services.identity.borrow().identity.id()),
    }
}

fn refused(message: &str) -> Message {
    Message::PairResponse { success: false, message: message.to_owned(), endpoint_id: None }
}
