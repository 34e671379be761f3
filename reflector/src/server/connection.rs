//! One connection, from proven key to closed socket: one task, one select.
//!
//! The order of the arms is the order of importance: a stop, losing the place and a policy change come before
//! anything the peer says. A request that is being answered is raced against the same three.

use std::net::SocketAddr;
use std::sync::Arc;

use crds::EndpointId;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until};

use crate::access::Standing;
use crate::access::policy::{Policy, Verdict};
use crate::link::decode::{self, DecodeError};
use crate::link::features::{self, Features};
use crate::link::message::{Envelope, Message, SessionResult};
use crate::reason::RefuseReason;
use crate::session::SessionRecord;

use super::floor::Seat;
use super::limits::{DRAIN_SECOND_HALF, HELLO, IDLE, MAX_BAD_FRAMES};
use super::shared::{Phase, Shared};
use super::wire::{ReadEnd, Wire, WriteEnd};
use super::{answers, revocation};

/// Why a connection ended; `None` in places means the peer simply left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// The peer closed, or its socket broke.
    PeerLeft,
    /// We closed, for a typed reason.
    Closed(RefuseReason),
    /// Policy took the peer's right to be here away while it was here.
    Revoked(RefuseReason),
    /// The process stops.
    Stopped,
}

/// What can happen next.
enum Event {
    Frame(Vec<u8>),
    ReadEnded(ReadEnd),
    PolicyChanged,
    SessionEnded(SessionRecord),
    PairingClosed,
    Evicted,
    PhaseChanged,
    TimedOut,
}

/// A connection whose key is proven.
pub(super) struct Connection<S> {
    pub(super) wire: Wire<S>,
    pub(super) seat: Seat,
    pub(super) peer: EndpointId,
    pub(super) remote: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) shared: Arc<Shared>,
    pub(super) standing: watch::Receiver<Standing>,
    pub(super) features: Features,
    bad_frames: u32,
    sessions: FuturesUnordered<oneshot::Receiver<SessionRecord>>,
    phase: watch::Receiver<Phase>,
    last_active: Instant,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Connection<S> {
    #[expect(clippy::disallowed_methods, reason = "idle time is this file's business")]
    pub(super) fn new(
        wire: Wire<S>,
        seat: Seat,
        peer: EndpointId,
        addresses: (SocketAddr, SocketAddr),
        shared: Arc<Shared>,
    ) -> Self {
        let standing = shared.access.subscribe(peer);
        let phase = shared.phase.subscribe();
        Self {
            wire,
            seat,
            peer,
            remote: addresses.0,
            local: addresses.1,
            shared,
            standing,
            features: Features::default(),
            bad_frames: 0,
            sessions: FuturesUnordered::new(),
            phase,
            last_active: Instant::now(),
        }
    }

    /// Serves until the end, then stops what still runs, says goodbye and frees the place.
    pub(super) async fn serve(mut self) -> Ending {
        let ending = match self.hello().await {
            Ok(()) => self.converse().await,
            Err(ending) => ending,
        };
        revocation::finish(self, ending).await;
        ending
    }

    /// The first frame must be `hello`, and from someone who may be here.
    async fn hello(&mut self) -> Result<(), Ending> {
        let deadline = self.last_active + HELLO;
        let payload = loop {
            match self.next(Some(deadline), None).await {
                Event::Frame(payload) => break payload,
                // Whether the peer may be here is decided when it has spoken.
                Event::PolicyChanged | Event::PairingClosed | Event::SessionEnded(_) => {}
                Event::TimedOut => return Err(Ending::Closed(RefuseReason::HelloTimeout)),
                other => return Err(self.ended_by(other).await),
            }
        };
        let envelope = match decode::decode(&payload) {
            Ok(envelope) => envelope,
            Err(error) => {
                self.shared.metrics.bad_frame(error.kind_name());
                self.answer_bad(&error).await?;
                return Err(Ending::Closed(RefuseReason::HelloMissing));
            }
        };
        let Message::Hello { version, features } = envelope.payload else {
            self.error(&envelope.request_id, 400, "the first message must be hello").await?;
            return Err(Ending::Closed(RefuseReason::HelloMissing));
        };
        if let Err(problem) = features::check_version(&version) {
            self.error(&envelope.request_id, 400, &problem.to_string()).await?;
            return Err(Ending::Closed(RefuseReason::Version));
        }
        let refusal = match self.verdict() {
            Verdict::Allowed(_) => match self.seat.identify(self.peer) {
                Ok(()) => None,
                Err(_full) => Some((
                    RefuseReason::TooManyConnections,
                    "too many connections of this identity are open: close one first".to_owned(),
                )),
            },
            Verdict::Refused(refusal) if self.may_pair(&refusal) => None,
            Verdict::Refused(refusal) => Some((refusal.reason(), answers::refusal(&refusal, &self.shared.access))),
        };
        if let Some((reason, message)) = refusal {
            self.error(&envelope.request_id, 403, &message).await?;
            return Err(Ending::Closed(reason));
        }
        self.features = features::negotiate(&features, self.shared.features);
        answers::accepted(self);
        let hello = answers::server_hello(self).await;
        self.send(&envelope.request_id, hello).await
    }

    async fn converse(&mut self) -> Ending {
        loop {
            let deadline = self.idle_deadline();
            let event = self.next(deadline, Some(IDLE)).await;
            let result = match event {
                Event::Frame(payload) => self.frame(&payload).await,
                Event::SessionEnded(record) => self.session_ended(record).await,
                Event::PolicyChanged => self.policy_changed(),
                Event::PhaseChanged if self.shared.draining() => Ok(()),
                other => Err(self.ended_by(other).await),
            };
            if let Err(ending) = result {
                return ending;
            }
        }
    }

    async fn frame(&mut self, payload: &[u8]) -> Result<(), Ending> {
        self.touch();
        match decode::decode(payload) {
            Ok(Envelope { request_id, payload }) => self.message(&request_id, payload).await,
            Err(error) => {
                self.shared.metrics.bad_frame(error.kind_name());
                self.answer_bad(&error).await?;
                if error.counts_as_bad() { self.count_bad() } else { Ok(()) }
            }
        }
    }

    async fn message(&mut self, request_id: &str, message: Message) -> Result<(), Ending> {
        let known = matches!(self.verdict(), Verdict::Allowed(_));
        let answer = match message {
            Message::PairRequest { token } => {
                let answer = answers::pair(self, &token).await;
                self.send(request_id, answer).await?;
                return Ok(());
            }
            Message::Hello { .. } => {
                self.error(request_id, 400, "hello was said already").await?;
                return self.count_bad();
            }
            ref other if !other.is_request() => {
                self.error(request_id, 400, "this message is not for a reflector").await?;
                return self.count_bad();
            }
            _ if !known => {
                return self.error(request_id, 403, "pair first: only pair_request is answered").await;
            }
            Message::SessionRequest { test_type, params } => {
                let shared = Arc::clone(&self.shared);
                let requester = answers::requester(self);
                let request = shared.sessions.request(&requester, test_type, params);
                // Whoever loses its right while a request is being answered does not get the answer.
                let outcome = tokio::select! {
                    biased;
                    () = self.seat.evicted.cancelled() => return Err(Ending::Closed(RefuseReason::Crowded)),
                    _ = self.standing.changed() => { self.standing.mark_changed(); return Ok(()); }
                    outcome = request => outcome,
                };
                match outcome {
                    Ok(granted) => {
                        self.sessions.push(granted.ended);
                        Message::SessionGrant(granted.grant)
                    }
                    Err(denied) => denied.into_message(),
                }
            }
            other => answers::simple(self, other),
        };
        self.send(request_id, answer).await
    }

    async fn session_ended(&mut self, record: SessionRecord) -> Result<(), Ending> {
        self.touch();
        if !self.features.contains(features::Feature::Results) {
            return Ok(());
        }
        let request_id = record.request_id.clone();
        let result = SessionResult::from(record);
        self.send(&request_id, Message::SessionResult(result)).await
    }

    /// A narrower policy holds at once; losing the right to be here ends the connection.
    fn policy_changed(&mut self) -> Result<(), Ending> {
        match self.verdict() {
            Verdict::Allowed(policy) => {
                self.shared.sessions.narrow(self.peer, &policy);
                Ok(())
            }
            Verdict::Refused(refusal) if self.may_pair(&refusal) && self.sessions.is_empty() => Ok(()),
            Verdict::Refused(refusal) => Err(Ending::Revoked(refusal.reason())),
        }
    }

    async fn next(&mut self, deadline: Option<Instant>, _idle: Option<std::time::Duration>) -> Event {
        let restricted = matches!(*self.standing.borrow(), Standing { verdict: Verdict::Refused(_), .. });
        tokio::select! {
            biased;
            _ = self.phase.changed() => Event::PhaseChanged,
            () = self.seat.evicted.cancelled() => Event::Evicted,
            _ = self.standing.changed() => Event::PolicyChanged,
            () = self.shared.pairing.closed(), if restricted => Event::PairingClosed,
            Some(ended) = self.sessions.next(), if !self.sessions.is_empty() => match ended {
                Ok(record) => Event::SessionEnded(record),
                Err(_) => Event::PolicyChanged,
            },
            read = self.wire.read() => match read {
                Ok(payload) => Event::Frame(payload),
                Err(end) => Event::ReadEnded(end),
            },
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => Event::TimedOut,
        }
    }
}
