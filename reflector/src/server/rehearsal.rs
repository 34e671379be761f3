//! The reflector as its own peer: a connection of the one key that lives in this process and in no object.
//!
//! It goes through the socket, the gate and TLS as everybody does, and asks policy and admission. It takes no place of a
//! known peer and no slot, and is in no ledger, audit log or status. Whoever has another key, or comes from another host with
//! this one, is no part of it: policy decides about them as ever.

use std::net::SocketAddr;
use std::time::Duration;

use crds::EndpointId;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use uuid::Uuid;

use crate::access::policy::Verdict;
use crate::clock;
use crate::link::features::{self, Features, VERSION};
use crate::link::message::{Envelope, Message, ServerHello, SessionGrant, SessionParams, TestType};
use crate::link::reply::{self, BAD_REQUEST, FORBIDDEN};

use super::answers;
use super::connection::stopping;
use super::floor::Seat;
use super::limits::STRANGER_PAYLOAD;
use super::shared::Shared;
use super::wire::Wire;

/// For all of it: four frames on one host. Test: `a_rehearsal_that_says_nothing_ends`.
pub(crate) const REHEARSAL: Duration = Duration::from_secs(10);

/// Whether this connection is our own. The key alone would do, as nobody else can have it; that it comes from this host is
/// asked all the same, because it costs nothing.
pub(super) fn is_ours(
    ours: Option<&EndpointId>,
    peer: &EndpointId,
    (remote, local): (SocketAddr, SocketAddr),
) -> bool {
    ours == Some(peer) && (remote.ip().is_loopback() || remote.ip() == local.ip())
}

/// From hello to goodbye. `seat` is the place of a stranger, and is held for as long as the socket.
pub(super) async fn serve(stream: TlsStream<TcpStream>, seat: Seat, local: SocketAddr, shared: &Shared) {
    let mut wire = Wire::new(stream);
    wire.limit(STRANGER_PAYLOAD);
    tokio::select! {
        biased;
        () = stopping(shared.phase.clone()) => {}
        // However it ends, the other end sees it, and tells.
        _ended = timeout(REHEARSAL, talk(&mut wire, local, shared)) => {}
    }
    drop(wire.close(false).await);
    drop(seat);
}

/// Each answer is what a peer would get. `None`: there is nobody to answer any more.
async fn talk(wire: &mut Wire<TlsStream<TcpStream>>, local: SocketAddr, shared: &Shared) -> Option<()> {
    let mut spoken = Features::NONE;
    loop {
        let Envelope { request_id, payload } = wire.read().await.ok()?.ok()?;
        let answer = match payload {
            Message::Hello { features, .. } => {
                spoken = features::negotiate(&features, shared.services.features);
                hello(request_id, spoken, shared)
            }
            Message::SessionRequest { test_type, params } => {
                request(request_id, spoken, (test_type, &params), local, shared)
            }
            _ => reply::error(request_id, BAD_REQUEST, "this connection is for hello and one request"),
        };
        wire.write(&answer).await.ok()?;
    }
}

fn hello(request_id: String, spoken: Features, shared: &Shared) -> Envelope {
    let services = &shared.services;
    if let Verdict::Refused(refusal) = services.access.rehearsal() {
        return reply::error(request_id, FORBIDDEN, answers::refusal(&refusal));
    }
    let payload = Message::ServerHello(ServerHello {
        version: VERSION.to_owned(),
        features: spoken.names(),
        policy_summary: services.default_summary.clone(),
        network_position: Some(services.position.to_owned()),
        bytes_remaining: None,
        succession: None,
    });
    Envelope { request_id, payload }
}

fn request(
    request_id: String,
    spoken: Features,
    (test_type, params): (TestType, &SessionParams),
    local: SocketAddr,
    shared: &Shared,
) -> Envelope {
    let services = &shared.services;
    let policy = match services.access.rehearsal() {
        Verdict::Allowed(policy) => policy,
        Verdict::Refused(refusal) => {
            return reply::error(request_id, FORBIDDEN, answers::refusal(&refusal));
        }
    };
    match services.sessions.rehearse(&policy, spoken, test_type, params) {
        Ok(plan) => {
            // Over before it began: behind it is no session, and its token opens nothing.
            let payload = Message::SessionGrant(SessionGrant {
                test_id: Uuid::new_v4(),
                mode: plan.placement.mode(),
                port: local.port(),
                token: Uuid::new_v4().to_string(),
                expires_at: clock::now().wall,
                duration_sec: Some(0),
                max_rate: None,
            });
            Envelope { request_id, payload }
        }
        Err(denied) => reply::deny(request_id, spoken, denied.reason, denied.message, denied.retry_after_sec),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> EndpointId {
        EndpointId::from_public_key([n; 32])
    }

    /// Nothing is opened to anybody else, wherever they come from.
    #[test]
    fn only_our_key_from_our_host_is_ours() {
        let ends = |remote: &str, local: &str| {
            (SocketAddr::new(remote.parse().unwrap(), 50_000), SocketAddr::new(local.parse().unwrap(), 4000))
        };
        let loopback = ends("127.0.0.1", "127.0.0.1");
        assert!(is_ours(Some(&id(1)), &id(1), loopback));
        assert!(is_ours(Some(&id(1)), &id(1), ends("::1", "::1")));
        assert!(is_ours(Some(&id(1)), &id(1), ends("192.0.2.7", "192.0.2.7")), "bound to one address");
        assert!(!is_ours(Some(&id(1)), &id(2), loopback), "another key");
        assert!(!is_ours(None, &id(1), loopback), "there is none");
        assert!(!is_ours(Some(&id(1)), &id(1), ends("192.0.2.8", "192.0.2.7")), "another host");
    }
}
