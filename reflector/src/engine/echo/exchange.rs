//! One turn of an echo session: take what has arrived, decide, lease the bytes, answer.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use super::accept::{Accepted, Desk, Times};
use super::drops::{Cause, Drops};
use super::outbox::{BATCH, Outbox};
use super::tunnelled::Tunnelled;
use super::wire::{MAX_LENGTH, StampSource};
use super::{moment, socket};
use crate::engine::purse::Purse;
use crate::engine::sys;

/// What a session needs to answer, beside sockets.
pub(super) struct Exchange {
    desk: Desk,
    purse: Arc<dyn Purse>,
    drops: Arc<Drops>,
    inbox: sys::Batch,
    outbox: Outbox,
}

/// What one turn did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Turn {
    /// Datagrams looked at.
    pub(super) seen: usize,
    /// Requests that were of the peer, as far as it can show.
    pub(super) accepted: usize,
    /// No byte may move any more.
    pub(super) dry: bool,
}

impl Turn {
    /// Both turns as one.
    #[must_use]
    pub(super) const fn and(self, other: Self) -> Self {
        Self {
            seen: self.seen + other.seen,
            accepted: self.accepted + other.accepted,
            dry: self.dry || other.dry,
        }
    }
}

impl Exchange {
    /// Nothing answered yet. Takes its memory here: make it in the thread that uses it.
    pub(super) fn new(desk: Desk, purse: Arc<dyn Purse>, drops: Arc<Drops>) -> Self {
        // One byte more than the longest packet: what fills it is too long.
        Self { desk, purse, drops, inbox: sys::Batch::new(BATCH, MAX_LENGTH + 1), outbox: Outbox::new() }
    }

    /// Takes a batch out of a socket that does not wait. `remote`: whom it is connected to.
    pub(super) fn turn(&mut self, from: &UdpSocket, remote: Option<SocketAddr>) -> io::Result<Turn> {
        let seen = match self.inbox.receive(from, BATCH) {
            Ok(seen) => seen,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Turn::default()),
            // An ICMP error about an earlier answer, or a signal: says nothing about the next datagram.
            Err(error) if socket::is_passing(&error) => return Ok(Turn { seen: 1, ..Turn::default() }),
            Err(error) => return Err(error),
        };
        let Self { desk, drops, inbox, outbox, .. } = self;
        let (now, woken) = (moment::steady(), moment::wall());
        let mut arrived = 0;
        for received in inbox.iter() {
            let from = remote.or_else(|| received.sender());
            let (time, source) = moment::arrival(received.software_stamp, received.hardware_stamp, woken);
            // The rate is that of arrivals: a busy host that reads them late must not drop them for it.
            let at = now.saturating_sub(woken.saturating_sub(time));
            arrived += one(
                desk,
                drops,
                outbox,
                at,
                &Incoming {
                    bytes: received.payload,
                    from,
                    reply_to: if remote.is_some() { None } else { from },
                    time,
                    source,
                },
            );
        }
        Ok(self.settle(seen, arrived, |outbox, count| outbox.send(from, count)))
    }

    /// The same for datagrams that somebody else took in, all of one sender to whom `socket` is connected.
    pub(super) fn turn_early(&mut self, socket: &UdpSocket, remote: SocketAddr, early: &[Vec<u8>]) -> Turn {
        let Self { desk, drops, outbox, .. } = self;
        let (now, time) = (moment::steady(), moment::wall());
        let mut arrived = 0;
        for bytes in early.iter().take(BATCH) {
            let source = StampSource::User;
            let incoming = Incoming { bytes, from: Some(remote), reply_to: None, time, source };
            arrived += one(desk, drops, outbox, now, &incoming);
        }
        drops.add(Cause::Queue, early.len().saturating_sub(BATCH) as u64);
        self.settle(early.len(), arrived, |outbox, count| outbox.send(socket, count))
    }

    /// The same out of a tunnel that does not wait. `UnexpectedEof`: the peer has closed it.
    pub(super) fn turn_tunnel(&mut self, tunnel: &mut Tunnelled, from: SocketAddr) -> io::Result<Turn> {
        let Self { desk, drops, outbox, .. } = self;
        let mut datagram = [0; MAX_LENGTH + 1];
        let (mut seen, mut arrived) = (0, 0);
        while seen < BATCH {
            let length = match tunnel.receive(&mut datagram) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // What came before is still answered; the next turn meets the end again.
                Err(_) if seen > 0 => break,
                Err(error) => return Err(error),
            };
            seen += 1;
            let (now, time, source) = (moment::steady(), moment::wall(), StampSource::User);
            let bytes = datagram.get(..length).unwrap_or(&datagram);
            let incoming = Incoming { bytes, from: Some(from), reply_to: None, time, source };
            arrived += one(desk, drops, outbox, now, &incoming);
        }
        Ok(self.settle(seen, arrived, |outbox, count| outbox.send_into(tunnel, count)))
    }

    /// Whether a datagram from there would be answered, were it not for rate and number.
    pub(super) fn would_serve(&self, datagram: &[u8], from: SocketAddr) -> Result<(), Cause> {
        self.desk.would_serve(datagram, from, moment::steady())
    }

    fn settle(
        &mut self,
        seen: usize,
        unanswered: usize,
        mut send: impl FnMut(&mut Outbox, usize) -> (usize, usize),
    ) -> Turn {
        let Self { purse, drops, outbox, .. } = self;
        let (accepted, requests) = (outbox.len(), outbox.requested());
        let want = unanswered + 2 * requests;
        if want == 0 {
            return Turn { seen, accepted, dry: false };
        }
        let (mut short, mut leased) = (false, false);
        let spent = purse.spend(1..=want, &mut |granted| {
            (short, leased) = (granted < want, true);
            // What arrived cannot be held back: it comes first.
            let count = outbox.fitting(granted.saturating_sub(unanswered + requests));
            let (left, answered_bytes) = send(outbox, count);
            drops.add(Cause::Quota, (accepted - count) as u64);
            drops.add(Cause::Send, (count - left) as u64);
            Ok((unanswered + requests + answered_bytes).min(granted))
        });
        if !leased {
            // Nothing is left, or others hold it for a moment; an answer that waits would measure the wait.
            drops.add(Cause::Quota, accepted as u64);
            outbox.clear();
        }
        // What is left would not carry the next answer either.
        Turn { seen, accepted, dry: short || spent.is_none() }
    }
}

struct Incoming<'a> {
    bytes: &'a [u8],
    from: Option<SocketAddr>,
    reply_to: Option<SocketAddr>,
    time: u64,
    source: StampSource,
}

/// Decides about one datagram and writes its answer. Returns the bytes that count though they get none.
fn one(desk: &mut Desk, drops: &Drops, outbox: &mut Outbox, now: u64, incoming: &Incoming<'_>) -> usize {
    let verdict = match incoming.from {
        Some(from) => desk.accept(incoming.bytes, from, now),
        None => Err(Cause::Source),
    };
    match verdict {
        Ok(accepted) => answer(desk, drops, outbox, accepted, incoming),
        Err(cause) => {
            drops.count(cause);
            // The peer's own bytes above its rate did cross the line.
            if cause == Cause::Rate { incoming.bytes.len() } else { 0 }
        }
    }
}

fn answer(
    desk: &Desk,
    drops: &Drops,
    outbox: &mut Outbox,
    accepted: Accepted,
    incoming: &Incoming<'_>,
) -> usize {
    let Some(answer) = outbox.add(incoming.bytes, incoming.reply_to) else {
        drops.count(Cause::Length);
        return incoming.bytes.len();
    };
    let times = Times { received: incoming.time, source: incoming.source, sent: moment::wall() };
    desk.answer(answer, accepted, times);
    0
}
