//! The first words of a connection: what must be said, and who may stay.

use crate::access::policy::{Refusal, Verdict};
use crate::audit::{Event, EventType};
use crate::link::features;
use crate::link::message::Message;
use crate::link::reply::FORBIDDEN;
use crate::reason::RefuseReason;

use super::answers;
use super::connection::{Connection, Ending, Happening};
use super::limits::HELLO;
use super::places::Full;

impl Connection {
    /// The first frame must be `hello`, and from someone who may be here.
    pub(super) async fn hello(&mut self) -> Result<(), Ending> {
        let deadline = self.active_at + HELLO;
        let frame = loop {
            match self.next(Some(deadline), false).await {
                Happening::Frame(frame) => break frame,
                Happening::TimedOut => return Err(Ending::Closed(RefuseReason::HelloTimeout)),
                Happening::Ended(ending) => return Err(ending),
                Happening::Oversized(error) => return Err(self.oversized(error).await),
                // Whether the peer may be here is decided when it has spoken.
                Happening::PolicyChanged
                | Happening::PairingClosed
                | Happening::PhaseChanged
                | Happening::SessionEnded(_) => {}
            }
        };
        let envelope = match frame {
            Ok(envelope) => envelope,
            Err(error) => return Err(self.no_hello(&error).await),
        };
        let Message::Hello { version, features } = &envelope.payload else {
            return Err(self.hello_missing(envelope.request_id).await);
        };
        if let Err(problem) = version.parse::<features::Version>() {
            return Err(self.other_version(&envelope.request_id, problem).await);
        }
        self.standing.mark_unchanged();
        if let Err((reason, message)) = self.admit() {
            self.error(&envelope, FORBIDDEN, &message).await?;
            return Err(Ending::Closed(reason));
        }
        self.features = features::negotiate(features, self.shared.services.features);
        let hello = answers::server_hello(self);
        self.answer(&envelope, hello).await
    }

    /// May this peer be here at all?
    fn admit(&mut self) -> Result<(), (RefuseReason, String)> {
        match self.verdict() {
            Verdict::Allowed(policy) => self.take_place(&policy.peer),
            Verdict::Refused(refusal) if self.may_pair(&refusal) => Ok(()),
            Verdict::Refused(refusal) => Err((refusal.reason(), answers::refusal(&refusal))),
        }
    }

    /// Known from now on: strangers cannot take this place.
    pub(super) fn take_place(&mut self, name: &str) -> Result<(), (RefuseReason, String)> {
        self.seat.identify(self.peer).map_err(|full| {
            let message = match full {
                Full::OfThisId => "too many connections of this identity are open: close one first",
                Full::InAll => "every place for known appliances is taken: try again in a minute",
            };
            (RefuseReason::TooManyConnections, message.to_owned())
        })?;
        self.known = true;
        self.shared.services.audit.record_limited(Event {
            peer_name: Some(name.to_owned()),
            decision: Some("allowed"),
            ..answers::about(self, EventType::ConnectionAccepted)
        });
        Ok(())
    }

    pub(super) fn may_pair(&self, refusal: &Refusal) -> bool {
        let services = &self.shared.services;
        matches!(refusal, Refusal::Unknown) && services.access.may_pair() && services.entrance.is_open()
    }
}
