//! Frames: a big-endian u32 length and that many bytes of payload. Bytes in, payloads out, at any boundaries.
//!
//! The length is the peer's claim: it is checked before anything is stored, and never used to reserve memory, so
//! announcing 4 GiB costs us four bytes.

/// Largest payload of pp-link/1 in either direction; fixed by the ecosystem (tests
/// `exactly_one_mebibyte_is_a_frame`, `one_byte_more_is_refused_at_the_fourth_byte`).
pub const MAX_PAYLOAD: usize = 1_048_576;

/// Bytes in front of each payload.
pub const HEADER: usize = 4;

/// What a decoder keeps between frames. Ordinary messages are a few hundred bytes, so a connection that once carried
/// a large frame must not hold a mebibyte until it closes (test `memory_of_a_large_frame_is_given_back`).
const KEPT_CAPACITY: usize = 4096;

/// Why bytes are not a frame. Nothing after such a header can be trusted: answer, drain a little, close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The announced (or given) payload is larger than is taken.
    #[error("a frame of {announced} bytes is too large: send at most {limit} bytes of payload")]
    Oversized {
        /// Payload length, as announced by the peer or as asked to encode.
        announced: usize,
        /// The most that is taken: [`MAX_PAYLOAD`], or less from a peer nobody knows yet.
        limit: usize,
    },
}

/// Cuts a byte stream into payloads. One per connection and direction.
#[derive(Debug)]
pub struct FrameDecoder {
    buffer: Vec<u8>,
    /// Length of the frame last handed out, still at the front of `buffer`.
    taken: usize,
    /// Largest payload taken now.
    limit: usize,
}

impl Default for FrameDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl FrameDecoder {
    /// An empty decoder; allocates nothing yet.
    pub const fn new() -> Self {
        Self::with_limit(MAX_PAYLOAD)
    }

    /// One that takes less than the protocol allows; never more.
    pub const fn with_limit(limit: usize) -> Self {
        let mut decoder = Self { buffer: Vec::new(), taken: 0, limit: MAX_PAYLOAD };
        decoder.set_limit(limit);
        decoder
    }

    /// The limit from the next [`Self::pull`] on, an unfinished frame included.
    pub const fn set_limit(&mut self, limit: usize) {
        self.limit = if limit < MAX_PAYLOAD { limit } else { MAX_PAYLOAD };
    }

    /// Adds what arrived. Call [`Self::pull`] until it returns `None` before pushing more: then the buffer never
    /// holds more than one unfinished frame and one push.
    pub fn push(&mut self, bytes: &[u8]) {
        self.release();
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole payload, valid until the next call. An oversized frame is an error as soon as its four header
    /// bytes are here, and stays one.
    pub fn pull(&mut self) -> Result<Option<&[u8]>, FrameError> {
        self.release();
        let Some(header) = self.buffer.first_chunk::<HEADER>() else { return Ok(None) };
        // A length that does not fit usize is larger than any frame.
        let length = usize::try_from(u32::from_be_bytes(*header)).unwrap_or(usize::MAX);
        if length > self.limit {
            return Err(FrameError::Oversized { announced: length, limit: self.limit });
        }
        let end = HEADER + length;
        let Some(payload) = self.buffer.get(HEADER..end) else { return Ok(None) };
        self.taken = end;
        Ok(Some(payload))
    }

    /// Whether a frame has begun but is not complete: the per-frame read deadline runs while this is true.
    pub fn is_mid_frame(&self) -> bool {
        self.buffer.len() > self.taken
    }

    fn release(&mut self) {
        if self.taken > 0 {
            self.buffer.drain(..self.taken);
            self.taken = 0;
            self.buffer.shrink_to(KEPT_CAPACITY);
        }
    }
}

/// One frame around a payload.
pub fn encode_frame(payload: &[u8]) -> Result<Vec<u8>, FrameError> {
    let mut frame = Vec::with_capacity(HEADER + payload.len().min(MAX_PAYLOAD));
    frame.extend_from_slice(&header(payload.len())?);
    frame.extend_from_slice(payload);
    Ok(frame)
}

/// The four bytes in front of a payload of `length` bytes.
pub(super) fn header(length: usize) -> Result<[u8; HEADER], FrameError> {
    match u32::try_from(length) {
        Ok(short) if length <= MAX_PAYLOAD => Ok(short.to_be_bytes()),
        _ => Err(FrameError::Oversized { announced: length, limit: MAX_PAYLOAD }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(decoder: &mut FrameDecoder) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        while let Some(payload) = decoder.pull().unwrap() {
            out.push(payload.to_vec());
        }
        out
    }

    /// P1
    #[test]
    fn exactly_one_mebibyte_is_a_frame() {
        let payload = vec![7; MAX_PAYLOAD];
        let mut decoder = FrameDecoder::new();
        decoder.push(&encode_frame(&payload).unwrap());
        assert_eq!(all(&mut decoder), [payload]);
        assert!(!decoder.is_mid_frame());
    }

    /// P1
    #[test]
    fn one_byte_more_is_refused_at_the_fourth_byte() {
        let mut decoder = FrameDecoder::new();
        let header = 1_048_577u32.to_be_bytes();
        decoder.push(&header[..3]);
        assert_eq!(decoder.pull(), Ok(None));
        decoder.push(&header[3..]);
        let refused = FrameError::Oversized { announced: 1_048_577, limit: MAX_PAYLOAD };
        assert_eq!(decoder.pull(), Err(refused));
        decoder.push(b"more");
        assert_eq!(decoder.pull(), Err(refused), "nothing after it is read as a frame");
        assert_eq!(encode_frame(&vec![0; MAX_PAYLOAD + 1]), Err(refused));
        assert!(refused.to_string().contains("1048576"), "the limit is named");
    }

    /// P1
    #[test]
    fn announcing_a_lot_reserves_nothing() {
        let mut decoder = FrameDecoder::new();
        decoder.push(&1_048_576u32.to_be_bytes());
        assert_eq!(decoder.pull(), Ok(None));
        assert!(decoder.buffer.capacity() < 64);
        let mut sent = 0;
        while sent < 100_000 {
            decoder.push(&[1; 1000]);
            sent += 1000;
            assert_eq!(decoder.pull(), Ok(None));
            assert!(decoder.buffer.capacity() <= 2 * (sent + HEADER).max(1000));
        }
        let mut decoder = FrameDecoder::new();
        decoder.push(&u32::MAX.to_be_bytes());
        assert_eq!(
            decoder.pull(),
            Err(FrameError::Oversized { announced: 4_294_967_295, limit: MAX_PAYLOAD })
        );
        assert!(decoder.buffer.capacity() < 64);
    }

    /// P1
    #[test]
    fn memory_of_a_large_frame_is_given_back() {
        let mut decoder = FrameDecoder::new();
        decoder.push(&encode_frame(&vec![7; MAX_PAYLOAD]).unwrap());
        decoder.push(&encode_frame(b"next").unwrap()[..6]);
        assert_eq!(all(&mut decoder).len(), 1);
        assert!(decoder.is_mid_frame());
        assert!(decoder.buffer.capacity() <= KEPT_CAPACITY);
        decoder.push(b"xt");
        assert_eq!(all(&mut decoder), [b"next"]);
    }

    /// P1
    #[test]
    fn a_lower_limit_holds_until_it_is_raised_and_never_exceeds_the_protocol() {
        let mut decoder = FrameDecoder::with_limit(10);
        decoder.push(&encode_frame(&[1; 10]).unwrap());
        decoder.push(&encode_frame(&[2; 11]).unwrap());
        assert_eq!(decoder.pull().unwrap().unwrap(), [1; 10]);
        let refused = FrameError::Oversized { announced: 11, limit: 10 };
        assert_eq!(decoder.pull(), Err(refused));
        assert!(refused.to_string().contains("at most 10 bytes"), "{refused}");
        decoder.set_limit(11);
        assert_eq!(decoder.pull().unwrap().unwrap(), [2; 11]);
        decoder.set_limit(usize::MAX);
        decoder.push(&1_048_577u32.to_be_bytes());
        let refused = FrameError::Oversized { announced: 1_048_577, limit: MAX_PAYLOAD };
        assert_eq!(decoder.pull(), Err(refused));
    }

    #[test]
    fn an_empty_payload_is_a_frame() {
        let mut decoder = FrameDecoder::new();
        decoder.push(&[0; 8]);
        assert_eq!(all(&mut decoder), [b"", b""]);
    }

    proptest! {
        /// P1
        #[test]
        fn frames_split_anywhere_give_the_same_payloads(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8),
            cuts in prop::collection::vec(1usize..50, 1..40),
        ) {
            let stream: Vec<u8> = payloads.iter().flat_map(|p| encode_frame(p).unwrap()).collect();
            let mut decoder = FrameDecoder::new();
            let mut out = Vec::new();
            let mut rest = stream.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                decoder.push(now);
                out.extend(all(&mut decoder));
                rest = later;
            }
            prop_assert_eq!(out, payloads);
            prop_assert!(!decoder.is_mid_frame());
        }
    }
}
