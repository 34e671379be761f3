//! The cookie: the first bytes of the control connection and of every TCP stream of a test.

use std::fmt;

use subtle::ConstantTimeEq;

/// Symbols of a cookie.
const SYMBOLS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Symbols before the NUL.
const TEXT: usize = 36;

/// Ties the streams of one test together.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Cookie([u8; TEXT]);

impl Cookie {
    /// Bytes on the wire: 36 symbols and a NUL.
    pub const LENGTH: usize = TEXT + 1;

    /// A fresh one, for the client role.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; TEXT];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes.map(symbol)))
    }

    /// `None`: other symbols, or no NUL at the end.
    pub fn parse(bytes: &[u8; Self::LENGTH]) -> Option<Self> {
        let (text, end) = bytes.split_first_chunk::<TEXT>()?;
        (end == [0] && text.iter().copied().all(Self::is_symbol)).then_some(Self(*text))
    }

    /// Whether a connection that starts with this byte may be one of iperf3. TLS starts with 0x16.
    pub const fn is_symbol(byte: u8) -> bool {
        matches!(byte, b'a'..=b'z' | b'2'..=b'7')
    }

    /// As it is sent.
    pub fn to_bytes(self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        if let Some(text) = bytes.first_chunk_mut() {
            *text = self.0;
        }
        bytes
    }

    /// Whether a stream belongs to this test. Takes as long whatever the answer: a cookie is what a stranger would guess.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

fn symbol(random: u8) -> u8 {
    SYMBOLS.get(usize::from(random & 31)).copied().unwrap_or(b'a')
}

/// A cookie opens a test: never in a log.
impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cookie(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_cookie_reads_back_and_is_like_no_other() {
        let cookie = Cookie::random().unwrap();
        assert_eq!(Cookie::parse(&cookie.to_bytes()), Some(cookie));
        assert!(cookie.matches(&cookie));
        assert!(!cookie.matches(&Cookie::random().unwrap()));
    }

    #[test]
    fn foreign_symbols_and_a_missing_end_are_refused() {
        let good = Cookie::random().unwrap().to_bytes();
        for (at, byte) in [(0, 0x16), (0, b'A'), (35, b'1'), (20, b'8'), (36, b'a')] {
            let mut bad = good;
            bad[at] = byte;
            assert_eq!(Cookie::parse(&bad), None, "{byte:#x} at {at}");
        }
    }

    #[test]
    fn a_cookie_is_not_printed() {
        assert_eq!(format!("{:?}", Cookie::random().unwrap()), "Cookie(…)");
    }
}
