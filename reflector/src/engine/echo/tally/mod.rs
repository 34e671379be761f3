//! The client's account of its requests: round trips, and what was lost in which direction.
//!
//! Each reply tells how many requests the server has answered so far. What is missing there got lost on the way up; what
//! the server answered and nobody received got lost on the way down. Behind the last reply nobody can tell.

mod one_way;
mod report;

use std::collections::VecDeque;
use std::time::Duration;

use super::histogram::RoundTrips;
use super::wire::{Reply, StampSource};

use self::one_way::Ways;

pub use self::one_way::{OneWay, Spread};
pub use self::report::{Report, Sample};

/// A reply that takes longer is lost: nobody waits that long for a datagram.
pub const LOST_AFTER: Duration = Duration::from_secs(2);

const LOST_AFTER_NS: u64 = 2_000_000_000;

/// Samples kept for a plot. When there are more, every second one goes.
pub const MAX_SAMPLES: usize = 2048;

/// A reply as it came in. Times are nanoseconds of the client's one clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Which request it answers.
    pub seq: u64,
    /// When it arrived.
    pub at: u64,
    /// The same moment on the wall clock, which the server's can be compared with.
    pub wall: u64,
    /// Who says so.
    pub source: StampSource,
    /// What the server says; nothing without keys.
    pub told: Option<Told>,
}

/// What a keyed reply tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// When the request arrived there, on its wall clock.
    pub received: u64,
    /// Time in the server.
    pub inside: u64,
    /// Requests answered so far; wraps.
    pub answered: u32,
    /// Who says when the request arrived.
    pub source: StampSource,
}

impl From<Reply> for Told {
    fn from(reply: Reply) -> Self {
        let stamp = reply.stamp;
        Self {
            received: stamp.t2,
            inside: stamp.t3.saturating_sub(stamp.t2),
            answered: stamp.accepted,
            source: stamp.source,
        }
    }
}

/// What a phase starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Base {
    /// Requests sent before it.
    pub sent: u64,
    /// Of those, how many the server had not answered when its last reply left.
    pub missing: u64,
}

/// One phase of a probe: the requests after `base`, numbered on.
#[derive(Debug, Clone)]
pub struct Tally {
    base: Base,
    started: u64,
    sent: u64,
    /// The newest requests, the oldest first: those that a reply may still reach in time.
    open: VecDeque<Open>,
    in_time: u64,
    /// Of this phase's requests, the highest that was answered, and the most answers the server told of.
    heard: Option<(u64, Option<u64>)>,
    duplicate: u64,
    reordered: u64,
    late: u64,
    trips: RoundTrips,
    stamps: Option<(StampSource, Option<StampSource>)>,
    samples: Vec<Sample>,
    ways: Ways,
    /// Round trips from one sample to the next.
    stride: u64,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    sent_at: u64,
    answered: bool,
}

impl Tally {
    /// A phase that starts now.
    pub fn new(base: Base, now: u64) -> Self {
        Self {
            base,
            started: now,
            sent: 0,
            open: VecDeque::new(),
            in_time: 0,
            heard: None,
            duplicate: 0,
            reordered: 0,
            late: 0,
            trips: RoundTrips::default(),
            stamps: None,
            samples: Vec::new(),
            ways: Ways::default(),
            stride: 1,
        }
    }

    /// What the next phase starts from.
    pub fn next_base(&self) -> Base {
        Base { sent: self.last_seq(), missing: self.missing().unwrap_or(self.base.missing) }
    }

    /// Whether this request is one of this phase's or of a later one's.
    pub fn begins_before(&self, seq: u64) -> bool {
        seq > self.base.sent
    }

    /// Notes a request that is about to be sent; returns its number.
    pub fn send(&mut self, now: u64) -> u64 {
        self.expire(now);
        self.open.push_back(Open { sent_at: now, answered: false });
        self.sent += 1;
        self.last_seq()
    }

    /// Takes a reply in. What answers nothing we sent is not counted.
    pub fn arrive(&mut self, arrival: Arrival) {
        if arrival.seq <= self.base.sent || arrival.seq > self.last_seq() {
            return;
        }
        self.expire(arrival.at);
        let behind = self.last_seq() - arrival.seq;
        let place = usize::try_from(behind).ok().and_then(|behind| self.open.len().checked_sub(behind + 1));
        let Some(open) = place.and_then(|place| self.open.get_mut(place)) else {
            self.late += 1;
            self.hear(arrival);
            return;
        };
        if open.answered {
            self.duplicate += 1;
            return;
        }
        open.answered = true;
        let sent_at = open.sent_at;
        if self.heard.is_some_and(|(highest, _)| arrival.seq < highest) {
            self.reordered += 1;
        }
        self.hear(arrival);
        self.time(sent_at, arrival);
    }

    fn hear(&mut self, arrival: Arrival) {
        let last = self.last_seq();
        let (highest, answered) = self.heard.unwrap_or((0, None));
        let told = arrival.told.map(|told| unwrapped(told.answered, last));
        self.heard = Some((highest.max(arrival.seq), answered.max(told)));
        let server = arrival.told.map(|told| told.source);
        self.stamps = Some(match self.stamps {
            None => (arrival.source, server),
            Some((ours, theirs)) => (ours.least_exact(arrival.source), theirs.zip(server).map(least_exact)),
        });
    }

    fn time(&mut self, sent_at: u64, arrival: Arrival) {
        let took = arrival.at.saturating_sub(sent_at);
        let inside = arrival.told.map_or(0, |told| told.inside);
        // A server whose clock was set in between tells nonsense: then its time inside counts as the path's.
        let rtt = took.checked_sub(inside).unwrap_or(took);
        if self.in_time.is_multiple_of(self.stride) {
            self.sample(sent_at, rtt, arrival);
        }
        self.in_time += 1;
        self.trips.record(rtt);
    }

    fn sample(&mut self, sent_at: u64, rtt: u64, arrival: Arrival) {
        if self.samples.len() == MAX_SAMPLES {
            let mut keep = false;
            self.samples.retain(|_| {
                keep = !keep;
                keep
            });
            self.ways.halve();
            self.stride *= 2;
            if !self.in_time.is_multiple_of(self.stride) {
                return;
            }
        }
        let at_ms = Duration::from_nanos(sent_at.saturating_sub(self.started)).as_secs_f64() * 1000.0;
        self.samples.push(Sample { at_ms, rtt_us: Duration::from_nanos(rtt).as_secs_f64() * 1_000_000.0 });
        if let Some(told) = arrival.told {
            // By how much the clocks differ is the same at both ends of so short a time.
            let sent = arrival.wall.saturating_sub(arrival.at.saturating_sub(sent_at));
            self.ways.note([sent, told.received, told.received.saturating_add(told.inside), arrival.wall]);
        }
    }

    /// Forgets requests that no reply can reach in time any more.
    pub fn expire(&mut self, now: u64) {
        while self.open.front().is_some_and(|open| now.saturating_sub(open.sent_at) >= LOST_AFTER_NS) {
            self.open.pop_front();
        }
    }

    /// Whether a reply may still come in time.
    pub fn is_open(&self) -> bool {
        self.open.iter().any(|open| !open.answered)
    }

    /// Round trips so far.
    pub fn trips(&self) -> &RoundTrips {
        &self.trips
    }

    /// Sent, answered in time.
    pub fn counts(&self) -> (u64, u64) {
        (self.sent, self.in_time)
    }

    fn last_seq(&self) -> u64 {
        self.base.sent + self.sent
    }

    fn missing(&self) -> Option<u64> {
        let (highest, answered) = self.heard?;
        Some(highest.saturating_sub(answered?))
    }

    /// What was found. Call when nothing is open: what is open counts as lost.
    pub fn report(&self) -> Report {
        let known = self.heard.map_or(0, |(highest, _)| highest - self.base.sent);
        let lost = known.saturating_sub(self.in_time);
        let up = self.missing().map(|missing| missing.saturating_sub(self.base.missing).min(lost));
        let name = |source: StampSource| source.as_str().to_owned();
        Report {
            sent: self.sent,
            rtt: self.trips.summary(),
            lost_up: up,
            lost_down: up.map(|up| lost - up),
            lost_unknown: self.sent - known + if up.is_none() { lost } else { 0 },
            duplicate: self.duplicate,
            reordered: self.reordered,
            late: self.late,
            server_stamp: self.stamps.and_then(|(_, server)| server).map(name),
            client_stamp: self.stamps.map(|(ours, _)| name(ours)),
            one_way: self.ways.report(),
            samples: self.samples.clone(),
        }
    }
}

fn least_exact((one, other): (StampSource, StampSource)) -> StampSource {
    one.least_exact(other)
}

/// The number of answers behind its lower 32 bits: never more than were asked for.
fn unwrapped(low: u32, asked: u64) -> u64 {
    const ROUND: u64 = 1 << 32;
    let near = asked - asked % ROUND + u64::from(low);
    if near > asked { near.saturating_sub(ROUND) } else { near }
}

#[cfg(test)]
mod tests;
