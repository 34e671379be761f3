//! The error codes that follow state -2: a stock client prints the text it has for the number.

/// Why a server ends a test, in iperf3's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Code {
    /// Test duration out of range.
    Time = 5,
    /// Too many parallel streams.
    Streams = 6,
    /// Block size out of range.
    Length = 7,
    /// Socket buffer out of range.
    Window = 8,
    /// MSS out of range.
    Mss = 10,
    /// Omit time out of range.
    Omit = 12,
    /// Burst out of range.
    Burst = 15,
    /// UDP block size out of range.
    UdpLength = 20,
    /// Type of service out of range.
    Tos = 21,
    /// The rate is above the limit of the server.
    Rate = 27,
    /// The duration is above the limit of the server (text from 3.20).
    MaxTime = 37,
    /// A state that makes no sense here.
    State = 110,
    /// Parameters that cannot be read.
    Parameters = 114,
    /// Results that cannot be read.
    Results = 117,
    /// A protocol that is not served.
    Protocol = 131,
    /// Not authorised.
    Authorisation = 142,
    /// Nothing moved for too long.
    Idle = 144,
    /// The time of the test is over (text from 3.21).
    Expired = 160,
    /// A stream did not come.
    Accept = 204,
    /// A stream nobody opened.
    StreamId = 208,
}

impl Code {
    /// Every code we send or know.
    pub const ALL: [Self; 20] = [
        Self::Time,
        Self::Streams,
        Self::Length,
        Self::Window,
        Self::Mss,
        Self::Omit,
        Self::Burst,
        Self::UdpLength,
        Self::Tos,
        Self::Rate,
        Self::MaxTime,
        Self::State,
        Self::Parameters,
        Self::Results,
        Self::Protocol,
        Self::Authorisation,
        Self::Idle,
        Self::Expired,
        Self::Accept,
        Self::StreamId,
    ];

    /// The number on the wire.
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// What a number received means; `None`: not one of ours.
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.number() == number)
    }

    /// State -2 and what follows it. The errno is always 0: ours would tell a stranger about this host, and mean nothing
    /// to him.
    pub fn to_bytes(self) -> [u8; 9] {
        let mut bytes = [0; 9];
        bytes[0] = super::State::ServerError.byte();
        bytes[1..5].copy_from_slice(&self.number().to_be_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_a_state_a_code_and_no_errno() {
        assert_eq!(Code::Idle.to_bytes(), [0xfe, 0, 0, 0, 144, 0, 0, 0, 0]);
    }

    #[test]
    fn numbers_read_back() {
        for code in Code::ALL {
            assert_eq!(Code::from_number(code.number()), Some(code));
        }
        assert_eq!(Code::from_number(1), None);
    }
}
