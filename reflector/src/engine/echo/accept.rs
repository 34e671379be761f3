//! Decides about one datagram: answer it, or drop it without a sound and say why.
//!
//! An answer is as long as its request and goes to where the request came from, so nobody is ever sent more than they
//! sent (no amplification), and nobody but the granted peer is sent anything (no reflection).

use std::net::{IpAddr, SocketAddr};

use super::bucket::Bucket;
use super::drops::Cause;
use super::window::Window;
use super::wire::{self, Keys, MAX_LENGTH, Malformed, Stamp, StampSource};

/// Without keys the port that asked first keeps the session to itself, until it was silent for this long: a peer behind
/// a NAT may come back from another one.
pub const REPIN_AFTER_NS: u64 = 2_000_000_000;

/// How a session's echo tells its peer from everybody else.
#[derive(Debug)]
pub enum Proof {
    /// Keys out of the control connection; whoever has them may change port.
    Keyed(Box<Keys>),
    /// The address alone: a peer that knows nothing of keys.
    Address,
}

/// Whom a session answers, and how often.
#[derive(Debug)]
pub struct Terms {
    /// How the peer shows that it is the peer.
    pub proof: Proof,
    /// Its address, IPv4-mapped already normalised.
    pub peer: IpAddr,
    /// Answers a second.
    pub max_pps: u32,
}

/// A datagram that is to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "an accepted datagram is answered"]
pub struct Accepted {
    /// Requests answered so far, this one included.
    answered: u32,
}

/// What one session has answered so far. Times are nanoseconds of one clock that never goes back.
#[derive(Debug)]
pub struct Desk {
    state: State,
    peer: IpAddr,
    bucket: Bucket,
}

#[derive(Debug)]
enum State {
    Keyed(Keyed),
    Address { pinned: Option<Pinned> },
}

#[derive(Debug)]
struct Keyed {
    keys: Box<Keys>,
    window: Box<Window>,
    answered: u32,
}

#[derive(Debug)]
struct Pinned {
    port: u16,
    heard_at: u64,
}

impl Desk {
    /// Nothing answered yet.
    pub fn new(terms: Terms, now: u64) -> Self {
        let state = match terms.proof {
            Proof::Keyed(keys) => State::Keyed(Keyed { keys, window: Box::default(), answered: 0 }),
            Proof::Address => State::Address { pinned: None },
        };
        Self { state, peer: terms.peer.to_canonical(), bucket: Bucket::new(terms.max_pps, now) }
    }

    /// Decides. What is refused changes nothing, except that the peer's own datagrams above its rate count as a sign of
    /// life. The rate is charged last: a stranger's flood does not use it up.
    pub fn accept(&mut self, datagram: &[u8], from: SocketAddr, now: u64) -> Result<Accepted, Cause> {
        if from.ip().to_canonical() != self.peer {
            return Err(Cause::Source);
        }
        let Self { state, bucket, .. } = self;
        match state {
            State::Keyed(Keyed { keys, window, answered }) => {
                let request = wire::read_request(datagram, keys).map_err(cause)?;
                if !window.is_fresh(request.seq) {
                    return Err(Cause::Replay);
                }
                if !bucket.take(now) {
                    return Err(Cause::Rate);
                }
                window.mark(request.seq);
                *answered = answered.wrapping_add(1);
                Ok(Accepted { answered: *answered })
            }
            State::Address { pinned } => {
                address(pinned.as_ref(), datagram, from, now)?;
                *pinned = Some(Pinned { port: from.port(), heard_at: now });
                if bucket.take(now) { Ok(Accepted { answered: 0 }) } else { Err(Cause::Rate) }
            }
        }
    }

    /// Whether a datagram is of the peer, as far as it can show; changes nothing. Asked before a socket is made for it.
    pub fn would_serve(&self, datagram: &[u8], from: SocketAddr, now: u64) -> Result<(), Cause> {
        if from.ip().to_canonical() != self.peer {
            return Err(Cause::Source);
        }
        match &self.state {
            State::Keyed(Keyed { keys, window, .. }) => {
                let request = wire::read_request(datagram, keys).map_err(cause)?;
                if window.is_fresh(request.seq) { Ok(()) } else { Err(Cause::Replay) }
            }
            State::Address { pinned } => address(pinned.as_ref(), datagram, from, now),
        }
    }

    /// Turns an accepted datagram into its answer, in place. Without keys it goes back as it came.
    pub fn answer(&self, datagram: &mut [u8], accepted: Accepted, times: Times) {
        if let State::Keyed(Keyed { keys, .. }) = &self.state {
            let Times { received, source, sent } = times;
            let stamp = Stamp { t2: received, source, t3: sent, accepted: accepted.answered };
            wire::write_reply(datagram, keys, stamp);
        }
    }
}

fn address(pinned: Option<&Pinned>, datagram: &[u8], from: SocketAddr, now: u64) -> Result<(), Cause> {
    // A peer without keys knows nothing of our shortest packet either.
    if !(1..=MAX_LENGTH).contains(&datagram.len()) {
        return Err(Cause::Length);
    }
    let taken = pinned
        .is_some_and(|pin| pin.port != from.port() && now.saturating_sub(pin.heard_at) < REPIN_AFTER_NS);
    if taken { Err(Cause::Port) } else { Ok(()) }
}

/// When a request came and its answer goes, nanoseconds of `CLOCK_REALTIME`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// Its arrival.
    pub received: u64,
    /// Who says so.
    pub source: StampSource,
    /// Now.
    pub sent: u64,
}

fn cause(malformed: Malformed) -> Cause {
    match malformed {
        Malformed::Length => Cause::Length,
        Malformed::Kind => Cause::Kind,
        Malformed::OtherTest => Cause::OtherTest,
        Malformed::Tag => Cause::Tag,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::super::bucket::burst;
    use super::super::wire::{KEY_BYTES, MIN_LENGTH, Request};
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const START: u64 = 1 << 40;

    fn keys() -> Keys {
        Keys::new(&[3; KEY_BYTES], Uuid::from_u128(5 << 96))
    }

    fn desk(proof: Proof, max_pps: u32) -> Desk {
        Desk::new(Terms { proof, peer: "192.0.2.7".parse().unwrap(), max_pps }, START)
    }

    fn peer(port: u16) -> SocketAddr {
        SocketAddr::new("192.0.2.7".parse().unwrap(), port)
    }

    fn request(seq: u64, length: usize) -> Vec<u8> {
        let mut packet = vec![1; length];
        wire::write_request(&mut packet, &keys(), Request { seq, t1: 9 });
        packet
    }

    fn answered(accepted: Result<Accepted, Cause>) -> Result<u32, Cause> {
        accepted.map(|accepted| accepted.answered)
    }

    /// E8, X4: one datagram of each kind that gets nothing, and none of them spoils anything.
    #[test]
    fn spoofed_replayed_and_foreign_packets_get_nothing_and_change_nothing() {
        let mut desk = desk(Proof::Keyed(Box::new(keys())), 100);
        assert_eq!(answered(desk.accept(&request(5, 64), peer(1000), START)), Ok(1));
        let stranger: SocketAddr = "192.0.2.8:1000".parse().unwrap();
        let other = Keys::new(&[3; KEY_BYTES], Uuid::from_u128(6 << 96));
        let mut of_other_test = vec![0; 64];
        wire::write_request(&mut of_other_test, &other, Request { seq: 6, t1: 9 });
        let mut changed = request(6, 64);
        changed[60] ^= 1;
        for (packet, from, cause) in [
            (request(6, 64), stranger, Cause::Source),
            (request(5, 64), peer(1000), Cause::Replay),
            (request(5, 64), peer(1001), Cause::Replay),
            (request(0, 64), peer(1000), Cause::Replay),
            (of_other_test, peer(1000), Cause::OtherTest),
            (changed, peer(1000), Cause::Tag),
            (request(6, 100)[..90].to_vec(), peer(1000), Cause::Length),
            (vec![0; MAX_LENGTH + 1], peer(1000), Cause::Length),
            (vec![], peer(1000), Cause::Length),
            (b"hello".repeat(20), peer(1000), Cause::Kind),
        ] {
            assert_eq!(desk.would_serve(&packet, from, START), Err(cause));
            assert_eq!(answered(desk.accept(&packet, from, START)), Err(cause));
        }
        assert_eq!(desk.would_serve(&request(6, 64), peer(1001), START), Ok(()));
        assert_eq!(answered(desk.accept(&request(6, 64), peer(1001), START)), Ok(2), "another port is fine");
        assert_eq!(answered(desk.accept(&request(4, 64), peer(1000), START)), Ok(3), "late is fine");
    }

    /// E8: a flood of strangers takes nothing from the peer's rate.
    #[test]
    fn only_the_peers_own_requests_use_up_its_rate() {
        let mut desk = desk(Proof::Keyed(Box::new(keys())), 100);
        for seq in 1..=1000 {
            let mut forged = request(seq, 64);
            forged[63] ^= 1;
            assert_eq!(answered(desk.accept(&forged, peer(1), START)), Err(Cause::Tag));
        }
        let passed = (1..=1000).filter(|seq| desk.accept(&request(*seq, 64), peer(1), START).is_ok()).count();
        assert_eq!(passed, 16);
        assert_eq!(answered(desk.accept(&request(17, 64), peer(1), START)), Err(Cause::Rate));
        let later = desk.accept(&request(17, 64), peer(1), START + SECOND);
        assert_eq!(answered(later), Ok(17), "what was above the rate was not seen");
    }

    /// E8
    #[test]
    fn legacy_port_is_pinned_until_it_was_silent_for_two_seconds() {
        let mut desk = desk(Proof::Address, 100);
        let stranger: SocketAddr = "192.0.2.8:1000".parse().unwrap();
        assert_eq!(answered(desk.accept(b"x", stranger, START)), Err(Cause::Source));
        assert!(desk.accept(b"x", peer(1000), START).is_ok());
        assert_eq!(answered(desk.accept(b"x", peer(1001), START + REPIN_AFTER_NS - 1)), Err(Cause::Port));
        assert!(desk.accept(b"x", peer(1000), START + SECOND).is_ok());
        assert_eq!(answered(desk.accept(b"x", peer(1001), START + REPIN_AFTER_NS)), Err(Cause::Port));
        assert!(desk.accept(b"x", peer(1001), START + SECOND + REPIN_AFTER_NS).is_ok());
        assert_eq!(
            answered(desk.accept(b"x", peer(1000), START + SECOND + REPIN_AFTER_NS)),
            Err(Cause::Port)
        );
    }

    #[test]
    fn legacy_datagram_comes_back_as_it_went_and_has_an_upper_bound() {
        let mut desk = desk(Proof::Address, 100);
        for length in [1, 63, MAX_LENGTH] {
            let mut datagram = vec![7; length];
            let accepted = desk.accept(&datagram, peer(1), START).unwrap();
            desk.answer(&mut datagram, accepted, Times { received: 1, source: StampSource::Kernel, sent: 2 });
            assert_eq!(datagram, vec![7; length]);
        }
        for length in [0, MAX_LENGTH + 1] {
            assert_eq!(answered(desk.accept(&vec![7; length], peer(1), START)), Err(Cause::Length));
        }
    }

    /// E12
    #[test]
    fn mapped_source_is_the_peer_and_its_answer_is_stamped() {
        let mut desk = desk(Proof::Keyed(Box::new(keys())), 100);
        let mut packet = request(1, MIN_LENGTH);
        let from = SocketAddr::new("::ffff:192.0.2.7".parse().unwrap(), 1);
        let accepted = desk.accept(&packet, from, START).unwrap();
        let times = Times { received: 11, source: StampSource::Card, sent: 12 };
        desk.answer(&mut packet, accepted, times);
        let reply = wire::read_reply(&packet, &keys()).unwrap();
        assert_eq!(reply.stamp, Stamp { t2: 11, source: StampSource::Card, t3: 12, accepted: 1 });
    }

    proptest! {
        /// E7: flood, replays and reordering in any mix.
        #[test]
        fn answers_never_exceed_rate_and_burst_and_no_number_is_answered_twice(
            pps in 1_u32..20_000,
            steps in prop::collection::vec((1_u64..64, 0_u64..400_000), 1..300),
        ) {
            let mut desk = desk(Proof::Keyed(Box::new(keys())), pps);
            let (mut now, mut answered) = (START, Vec::new());
            for (seq, gap) in steps {
                now += gap;
                if desk.accept(&request(seq, 64), peer(1), now).is_ok() {
                    answered.push(seq);
                }
            }
            let most = (now - START) * u64::from(pps) / SECOND + u64::from(burst(pps));
            prop_assert!(answered.len() as u64 <= most);
            let count = answered.len();
            answered.sort_unstable();
            answered.dedup();
            prop_assert_eq!(answered.len(), count);
        }
    }
}
