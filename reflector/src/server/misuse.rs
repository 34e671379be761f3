//! What a peer hears when it does not keep to the protocol, and what is counted. The answer depends on the frame and on
//! whether policy knows the peer; a few bad frames close the connection.

use serde_json::json;

use crate::audit::{Event, EventType};
use crate::clock;
use crate::link::features::VersionError;
use crate::link::message::Envelope;
use crate::link::reply::{self, BAD_REQUEST, FORBIDDEN};
use crate::link::{DecodeError, DecodeErrorKind, FrameError};
use crate::metrics::BadFrame;
use crate::reason::{DenyReason, RefuseReason};
use crate::session::Denied;

use super::answers;
use super::connection::{Connection, Ending};
use super::limits::MAX_BAD_FRAMES;

/// To everything but `hello` and `pair_request` from a peer policy does not know.
pub(super) const PAIR_FIRST: &str = "pair first: until then only pair_request is answered";

impl Connection {
    /// The first frame is no message at all, or a request that cannot be read.
    pub(super) async fn no_hello(&mut self, error: &DecodeError) -> Ending {
        if !error.is_bad_frame() {
            return self.hello_missing(error.request_id.clone().unwrap_or_default()).await;
        }
        match self.bad_frame(error).await {
            Err(ending) => ending,
            Ok(()) => Ending::Closed(RefuseReason::HelloMissing),
        }
    }

    /// The first message is another one than `hello`.
    pub(super) async fn hello_missing(&mut self, request_id: String) -> Ending {
        self.count(BadFrame::Unexpected);
        let answer = reply::error(request_id, BAD_REQUEST, "the first message must be hello");
        self.last_words(&answer, RefuseReason::HelloMissing).await
    }

    /// A `hello` in a version that is not spoken here.
    pub(super) async fn other_version(&mut self, request_id: &str, problem: VersionError) -> Ending {
        self.count(BadFrame::Version);
        let answer = reply::error(request_id, BAD_REQUEST, problem.to_string());
        self.last_words(&answer, RefuseReason::Version).await
    }

    /// A known message at the wrong time, or in the wrong direction.
    pub(super) async fn unexpected(&mut self, question: &Envelope, message: &str) -> Result<(), Ending> {
        self.error(question, BAD_REQUEST, message).await?;
        self.one_more(BadFrame::Unexpected)
    }

    /// Nothing after such a header can be trusted. What is still on its way is read away for a moment, so that closing
    /// does not reset the connection under the answer.
    pub(super) async fn oversized(&mut self, error: FrameError) -> Ending {
        self.count(BadFrame::Oversized);
        if let Err(ending) = self.send(&error.answer()).await {
            return ending;
        }
        self.wire.drain().await;
        Ending::Closed(RefuseReason::OversizedFrame)
    }

    /// A whole frame that is no message, or a `session_request` whose values are denied before admission sees them.
    pub(super) async fn bad_frame(&mut self, error: &DecodeError) -> Result<(), Ending> {
        if !error.is_bad_frame() {
            return self.bad_values(error).await;
        }
        self.send(&error.answer()).await?;
        self.one_more(match error.kind {
            DecodeErrorKind::UnknownType { .. } => BadFrame::UnknownType,
            _ => BadFrame::BadJson,
        })
    }

    async fn bad_values(&mut self, error: &DecodeError) -> Result<(), Ending> {
        if !self.is_allowed() {
            let request_id = error.request_id.clone().unwrap_or_default();
            return self.send(&reply::error(request_id, FORBIDDEN, PAIR_FIRST)).await;
        }
        self.note_denial(DenyReason::InvalidParams, &error.to_string());
        self.send(&error.answer()).await
    }

    /// A request that was denied before admission saw it is on record like any other.
    pub(super) fn denied_here(&self, denied: Denied) -> Denied {
        self.note_denial(denied.reason, &denied.message);
        denied
    }

    fn note_denial(&self, reason: DenyReason, detail: &str) {
        let services = &self.shared.services;
        services.metrics.session_denied(reason);
        services.ledger.account(self.peer).record_denial(services.ledger.at(clock::now()));
        services.audit.record_limited(Event {
            params: Some(json!({ "detail": detail })),
            decision: Some("denied"),
            reason: Some(reason.as_str()),
            ..answers::about(self, EventType::SessionDenied)
        });
    }

    /// Says why, and that it is over. A peer that does not take the answer ends the connection its own way.
    async fn last_words(&mut self, answer: &Envelope, reason: RefuseReason) -> Ending {
        match self.send(answer).await {
            Err(ending) => ending,
            Ok(()) => Ending::Closed(reason),
        }
    }

    fn one_more(&mut self, kind: BadFrame) -> Result<(), Ending> {
        self.count(kind);
        self.bad_frames += 1;
        if self.bad_frames >= MAX_BAD_FRAMES { Err(Ending::Closed(RefuseReason::BadFrames)) } else { Ok(()) }
    }

    fn count(&self, kind: BadFrame) {
        self.shared.services.metrics.bad_frame(kind);
    }
}
