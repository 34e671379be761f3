//! Answers on their way out: one call for all of them, in the order of their requests.

use std::io::{self, IoSlice};
use std::net::{SocketAddr, UdpSocket};

use rustix::net::addr::SocketAddrArg as _;
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, send, sendmmsg, sendto};

use super::tunnelled::Tunnelled;
use super::wire::MAX_LENGTH;

/// Answers that go in one call.
pub(super) const BATCH: usize = 64;

/// Room for one batch of answers.
#[derive(Debug)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    /// Length, and where to; nowhere: to whom the socket is connected.
    answers: Vec<(usize, Option<SocketAddr>)>,
}

impl Outbox {
    /// Empty. Memory is touched as far as answers are long.
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; BATCH * MAX_LENGTH], answers: Vec::with_capacity(BATCH) }
    }

    /// Copies a request in and hands out its copy to become the answer. `None`: too long, or no room.
    pub(super) fn add(&mut self, request: &[u8], to: Option<SocketAddr>) -> Option<&mut [u8]> {
        let start = self.answers.len() * MAX_LENGTH;
        let room = self.bytes.get_mut(start..start + MAX_LENGTH)?.get_mut(..request.len())?;
        room.copy_from_slice(request);
        self.answers.push((request.len(), to));
        Some(room)
    }

    /// How many answers these bytes carry, the first ones first.
    pub(super) fn fitting(&self, budget: usize) -> usize {
        let mut left = budget;
        let fits = |(length, _): &&(usize, _)| left.checked_sub(*length).map(|rest| left = rest).is_some();
        self.answers.iter().take_while(fits).count()
    }

    /// Bytes of all requests.
    pub(super) fn requested(&self) -> usize {
        self.answers.iter().map(|(length, _)| length).sum()
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.answers.len()
    }

    /// Sends the first `count` and forgets all. Returns how many the kernel took, and their bytes: an answer that cannot
    /// be sent now is lost like any datagram, and the next one is tried.
    pub(super) fn send(&mut self, socket: &UdpSocket, count: usize) -> (usize, usize) {
        let count = count.min(self.answers.len());
        let (mut sent, mut bytes, mut at) = (0, 0, 0);
        // An error may be about an answer before: asked again once.
        let mut again = true;
        while at < count {
            match self.some(socket, at, count) {
                Ok(taken) => {
                    bytes +=
                        self.answers.iter().skip(at).take(taken).map(|(length, _)| length).sum::<usize>();
                    (sent, at, again) = (sent + taken, at + taken.max(1), true);
                }
                // No room in the send queue: nobody waits for it, the rest is lost.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) if again => again = false,
                Err(_) => (at, again) = (at + 1, true),
            }
        }
        self.answers.clear();
        (sent, bytes)
    }

    /// The same into a tunnel.
    pub(super) fn send_into(&mut self, tunnel: &mut Tunnelled, count: usize) -> (usize, usize) {
        let (mut sent, mut bytes) = (0, 0);
        for (slot, (length, _)) in self.bytes.chunks_exact(MAX_LENGTH).zip(&self.answers).take(count) {
            if slot.get(..*length).is_some_and(|answer| tunnel.send(answer).is_ok()) {
                (sent, bytes) = (sent + 1, bytes + length);
            }
        }
        self.answers.clear();
        (sent, bytes)
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.answers.clear();
    }

    fn some(&self, socket: &UdpSocket, from: usize, to: usize) -> io::Result<usize> {
        let answers = || {
            let slots = self.bytes.chunks_exact(MAX_LENGTH).zip(&self.answers);
            slots
                .skip(from)
                .take(to - from)
                .map(|(slot, (length, to))| (slot.get(..*length).unwrap_or(slot), to))
        };
        if let (1, Some((bytes, to))) = (to - from, answers().next()) {
            // The usual case, and a cheaper call.
            match to {
                Some(to) => sendto(socket, bytes, SendFlags::DONTWAIT, to)?,
                None => send(socket, bytes, SendFlags::DONTWAIT)?,
            };
            return Ok(1);
        }
        let slices: Vec<[IoSlice<'_>; 1]> = answers().map(|(bytes, _)| [IoSlice::new(bytes)]).collect();
        let names: Vec<Option<SocketAddrAny>> = answers().map(|(_, to)| to.map(|to| to.as_any())).collect();
        let mut controls: Vec<SendAncillaryBuffer<'_, '_, '_>> =
            slices.iter().map(|_| SendAncillaryBuffer::default()).collect();
        let mut headers: Vec<MMsgHdr<'_>> = slices
            .iter()
            .zip(&names)
            .zip(&mut controls)
            .map(|((slice, name), control)| match name {
                Some(name) => MMsgHdr::new_with_addr(name, slice, control),
                None => MMsgHdr::new(slice, control),
            })
            .collect();
        Ok(sendmmsg(socket, &mut headers, SendFlags::DONTWAIT)?)
    }
}
