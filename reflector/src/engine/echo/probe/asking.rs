//! The thread of a probe: sends when it is time, takes what came, and waits for either.

use std::io;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};

use super::{Settings, Shared, Target};
use crate::engine::echo::outbox::BATCH;
use crate::engine::echo::tally::{Arrival, Base, LOST_AFTER, Tally, Told};
use crate::engine::echo::tunnelled::Tunnelled;
use crate::engine::echo::wire::{self, KEY_BYTES, Keys, MAX_LENGTH, MIN_LENGTH, Request, StampSource};
use crate::engine::echo::{moment, socket};
use crate::engine::sys;

/// Requests that may be made up for at once after this thread was kept waiting: fewer than any server's burst.
const CATCH_UP: u64 = 8;

const SECOND: u64 = 1_000_000_000;

/// What it works with.
pub(super) struct Asking {
    way: Way,
    keys: Keys,
    /// The server knows the keys too.
    keyed: bool,
    packet: Vec<u8>,
    gap: u64,
    next: u64,
    shared: Arc<Shared>,
}

enum Way {
    Direct(UdpSocket, sys::Batch),
    Tunnel(Box<Tunnelled>),
}

impl Asking {
    pub(super) fn new(target: Target, settings: Settings, shared: Arc<Shared>) -> io::Result<Self> {
        let keyed = settings.keys.is_some();
        let keys = settings.keys.map_or_else(unknown_keys, Ok)?;
        let way = match target {
            Target::Direct(socket) => Way::Direct(socket, sys::Batch::new(BATCH, MAX_LENGTH)),
            Target::Tunnel(tunnel) => Way::Tunnel(tunnel),
        };
        let packet = vec![0; settings.length.clamp(MIN_LENGTH, MAX_LENGTH)];
        let gap = SECOND / u64::from(settings.pps.max(1));
        Ok(Self { way, keys, keyed, packet, gap, next: moment::steady(), shared })
    }

    pub(super) fn run(mut self) -> io::Result<()> {
        let mut drained_at = None;
        loop {
            // What it rings for is looked at below.
            self.shared.bell.hear();
            if self.shared.bell.is_stopped() {
                return Ok(());
            }
            self.receive()?;
            let now = moment::steady();
            if drained_at.is_none() && self.shared.draining.load(Ordering::Acquire) {
                drained_at = Some(now.saturating_add(nanos(LOST_AFTER)));
            }
            let until = match drained_at {
                Some(at) if now >= at || !self.expire(now) => return Ok(()),
                Some(at) => at,
                None => {
                    self.begin_phases(now);
                    self.send_due(now);
                    self.next
                }
            };
            self.wait(until)?;
        }
    }

    fn begin_phases(&self, now: u64) {
        let mut tallies = self.shared.tallies();
        while tallies.len() < self.shared.phases.load(Ordering::Acquire) {
            let base = tallies.last().map_or_else(Base::default, Tally::next_base);
            tallies.push(Tally::new(base, now));
        }
    }

    /// Whether a reply to anything may still come in time.
    fn expire(&self, now: u64) -> bool {
        let mut tallies = self.shared.tallies();
        tallies.iter_mut().for_each(|tally| tally.expire(now));
        tallies.iter().any(Tally::is_open)
    }

    fn send_due(&mut self, now: u64) {
        self.next = self.next.max(now.saturating_sub(CATCH_UP * self.gap));
        while self.next <= now {
            self.next += self.gap;
            let mut tallies = self.shared.tallies();
            // Only now: waiting for the lock is no time on the path.
            let t1 = moment::steady();
            let Some(seq) = tallies.last_mut().map(|tally| tally.send(t1)) else { return };
            drop(tallies);
            wire::write_request(&mut self.packet, &self.keys, Request { seq, t1 });
            // What cannot be sent is lost like any datagram: it shows as lost on the way up.
            let _ = match &mut self.way {
                Way::Direct(socket, _) => socket.send(&self.packet).map(drop),
                Way::Tunnel(tunnel) => tunnel.send(&self.packet),
            };
        }
    }

    fn receive(&mut self) -> io::Result<()> {
        let Self { way, keys, keyed, shared, .. } = self;
        loop {
            let took = match way {
                Way::Direct(direct, batch) => match batch.receive(&*direct, BATCH) {
                    Ok(count) => {
                        let (steady, wall) = (moment::steady(), moment::wall());
                        for received in batch.iter() {
                            let (software, hardware) = (received.software_stamp, received.hardware_stamp);
                            let (time, source) = moment::arrival(software, hardware, wall);
                            // On the steady clock: the wall clock may be set while a request is on its way.
                            let at = steady.saturating_sub(wall.saturating_sub(time));
                            note(shared, arrival(received.payload, keys, *keyed, (at, time), source));
                        }
                        count == BATCH
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
                    // The port is closed just now, or was: says nothing about the next reply.
                    Err(error) if socket::is_passing(&error) => true,
                    Err(error) => return Err(error),
                },
                Way::Tunnel(tunnel) => {
                    let mut datagram = [0; MAX_LENGTH];
                    match tunnel.receive(&mut datagram) {
                        Ok(length) => {
                            let payload = datagram.get(..length).unwrap_or(&datagram);
                            let at = (moment::steady(), moment::wall());
                            note(shared, arrival(payload, keys, *keyed, at, StampSource::User));
                            true
                        }
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
                        Err(error) => return Err(error),
                    }
                }
            };
            if !took {
                return Ok(());
            }
        }
    }

    fn wait(&self, until: u64) -> io::Result<()> {
        let left = Duration::from_nanos(until.saturating_sub(moment::steady()));
        let source = match &self.way {
            Way::Direct(socket, _) => PollFd::new(socket, PollFlags::IN),
            Way::Tunnel(tunnel) => tunnel.poll(),
        };
        let mut watched = [source, PollFd::new(&*self.shared.bell, PollFlags::IN)];
        match poll(&mut watched, left.try_into().ok().as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if watched[1].revents().contains(PollFlags::IN) {
            self.shared.bell.has_woken();
        }
        Ok(())
    }
}

/// Known to nobody else: what comes back with this tag is what we sent.
fn unknown_keys() -> io::Result<Keys> {
    let mut secret = [0; KEY_BYTES];
    getrandom::fill(&mut secret).map_err(io::Error::other)?;
    Ok(Keys::new(&secret, uuid::Uuid::new_v4()))
}

/// What a datagram is to us, and when it came on either clock. `None`: no answer to anything of this probe.
fn arrival(
    payload: &[u8],
    keys: &Keys,
    keyed: bool,
    (at, wall): (u64, u64),
    source: StampSource,
) -> Option<Arrival> {
    if keyed {
        let reply = wire::read_reply(payload, keys).ok()?;
        return Some(Arrival { seq: reply.request.seq, at, wall, source, told: Some(Told::from(reply)) });
    }
    let request = wire::read_request(payload, keys).ok()?;
    Some(Arrival { seq: request.seq, at, wall, source, told: None })
}

fn note(shared: &Shared, arrival: Option<Arrival>) {
    let Some(arrival) = arrival else { return };
    let mut tallies = shared.tallies();
    if let Some(tally) = tallies.iter_mut().rev().find(|tally| tally.begins_before(arrival.seq)) {
        tally.arrive(arrival);
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
