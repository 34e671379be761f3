//! One connection, from proven key to closed socket: one task, one select.
//!
//! The order of the arms is the order of importance: what a session's end has to report, of which there is little,
//! then a stop, losing the place and a policy change, then anything the peer says. Whatever waits for admission or for
//! the peer is raced against the middle three.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use crds::EndpointId;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_rustls::server::TlsStream;

use crate::access::Standing;
use crate::access::policy::{Policy, Refusal, Verdict};
use crate::audit::{Event, EventType};
use crate::link::features::{self, Feature, Features};
use crate::link::frame::MAX_PAYLOAD;
use crate::link::message::{Envelope, Message, SessionParams, TestType};
use crate::link::reply::{self, FORBIDDEN};
use crate::link::{DecodeError, FrameError};
use crate::metrics::BadFrame;
use crate::reason::RefuseReason;
use crate::session::{Denied, Granted, Peer, Requester, SessionRecord};

use super::floor::Seat;
use super::limits::{DRAIN_SECOND_HALF, HELLO, IDLE, STRANGER_PAYLOAD};
use super::liveness::Liveness;
use super::misuse::PAIR_FIRST;
use super::places::Full;
use super::shared::{Phase, Shared};
use super::wire::{ReadEnd, Wire, WriteEnd};
use super::{answers, pairing};

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    /// The peer closed, or its socket broke.
    PeerLeft,
    /// We closed, for a typed reason.
    Closed(RefuseReason),
    /// Policy took the right to be here away while the peer was here.
    Revoked(Refusal),
    /// The process stops, or drains and this connection has nothing running.
    Stopped,
}

/// What can happen next.
enum Happening {
    Frame(Result<Envelope, DecodeError>),
    PolicyChanged,
    SessionEnded(SessionEnd),
    PairingClosed,
    PhaseChanged,
    TimedOut,
    Ended(Ending),
    Oversized(FrameError),
}

/// The end of one of this connection's sessions, and the request that began it. No record: its task died.
pub(super) type SessionEnd = (String, Option<SessionRecord>);

/// Shared by reference while answers are built, hence `Sync`.
type EndingFuture = Pin<Box<dyn Future<Output = SessionEnd> + Send + Sync>>;

/// A connection whose key is proven.
pub(super) struct Connection {
    pub(super) wire: Wire<TlsStream<TcpStream>>,
    pub(super) seat: Seat,
    pub(super) peer: EndpointId,
    pub(super) remote: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) shared: Arc<Shared>,
    pub(super) features: Features,
    pub(super) standing: watch::Receiver<Standing>,
    /// Policy knew this peer while it was here, and it has one of the places for such.
    pub(super) known: bool,
    /// One per running session of this connection.
    pub(super) sessions: FuturesUnordered<EndingFuture>,
    /// What admission knows of this connection; made at its first request.
    pub(super) asked: Option<(Requester, Liveness)>,
    phase: watch::Receiver<Phase>,
    window: watch::Receiver<Option<Timestamp>>,
    pub(super) bad_frames: u32,
    /// Last frame, or end of the last session.
    active_at: Instant,
}

impl Connection {
    pub(super) fn new(
        stream: TlsStream<TcpStream>,
        seat: Seat,
        peer: EndpointId,
        (remote, local): (SocketAddr, SocketAddr),
        shared: Arc<Shared>,
    ) -> Self {
        let standing = shared.services.access.subscribe(peer);
        let phase = shared.phase.clone();
        let window = shared.services.pairing.watch();
        Self {
            wire: Wire::new(stream),
            seat,
            peer,
            remote,
            local,
            shared,
            features: Features::NONE,
            standing,
            known: false,
            sessions: FuturesUnordered::new(),
            asked: None,
            phase,
            window,
            bad_frames: 0,
            active_at: now(),
        }
    }

    /// Serves until there is a reason to end.
    pub(super) async fn serve(&mut self) -> Ending {
        let served = match self.hello().await {
            Ok(()) => self.converse().await,
            Err(ending) => Err(ending),
        };
        match served {
            Ok(never) => match never {},
            Err(ending) => ending,
        }
    }

    /// What policy says of this peer at this moment.
    pub(super) fn verdict(&self) -> Verdict {
        self.standing.borrow().verdict.clone()
    }

    /// The first frame must be `hello`, and from someone who may be here.
    async fn hello(&mut self) -> Result<(), Ending> {
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
    fn take_place(&mut self, name: &str) -> Result<(), (RefuseReason, String)> {
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

    fn may_pair(&self, refusal: &Refusal) -> bool {
        let services = &self.shared.services;
        matches!(refusal, Refusal::Unknown) && services.access.may_pair() && services.pairing.is_open()
    }

    async fn converse(&mut self) -> Result<std::convert::Infallible, Ending> {
        loop {
            let restricted = !self.is_allowed();
            match self.next(self.deadline(), restricted).await {
                Happening::Frame(frame) => self.frame(frame).await?,
                Happening::SessionEnded(end) => self.session_ended(end).await?,
                Happening::PolicyChanged => self.policy_changed().await?,
                Happening::PhaseChanged => {}
                Happening::PairingClosed => {
                    let closed =
                        reply::error("", FORBIDDEN, "the pairing window is closed: ask for a new code");
                    self.send(&closed).await?;
                    return Err(Ending::Closed(RefuseReason::PairingClosed));
                }
                Happening::TimedOut if self.draining() => return Err(Ending::Stopped),
                Happening::TimedOut => return Err(Ending::Closed(RefuseReason::Idle)),
                Happening::Oversized(error) => return Err(self.oversized(error).await),
                Happening::Ended(ending) => return Err(ending),
            }
        }
    }

    /// Idle counts only while no session runs; a drain ends a connection that has nothing running.
    fn deadline(&self) -> Option<Instant> {
        let patience = if self.draining() { DRAIN_SECOND_HALF } else { IDLE };
        (self.sessions.is_empty()).then(|| self.active_at + patience)
    }

    fn draining(&self) -> bool {
        *self.phase.borrow() != Phase::Serving
    }

    async fn frame(&mut self, frame: Result<Envelope, DecodeError>) -> Result<(), Ending> {
        self.active_at = now();
        let envelope = match frame {
            Ok(envelope) => envelope,
            Err(error) => return self.bad_frame(&error).await,
        };
        let known = self.is_allowed();
        match &envelope.payload {
            Message::PairRequest { token } => {
                let answer = pairing::attempt(self, token).await?;
                self.answer(&envelope, answer).await
            }
            Message::Hello { .. } => self.unexpected(&envelope, "hello was said already").await,
            payload if !answers::is_request(payload) => {
                self.unexpected(&envelope, "a reflector answers this message, it does not take it").await
            }
            _ if !known => self.error(&envelope, FORBIDDEN, PAIR_FIRST).await,
            Message::SessionRequest { test_type, params } => {
                self.session_request(envelope.request_id, *test_type, params).await
            }
            _ => {
                let answer = answers::simple(self, &envelope).await;
                self.send(&answer).await
            }
        }
    }

    async fn session_request(
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
        let (requester, _) = match &mut self.asked {
            Some(asked) => asked,
            first => {
                let Ok(liveness) = Liveness::of(self.wire.get_ref().get_ref().0) else {
                    return Ok(Some(Err(answers::no_descriptors())));
                };
                let peer = Peer {
                    id: self.peer,
                    source: self.remote.ip(),
                    local: self.local.ip(),
                    resource_exhausted: self.features.has(Feature::ResourceExhausted),
                    silence: Arc::new(liveness.silence()),
                };
                first.insert((Requester::new(peer), liveness))
            }
        };
        let shared = Arc::clone(&self.shared);
        tokio::select! {
            biased;
            () = stopping(self.phase.clone()) => Err(Ending::Stopped),
            _ = self.standing.changed() => Ok(None),
            outcome = shared.services.sessions.request(requester, policy, test_type, params) => Ok(Some(outcome)),
        }
    }

    fn probe(&self) {
        if let Some((_, liveness)) = &self.asked {
            liveness.probe(!self.sessions.is_empty());
        }
    }

    async fn session_ended(&mut self, end: SessionEnd) -> Result<(), Ending> {
        self.active_at = now();
        self.probe();
        match answers::session_result(self.features, end) {
            Some(envelope) => self.send(&envelope).await,
            None => Ok(()),
        }
    }

    /// A narrower policy holds at once, whoever became known takes a known place, and losing the right to be here ends
    /// the connection.
    async fn policy_changed(&mut self) -> Result<(), Ending> {
        match self.verdict() {
            Verdict::Allowed(policy) => {
                if !self.known
                    && let Err((reason, message)) = self.take_place(&policy.peer)
                {
                    self.send(&reply::error("", FORBIDDEN, message)).await?;
                    return Err(Ending::Closed(reason));
                }
                self.shared.services.sessions.narrow(&self.peer, &policy);
                Ok(())
            }
            Verdict::Refused(refusal) if !self.known && self.may_pair(&refusal) => Ok(()),
            Verdict::Refused(refusal) => Err(Ending::Revoked(refusal)),
        }
    }

    /// Policy knows this peer and lets it in, at this moment.
    pub(super) fn is_allowed(&self) -> bool {
        matches!(self.standing.borrow().verdict, Verdict::Allowed(_))
    }

    async fn next(&mut self, deadline: Option<Instant>, restricted: bool) -> Happening {
        self.wire.limit(if self.is_allowed() { MAX_PAYLOAD } else { STRANGER_PAYLOAD });
        tokio::select! {
            biased;
            Some(end) = self.sessions.next(), if !self.sessions.is_empty() => Happening::SessionEnded(end),
            changed = self.phase.changed() => match (changed, *self.phase.borrow_and_update()) {
                (Ok(()), Phase::Serving | Phase::Draining) => Happening::PhaseChanged,
                _ => Happening::Ended(Ending::Stopped),
            },
            () = self.seat.evicted.cancelled() => Happening::Ended(Ending::Closed(RefuseReason::Crowded)),
            _ = self.standing.changed() => Happening::PolicyChanged,
            // An error: the pairing room is gone, and the window with it.
            _ = self.window.wait_for(Option::is_none), if restricted => Happening::PairingClosed,
            read = self.wire.read() => match read {
                Ok(frame) => Happening::Frame(frame),
                Err(ReadEnd::Closed) => Happening::Ended(Ending::PeerLeft),
                Err(ReadEnd::Slow) => {
                    self.shared.services.metrics.bad_frame(BadFrame::Slow);
                    Happening::Ended(Ending::Closed(RefuseReason::SlowFrame))
                }
                Err(ReadEnd::Oversized(error)) => Happening::Oversized(error),
            },
            () = sleep_until(deadline.unwrap_or(self.active_at)), if deadline.is_some() => Happening::TimedOut,
        }
    }

    pub(super) async fn error(
        &mut self,
        question: &Envelope,
        code: u32,
        message: &str,
    ) -> Result<(), Ending> {
        self.send(&reply::error(question.request_id.as_str(), code, message)).await
    }

    async fn answer(&mut self, question: &Envelope, payload: Message) -> Result<(), Ending> {
        self.send(&Envelope { request_id: question.request_id.clone(), payload }).await
    }

    /// A peer that does not take its answer must not hold off what would end the connection meanwhile: then half a frame
    /// stays behind and the socket is closed. Watches through clones, so that whatever ends nothing here is still news
    /// to [`Connection::next`].
    pub(super) async fn send(&mut self, envelope: &Envelope) -> Result<(), Ending> {
        let allowed = self.is_allowed();
        tokio::select! {
            biased;
            written = self.wire.write(envelope) => written.map_err(|end| match end {
                WriteEnd::Slow => Ending::Closed(RefuseReason::SlowReader),
                WriteEnd::Broken => Ending::PeerLeft,
            }),
            () = stopping(self.phase.clone()) => Err(Ending::Stopped),
            () = self.seat.evicted.cancelled() => Err(Ending::Closed(RefuseReason::Crowded)),
            refusal = cut_off(self.standing.clone()), if allowed => Err(Ending::Revoked(refusal)),
        }
    }
}

/// Resolves when policy refuses this peer.
async fn cut_off(mut standing: watch::Receiver<Standing>) -> Refusal {
    loop {
        if let Verdict::Refused(refusal) = &standing.borrow_and_update().verdict {
            return refusal.clone();
        }
        if standing.changed().await.is_err() {
            // Policy itself is gone, and everybody's rights with it.
            return Refusal::NeverLoaded;
        }
    }
}

/// Resolves when everything is to stop.
async fn stopping(mut phase: watch::Receiver<Phase>) {
    // An error: whoever could still say so is gone, which means the same.
    let _ = phase.wait_for(|phase| *phase == Phase::Stopping).await;
}

fn now() -> Instant {
    Instant::now()
}
