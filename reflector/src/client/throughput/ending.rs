//! How a test ends, as its control connection says it. Pure.

use crate::engine::iperf::{Code, State};
use crate::reason::EndReason;

/// Why a test is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It took its time, or moved its bytes.
    Completed,
    /// The server asked for results before we said that we are done: a cut; what was measured until then stands.
    Cut,
    /// The server was interrupted.
    Terminated,
    /// The server runs somebody else's test, or does not know us.
    Busy,
    /// The server gave up, and why: a code of iperf3, or a number nobody here knows.
    Failed(Result<Code, i32>),
    /// The server closed the connection without a word.
    Vanished,
    /// We were told to stop.
    Interrupted,
}

impl Ending {
    /// What a state means that ends a test wherever it comes; `None`: it is not one of those. What follows -2 is read
    /// by the caller.
    pub const fn of_state(state: State) -> Option<Self> {
        match state {
            State::ServerTerminate => Some(Self::Terminated),
            State::AccessDenied => Some(Self::Busy),
            State::ServerError => Some(Self::Failed(Err(0))),
            _ => None,
        }
    }

    /// The typed reason, as far as this end can tell; the reflector's own word is better.
    pub const fn reason(self) -> EndReason {
        match self {
            Self::Completed => EndReason::Completed,
            // Which of the cuts it was, only the server knows.
            Self::Cut => EndReason::DurationCap,
            Self::Terminated => EndReason::Shutdown,
            Self::Failed(Ok(Code::Idle)) => EndReason::Stalled,
            Self::Failed(_) | Self::Busy => EndReason::ProtocolError,
            Self::Vanished => EndReason::Internal,
            Self::Interrupted => EndReason::ClientTerminated,
        }
    }

    /// Whether both sides' numbers were exchanged.
    pub const fn has_results(self) -> bool {
        matches!(self, Self::Completed | Self::Cut)
    }

    /// In words, with what to do next.
    pub fn said(self) -> String {
        match self {
            Self::Completed => "completed".to_owned(),
            Self::Cut => "the server ended the test before its time".to_owned(),
            Self::Terminated => "the server was told to stop: try again later".to_owned(),
            Self::Busy => "the server is busy with another test: try again later".to_owned(),
            Self::Failed(Ok(code)) => format!("the server gave up: {}", meaning(code)),
            Self::Failed(Err(number)) => format!("the server gave up with error {number} of iperf3"),
            Self::Vanished => "the server closed the connection: is it still running?".to_owned(),
            Self::Interrupted => "interrupted".to_owned(),
        }
    }
}

const fn meaning(code: Code) -> &'static str {
    match code {
        Code::Time | Code::MaxTime => "the test is longer than it allows; use a smaller -t",
        Code::Streams => "too many streams; use a smaller -P",
        Code::Length | Code::UdpLength => "the block size is out of its range",
        Code::Window => "the window is out of its range",
        Code::Mss => "the segment size is out of its range",
        Code::Omit => "the omitted time is out of its range",
        Code::Burst => "the burst is out of its range",
        Code::Tos => "the type of service is out of its range",
        Code::Rate => "the rate is above what it allows",
        Code::State | Code::Parameters | Code::Results | Code::Protocol => {
            "it did not understand us; is its version compatible?"
        }
        Code::Authorisation => "it wants a user and a password, which this client has not",
        Code::Idle => "nothing moved for too long; is the path blocked in this direction?",
        Code::Expired => "the time of the test is over",
        Code::Accept => "a stream did not get through; is its port open for all connections?",
        Code::StreamId => "a stream was not one of the test",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E6
    #[test]
    fn only_three_states_end_a_test_wherever_they_come() {
        let ends: Vec<State> =
            State::ALL.into_iter().filter(|state| Ending::of_state(*state).is_some()).collect();
        assert_eq!(ends, [State::ServerTerminate, State::AccessDenied, State::ServerError]);
    }

    #[test]
    fn every_code_says_what_to_do_and_none_is_empty() {
        for code in Code::ALL {
            assert!(Ending::Failed(Ok(code)).said().len() > "the server gave up: ".len(), "{code:?}");
        }
        assert!(Ending::Failed(Err(99)).said().contains("99"));
    }
}
