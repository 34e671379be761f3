//! Session requests of one connection: admission, the grant, and the word when a session has ended.

use std::pin::Pin;
use std::sync::Arc;

use crate::access::policy::{Policy, Verdict};
use crate::link::message::{Envelope, Message, SessionParams, TestType};
use crate::link::reply;
use crate::reason::EndReason;
use crate::session::{Denied, Granted, Peer, Requester, SessionRecord, Sessions, Ticket};

use super::answers;
use super::connection::{Connection, Ending, stopping};
use super::liveness::Liveness;

/// The end of one of this connection's sessions, and the request that began it. No record: its task died.
pub(super) type SessionEnd = (String, Option<SessionRecord>);

/// Shared by reference while answers are built, hence `Sync`.
pub(super) type EndingFuture = Pin<Box<dyn Future<Output = SessionEnd> + Send + Sync>>;

/// What admission knows of a connection. Dropping it ends what the connection still runs: after an orderly end nothing does,
/// so this is for the bug that unwinds its task.
pub(super) struct Asking {
    requester: Requester,
    liveness: Liveness,
    sessions: Sessions,
}

impl Asking {
    /// Ends all sessions of the connection.
    pub(super) fn stop(&self, reason: EndReason) {
        self.sessions.stop_connection(self.requester.connection(), reason);
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.stop(EndReason::Internal);
    }
}

impl Connection {
    pub(super) async fn session_request(
        &mut self,
        request_id: String,
        test_type: TestType,
        params: &SessionParams,
    ) -> Result<(), Ending> {
        let outcome = loop {
            // Refused since the frame was read: what happens next is the end.
            let Verdict::Allowed(policy) = self.verdict() else { return Ok(()) };
            match self.ask(test_type, params, &policy).await? {
                Some(outcome) => break outcome,
                None => self.policy_changed().await?,
            }
        };
        let answer = match outcome {
            Ok(granted) => {
                let id = request_id.clone();
                self.sessions.push(Box::pin(async move { (id, granted.ended.await.ok()) }));
                self.probe();
                Envelope { request_id, payload: Message::SessionGrant(granted.grant) }
            }
            Err(denied) => {
                reply::deny(request_id, self.features, denied.reason, denied.message, denied.retry_after_sec)
            }
        };
        self.send(&answer).await
    }

    /// Admission, raced against everything that may take the right to an answer away. `None`: the policy changed.
    async fn ask(
        &mut self,
        test_type: TestType,
        params: &SessionParams,
        policy: &Arc<Policy>,
    ) -> Result<Option<Result<Granted, Denied>>, Ending> {
        let asking = match &mut self.asked {
            Some(asking) => asking,
            first => {
                let Ok(liveness) = Liveness::of(self.wire.get_ref().get_ref().0) else {
                    return Ok(Some(Err(self.denied_here(answers::no_descriptors()))));
                };
                let peer = Peer {
                    id: self.peer,
                    source: self.remote.ip(),
                    local: self.local.ip(),
                    features: self.features,
                    silence: Arc::new(liveness.silence()),
                };
                let sessions = self.shared.services.sessions.clone();
                first.insert(Asking { requester: Requester::new(peer), liveness, sessions })
            }
        };
        let tls = self.wire.get_ref().get_ref().1;
        let export = |out: &mut [u8], label: &[u8], context: Option<&[u8]>| {
            tls.export_keying_material(out, label, context).map(|_| ())
        };
        let Ok(ticket) = Ticket::new(export) else {
            return Ok(Some(Err(self.denied_here(answers::no_keys()))));
        };
        let shared = Arc::clone(&self.shared);
        tokio::select! {
            biased;
            () = stopping(self.phase.clone()) => Err(Ending::Stopped),
            _ = self.standing.changed() => Ok(None),
            outcome = shared.services.sessions.request(&asking.requester, ticket, policy, test_type, params) => Ok(Some(outcome)),
        }
    }

    fn probe(&self) {
        if let Some(asking) = &self.asked {
            asking.liveness.probe(!self.sessions.is_empty());
        }
    }

    pub(super) async fn session_ended(&mut self, end: SessionEnd) -> Result<(), Ending> {
        self.touch();
        self.probe();
        match answers::session_result(self.features, end) {
            Some(envelope) => self.send(&envelope).await,
            None => Ok(()),
        }
    }
}
