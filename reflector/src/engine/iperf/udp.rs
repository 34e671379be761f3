//! UDP streams: the header in each datagram, the hello that opens a stream, and what a receiver works out.

use std::time::Duration;

/// What a client sends to open a stream, from 3.12. Before, other bytes; servers look at none of them.
pub const HELLO: [u8; 4] = [0x39, 0x38, 0x37, 0x36];

/// What the server answers, from 3.12.
pub const ANSWER: [u8; 4] = [0x36, 0x37, 0x38, 0x39];

/// What servers before 3.12 answer. A client takes either.
pub const OLD_ANSWER: [u8; 4] = [0xb1, 0x68, 0xde, 0x3a];

/// Sequence numbers below the highest for which a second arrival is known as a duplicate.
const WINDOW: u64 = 1024;

/// The header of a datagram: when it was sent and its number, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Seconds of the sender's clock, whose start is its own affair.
    pub sec: u32,
    /// Microseconds of it.
    pub usec: u32,
    /// Number of the datagram in its stream.
    pub seq: u64,
}

impl Header {
    /// Bytes with 32-bit numbers. Every payload has at least 16.
    pub const SHORT: usize = 12;
    /// Bytes with 64-bit numbers.
    pub const WIDE: usize = 16;

    /// From the start of a payload. `None`: too short for one.
    pub fn read(payload: &[u8], wide: bool) -> Option<Self> {
        let (sec, rest) = payload.split_first_chunk::<4>()?;
        let (usec, rest) = rest.split_first_chunk::<4>()?;
        let seq = if wide {
            u64::from_be_bytes(*rest.first_chunk()?)
        } else {
            u64::from(u32::from_be_bytes(*rest.first_chunk()?))
        };
        Some(Self { sec: u32::from_be_bytes(*sec), usec: u32::from_be_bytes(*usec), seq })
    }

    /// To the start of a payload; nothing if it is too short. A short number wraps, as in stock iperf3.
    pub fn write(self, payload: &mut [u8], wide: bool) {
        let mut bytes = [0; Self::WIDE];
        bytes[..4].copy_from_slice(&self.sec.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.usec.to_be_bytes());
        let length = if wide {
            bytes[8..].copy_from_slice(&self.seq.to_be_bytes());
            Self::WIDE
        } else {
            bytes[8..12].copy_from_slice(&self.seq.to_be_bytes()[4..]);
            Self::SHORT
        };
        if let Some(place) = payload.get_mut(..length) {
            place.copy_from_slice(&bytes[..length]);
        }
    }

    /// When it was sent, on the sender's clock.
    pub fn sent(self) -> Duration {
        Duration::from_secs(u64::from(self.sec)).saturating_add(Duration::from_micros(u64::from(self.usec)))
    }
}

/// What the receiver of one stream knows. Loss and jitter are iperf3's arithmetic to the letter; duplicates are ours, and
/// count as out of order too, as there.
#[derive(Debug, Clone, PartialEq)]
pub struct Tally {
    highest: u64,
    lost: u64,
    out_of_order: u64,
    duplicates: u64,
    jitter: f64,
    transit: Option<f64>,
    omitted: Option<(u64, u64)>,
    seen: [u64; (WINDOW / 64) as usize],
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            highest: 0,
            lost: 0,
            out_of_order: 0,
            duplicates: 0,
            jitter: 0.0,
            transit: None,
            omitted: None,
            seen: [0; (WINDOW / 64) as usize],
        }
    }
}

impl Tally {
    /// A datagram arrived at `at`, on a clock of ours whose start does not matter.
    pub fn arrived(&mut self, header: Header, at: Duration) {
        self.count(header.seq);
        let transit = at.as_secs_f64() - header.sent().as_secs_f64();
        let change = (transit - self.transit.unwrap_or(transit)).abs();
        self.transit = Some(transit);
        self.jitter += (change - self.jitter) / 16.0;
    }

    fn count(&mut self, seq: u64) {
        if seq > self.highest {
            self.lost = self.lost.saturating_add(seq - self.highest - 1);
            self.forget(seq);
            self.highest = seq;
            self.mark(seq);
            return;
        }
        self.out_of_order = self.out_of_order.saturating_add(1);
        self.lost = self.lost.saturating_sub(1);
        if self.highest - seq < WINDOW && self.mark(seq) {
            self.duplicates = self.duplicates.saturating_add(1);
        }
    }

    /// Clears the places of the numbers between the highest and the next one.
    fn forget(&mut self, next: u64) {
        if next - self.highest >= WINDOW {
            self.seen = [0; (WINDOW / 64) as usize];
            return;
        }
        for seq in self.highest + 1..next {
            if let Some((word, bit)) = self.place(seq) {
                *word &= !bit;
            }
        }
        if let Some((word, bit)) = self.place(next) {
            *word &= !bit;
        }
    }

    /// Whether it was marked before.
    fn mark(&mut self, seq: u64) -> bool {
        self.place(seq).is_some_and(|(word, bit)| {
            let was = *word & bit != 0;
            *word |= bit;
            was
        })
    }

    fn place(&mut self, seq: u64) -> Option<(&mut u64, u64)> {
        let index = seq % WINDOW;
        let word = self.seen.get_mut(usize::try_from(index / 64).ok()?)?;
        Some((word, 1 << (index % 64)))
    }

    /// The omitted time is over: jitter starts again, loss and packets go on and are remembered as of now.
    pub fn omit_ends(&mut self) {
        self.omitted = Some((self.lost, self.highest));
        self.jitter = 0.0;
    }

    /// Highest number so far.
    pub fn packets(&self) -> u64 {
        self.highest
    }

    /// Numbers that did not come.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Datagrams that came after a later one.
    pub fn out_of_order(&self) -> u64 {
        self.out_of_order
    }

    /// Datagrams that came twice, as far as the last 1024 numbers tell.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Seconds, RFC 1889.
    pub fn jitter(&self) -> f64 {
        self.jitter
    }

    /// Lost and packets at the end of the omitted time, if there was one.
    pub fn omitted(&self) -> Option<(u64, u64)> {
        self.omitted
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn after(seqs: impl IntoIterator<Item = u64>) -> Tally {
        let mut tally = Tally::default();
        for seq in seqs {
            tally.arrived(Header { sec: 0, usec: 0, seq }, Duration::ZERO);
        }
        tally
    }

    #[test]
    fn numbers_are_32_or_64_bits_wide() {
        let header = Header { sec: 1, usec: 2, seq: 0x1_0000_0003 };
        let mut payload = [0xaa; 20];
        header.write(&mut payload, true);
        assert_eq!(Header::read(&payload, true), Some(header));
        header.write(&mut payload, false);
        assert_eq!(payload[..12], [0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]);
        assert_eq!(Header::read(&payload, false).map(|header| header.seq), Some(3));
        assert_eq!(Header::read(&payload[..15], true), None);
    }

    /// E6
    #[test]
    fn a_gap_is_loss_and_a_late_packet_takes_one_back() {
        let tally = after([1, 2, 5, 3, 6]);
        assert_eq!((tally.packets(), tally.lost(), tally.out_of_order()), (6, 1, 1));
        assert_eq!(tally.duplicates(), 0);
    }

    #[test]
    fn a_packet_that_comes_twice_is_a_duplicate() {
        let tally = after([1, 2, 2, 5000, 2, 4999, 4999]);
        assert_eq!((tally.duplicates(), tally.out_of_order()), (2, 4));
    }

    /// E6
    #[test]
    fn jitter_is_smoothed_over_sixteen() {
        let mut tally = Tally::default();
        for (seq, arrival) in [(1, 5_000), (2, 6_000), (3, 8_600)] {
            let header = Header { sec: 0, usec: u32::try_from(seq * 1000).unwrap(), seq };
            tally.arrived(header, Duration::from_micros(arrival));
        }
        // Transits 4000, 4000, 5600 µs: one change of 1600.
        assert!((tally.jitter() - 0.0001).abs() < 1e-9, "{}", tally.jitter());
    }

    #[test]
    fn omitted_time_restarts_jitter_alone() {
        let mut tally = after([1, 4]);
        tally.jitter = 1.0;
        tally.omit_ends();
        assert_eq!((tally.omitted(), tally.lost(), tally.packets()), (Some((2, 4)), 2, 4));
        assert!(tally.jitter() < f64::EPSILON);
    }

    proptest! {
        #[test]
        fn every_number_is_received_or_lost(mut seqs in proptest::collection::hash_set(1_u64..3000, 1..500)) {
            let mut order: Vec<u64> = seqs.drain().collect();
            let received = order.len() as u64;
            let shuffled = after(order.iter().copied());
            order.sort_unstable();
            let sorted = after(order);
            prop_assert_eq!(sorted.lost() + received, sorted.packets());
            prop_assert_eq!(sorted.packets(), shuffled.packets());
            prop_assert_eq!((sorted.duplicates(), shuffled.duplicates()), (0, 0));
        }

        #[test]
        fn no_numbers_overflow(seqs in proptest::collection::vec(any::<u64>(), 0..50), wide in any::<bool>()) {
            let tally = after(seqs);
            let mut payload = [0; 16];
            Header { sec: 0, usec: 0, seq: tally.packets() }.write(&mut payload, wide);
            prop_assert!(Header::read(&payload, wide).is_some());
        }
    }
}
