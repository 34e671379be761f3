//! Cuts the control connection into cookie, states and JSON.
//!
//! What comes next is for the caller to say: the wire does not. Bytes of several items may arrive at once, so states are
//! taken one at a time and the rest stays. A length is a stranger's claim: it is checked before anything is kept for it
//! and reserves nothing.

use super::code::Code;
use super::cookie::Cookie;
use super::state::State;

/// Bytes of a length.
const HEADER: usize = 4;

/// What is kept between items. Results are up to 64 KiB, once.
const KEPT_CAPACITY: usize = 4096;

/// Why the connection cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReaderError {
    /// 37 bytes that are no cookie.
    #[error("read a cookie")]
    Cookie,
    /// A byte no version sends.
    #[error("read a state: {0} is none")]
    State(u8),
    /// A length of 0, or above the limit.
    #[error("read JSON: {announced} bytes were announced, the limit is {limit}")]
    Length {
        /// What the peer announced.
        announced: u32,
        /// The most that is taken here.
        limit: usize,
    },
}

/// Bytes of one control connection that were not used yet.
#[derive(Debug, Default)]
pub struct ControlReader {
    buffer: Vec<u8>,
}

impl ControlReader {
    /// Nothing read yet.
    pub const fn new() -> Self {
        Self { buffer: Vec::new() }
    }

    /// Adds what arrived. Take what is due before pushing more: then the buffer holds no more than one item and one push.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether anything arrived that was not taken.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The cookie. A wrong first symbol is an error at once.
    pub fn cookie(&mut self) -> Result<Option<Cookie>, ReaderError> {
        let text = self.buffer.iter().take(Cookie::LENGTH - 1);
        if !text.copied().all(Cookie::is_symbol) {
            return Err(ReaderError::Cookie);
        }
        let Some(bytes) = self.buffer.first_chunk::<{ Cookie::LENGTH }>() else { return Ok(None) };
        let cookie = Cookie::parse(bytes).ok_or(ReaderError::Cookie)?;
        self.drop_front(Cookie::LENGTH);
        Ok(Some(cookie))
    }

    /// The next state, one byte.
    pub fn state(&mut self) -> Result<Option<State>, ReaderError> {
        let Some(byte) = self.buffer.first().copied() else { return Ok(None) };
        let state = State::from_byte(byte).ok_or(ReaderError::State(byte))?;
        self.drop_front(1);
        Ok(Some(state))
    }

    /// What follows state -2: code and errno, for the client role.
    pub fn error(&mut self) -> Option<(Result<Code, i32>, i32)> {
        let (code, rest) = self.buffer.split_first_chunk::<4>()?;
        let (errno, _) = rest.split_first_chunk::<4>()?;
        let (code, errno) = (i32::from_be_bytes(*code), i32::from_be_bytes(*errno));
        self.drop_front(8);
        Some((Code::from_number(code).ok_or(code), errno))
    }

    /// The next JSON text of at most `limit` bytes. Too long a one is an error as soon as its length is here.
    pub fn json(&mut self, limit: usize) -> Result<Option<Vec<u8>>, ReaderError> {
        let Some(header) = self.buffer.first_chunk::<HEADER>() else { return Ok(None) };
        let announced = u32::from_be_bytes(*header);
        let length = usize::try_from(announced).unwrap_or(usize::MAX);
        if length == 0 || length > limit {
            return Err(ReaderError::Length { announced, limit });
        }
        let end = HEADER + length;
        let Some(text) = self.buffer.get(HEADER..end) else { return Ok(None) };
        let text = text.to_vec();
        self.drop_front(end);
        Ok(Some(text))
    }

    /// Drops a state 4 in front of the results: a client that ended by itself just when it was told 13. As the first byte of
    /// a length it would mean more than 64 MiB, so it is no length.
    pub fn skip_late_end(&mut self) -> bool {
        let is_end = self.buffer.first() == Some(&State::TestEnd.byte());
        if is_end {
            self.drop_front(1);
        }
        is_end
    }

    fn drop_front(&mut self, count: usize) {
        self.buffer.drain(..count);
        self.buffer.shrink_to(KEPT_CAPACITY);
    }
}

/// A JSON text with its length in front.
pub fn frame(json: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + json.len());
    // Ours are a few KiB; what does not fit the length would be cut, and no peer could read it.
    bytes.extend_from_slice(&u32::try_from(json.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(json);
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn states_that_arrive_at_once_are_taken_one_by_one() {
        let mut reader = ControlReader::new();
        reader.push(&[4, 16]);
        assert_eq!(reader.state(), Ok(Some(State::TestEnd)));
        assert_eq!(reader.state(), Ok(Some(State::IperfDone)));
        assert_eq!(reader.state(), Ok(None));
        reader.push(&[3]);
        assert_eq!(reader.state(), Err(ReaderError::State(3)));
    }

    #[test]
    fn a_length_is_refused_at_its_fourth_byte() {
        for announced in [0_u32, 11, u32::MAX] {
            let mut reader = ControlReader::new();
            let header = announced.to_be_bytes();
            reader.push(&header[..3]);
            assert_eq!(reader.json(10), Ok(None));
            reader.push(&header[3..]);
            assert_eq!(reader.json(10), Err(ReaderError::Length { announced, limit: 10 }));
        }
    }

    #[test]
    fn a_late_end_before_the_results_is_skipped_once() {
        let mut reader = ControlReader::new();
        reader.push(&[4]);
        reader.push(&frame(b"{}"));
        assert!(reader.skip_late_end());
        assert!(!reader.skip_late_end());
        assert_eq!(reader.json(10), Ok(Some(b"{}".to_vec())));
    }

    #[test]
    fn an_error_has_a_code_and_an_errno() {
        let mut reader = ControlReader::new();
        reader.push(&Code::Idle.to_bytes()[..5]);
        assert_eq!(reader.state(), Ok(Some(State::ServerError)));
        assert_eq!(reader.error(), None);
        reader.push(&[0, 0, 0, 9]);
        assert_eq!(reader.error(), Some((Ok(Code::Idle), 9)));
    }

    #[test]
    fn no_cookie_is_seen_at_its_first_byte() {
        let mut reader = ControlReader::new();
        reader.push(&[0x16]);
        assert_eq!(reader.cookie(), Err(ReaderError::Cookie));
    }

    proptest! {
        #[test]
        fn pieces_of_any_size_are_the_same_test(
            text in proptest::collection::vec(any::<u8>(), 1..200), piece in 1_usize..50,
        ) {
            let cookie = Cookie::random().unwrap();
            let mut stream = cookie.to_bytes().to_vec();
            stream.extend(frame(&text));
            stream.push(State::TestEnd.byte());
            let mut reader = ControlReader::new();
            let (mut cookies, mut texts, mut states) = (vec![], vec![], vec![]);
            for bytes in stream.chunks(piece) {
                reader.push(bytes);
                if cookies.is_empty() {
                    cookies.extend(reader.cookie().unwrap());
                }
                if !cookies.is_empty() && texts.is_empty() {
                    texts.extend(reader.json(1000).unwrap());
                }
                if !texts.is_empty() {
                    states.extend(reader.state().unwrap());
                }
            }
            prop_assert_eq!((cookies, texts, states), (vec![cookie], vec![text], vec![State::TestEnd]));
        }
    }
}
