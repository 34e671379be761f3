//! Where ciphertext waits (pure): an offset advances through it, and bytes move only when the end is reached.
//!
//! Taking each record off the front would move everything behind it sixteen times per read; that alone is most of what
//! a buffered TLS stream loses.

/// Room a buffer begins with: a whole handshake of ours fits.
const FIRST: usize = 4096;

/// Below this much room at the end, what is left is moved to the front before reading on: a read for less is a
/// wasted system call.
const WORTH_READING: usize = 64 * 1024;

/// Bytes between a reader and a writer.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    limit: usize,
}

impl Buffer {
    /// Allocates nothing yet and never holds more than `limit`.
    pub(super) const fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), start: 0, end: 0, limit }
    }

    /// A higher limit. It is reserved when `at_once`, else the buffer goes on growing with what arrives.
    pub(super) fn widen(&mut self, limit: usize, at_once: bool) {
        self.limit = self.limit.max(limit);
        if at_once && self.bytes.len() < self.limit {
            self.bytes.resize(self.limit, 0);
        }
    }

    /// What waits.
    pub(super) fn pending(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// What waits, to be decrypted in place.
    pub(super) fn pending_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..self.end).unwrap_or_default()
    }

    /// The first bytes of what waits are done with.
    pub(super) fn discard(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Room at the end, to read into; empty only when the limit is reached.
    pub(super) fn room(&mut self) -> &mut [u8] {
        if self.bytes.len() - self.end < WORTH_READING && self.start > 0 {
            self.compact();
        }
        if self.end == self.bytes.len() {
            let larger = self.bytes.len().saturating_mul(2).max(FIRST).min(self.limit);
            self.bytes.resize(larger.max(self.bytes.len()), 0);
        }
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// Room for exactly this much, whatever the limit: for what we write ourselves.
    pub(super) fn room_for(&mut self, count: usize) -> &mut [u8] {
        if self.bytes.len() - self.end < count {
            self.compact();
        }
        let needed = self.end.saturating_add(count);
        if self.bytes.len() < needed {
            self.bytes.resize(needed, 0);
        }
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// So many bytes were put into the room.
    pub(super) fn filled(&mut self, count: usize) {
        self.end = self.end.saturating_add(count).min(self.bytes.len());
    }

    /// Adds these bytes, whatever the limit.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        if let Some(room) = self.room_for(bytes.len()).get_mut(..bytes.len()) {
            room.copy_from_slice(bytes);
            self.filled(bytes.len());
        }
    }

    fn compact(&mut self) {
        self.bytes.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn put(buffer: &mut Buffer, bytes: &[u8]) -> usize {
        let room = buffer.room();
        let count = room.len().min(bytes.len());
        room[..count].copy_from_slice(&bytes[..count]);
        buffer.filled(count);
        count
    }

    #[test]
    fn memory_grows_with_what_arrives_and_stops_at_the_limit() {
        let mut buffer = Buffer::new(16 * 1024);
        assert_eq!(buffer.bytes.capacity(), 0);
        assert_eq!(put(&mut buffer, &[1; 100]), 100);
        assert_eq!(buffer.bytes.len(), FIRST);
        while put(&mut buffer, &[1; 5000]) > 0 {}
        assert_eq!(buffer.pending().len(), 16 * 1024);
        buffer.discard(1);
        assert_eq!(buffer.room().len(), 1);
        buffer.widen(20 * 1024, false);
        assert_eq!(put(&mut buffer, &[1; 1]), 1);
        assert_eq!(buffer.room().len(), 4 * 1024);
    }

    #[test]
    fn bytes_move_only_when_the_end_is_near() {
        let mut buffer = Buffer::new(256 * 1024);
        buffer.widen(256 * 1024, true);
        put(&mut buffer, &vec![1; 100_000]);
        buffer.discard(90_000);
        put(&mut buffer, &[2; 10]);
        assert_eq!((buffer.start, buffer.end), (90_000, 100_010));
        put(&mut buffer, &vec![3; 150_000]);
        buffer.discard(150_010);
        assert_eq!(buffer.pending().len(), 10_000);
        buffer.room();
        assert_eq!((buffer.start, buffer.end), (0, 10_000));
        buffer.discard(10_000);
        assert_eq!((buffer.start, buffer.end), (0, 0), "an empty buffer begins anew for nothing");
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out_in_order(steps in prop::collection::vec((0usize..3000, 0usize..3000), 1..50)) {
            let (mut buffer, mut written, mut read) = (Buffer::new(9000), 0usize, 0usize);
            for (more, less) in steps {
                let bytes: Vec<u8> = (written..written + more).map(|n| u8::try_from(n % 251).unwrap()).collect();
                written += put(&mut buffer, &bytes);
                let take = less.min(buffer.pending().len());
                for (i, byte) in buffer.pending()[..take].iter().enumerate() {
                    prop_assert_eq!(usize::from(*byte), (read + i) % 251);
                }
                buffer.discard(take);
                read += take;
            }
            prop_assert_eq!(buffer.pending().len(), written - read);
        }
    }
}
