//! The states of a test: one signed byte on the control connection.

/// What a state byte says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i8)]
pub enum State {
    /// Server: streams are open, clocks start.
    TestStart = 1,
    /// Server: move bytes.
    TestRunning = 2,
    /// Client: the test is over, in either direction.
    TestEnd = 4,
    /// Server: send parameters.
    ParamExchange = 9,
    /// Server: open the streams.
    CreateStreams = 10,
    /// The server was interrupted.
    ServerTerminate = 11,
    /// The client was interrupted.
    ClientTerminate = 12,
    /// Server: send results, then read mine.
    ExchangeResults = 13,
    /// Server: that was all, show them.
    DisplayResults = 14,
    /// Client: the last byte.
    IperfDone = 16,
    /// Server: busy, or not your test.
    AccessDenied = -1,
    /// Server: two big-endian i32 follow, an error code and an errno.
    ServerError = -2,
}

impl State {
    /// Every state that is ever sent.
    pub const ALL: [Self; 12] = [
        Self::TestStart,
        Self::TestRunning,
        Self::TestEnd,
        Self::ParamExchange,
        Self::CreateStreams,
        Self::ServerTerminate,
        Self::ClientTerminate,
        Self::ExchangeResults,
        Self::DisplayResults,
        Self::IperfDone,
        Self::AccessDenied,
        Self::ServerError,
    ];

    /// The state of a byte; `None`: no version sends that.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.byte() == byte)
    }

    /// The byte on the wire.
    pub const fn byte(self) -> u8 {
        (self as i8).cast_unsigned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_signed_and_read_back() {
        assert_eq!(State::AccessDenied.byte(), 0xff);
        assert_eq!(State::ServerError.byte(), 0xfe);
        for state in State::ALL {
            assert_eq!(State::from_byte(state.byte()), Some(state));
        }
        assert_eq!(State::from_byte(3), None);
        assert_eq!((0..=u8::MAX).filter_map(State::from_byte).count(), State::ALL.len());
    }
}
