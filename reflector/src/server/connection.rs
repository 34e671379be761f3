//! One connection, from proven key to closed socket: one task, one select.
//!
//! The order of the arms is the order of importance: what a session's end has to report, of which there is little,
//! then a stop, losing the place and a policy change, then anything the peer says. Whatever waits for admission or for
//! the peer is raced against the middle three.

use std::net::SocketAddr;
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
use crate::access::policy::{Refusal, Verdict};
use crate::link::features::Features;
use crate::link::frame::MAX_PAYLOAD;
use crate::link::message::{Envelope, Message};
use crate::link::reply::{self, FORBIDDEN};
use crate::link::{DecodeError, FrameError};
use crate::metrics::BadFrame;
use crate::reason::RefuseReason;

use super::floor::Seat;
use super::limits::{DRAIN_SECOND_HALF, IDLE, STRANGER_PAYLOAD};
use super::misuse::PAIR_FIRST;
use super::requests::{Asking, EndingFuture, SessionEnd};
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
pub(super) enum Happening {
    Frame(Result<Envelope, DecodeError>),
    PolicyChanged,
    SessionEnded(SessionEnd),
    PairingClosed,
    PhaseChanged,
    TimedOut,
    Ended(Ending),
    Oversized(FrameError),
}

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
    pub(super) asked: Option<Asking>,
    pub(super) phase: watch::Receiver<Phase>,
    window: watch::Receiver<Option<Timestamp>>,
    pub(super) bad_frames: u32,
    /// Last frame, or end of the last session.
    pub(super) active_at: Instant,
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
        let window = shared.services.entrance.watch();
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
        self.touch();
        #[cfg(test)]
        super::bug::here(self.remote);
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
                // Closing a session waits for its engine; whatever ends the connection does not.
                let answer = tokio::select! {
                    biased;
                    () = stopping(self.phase.clone()) => return Err(Ending::Stopped),
                    refusal = cut_off(self.standing.clone()) => return Err(Ending::Revoked(refusal)),
                    answer = answers::simple(self, &envelope) => answer,
                };
                self.send(&answer).await
            }
        }
    }

    /// A narrower policy holds at once, whoever became known takes a known place, and losing the right to be here ends
    /// the connection.
    pub(super) async fn policy_changed(&mut self) -> Result<(), Ending> {
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

    /// Idle time counts from here.
    pub(super) fn touch(&mut self) {
        self.active_at = now();
    }

    /// Policy knows this peer and lets it in, at this moment.
    pub(super) fn is_allowed(&self) -> bool {
        matches!(self.standing.borrow().verdict, Verdict::Allowed(_))
    }

    pub(super) async fn next(&mut self, deadline: Option<Instant>, restricted: bool) -> Happening {
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

    pub(super) async fn answer(&mut self, question: &Envelope, payload: Message) -> Result<(), Ending> {
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
pub(super) async fn stopping(mut phase: watch::Receiver<Phase>) {
    // An error: whoever could still say so is gone, which means the same.
    let _ = phase.wait_for(|phase| *phase == Phase::Stopping).await;
}

fn now() -> Instant {
    Instant::now()
}
