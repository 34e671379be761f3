//! What a session is asked for so that an iperf3 test fits into it, and how a refusal is said to iperf3 (pure).

use crate::client::LinkError;
use crate::engine::iperf::{Code, Parameters, State, Transport};
use crate::link::message::{Mode, Protocol, SessionParams};
use crate::reason::DenyReason;

/// Seconds asked for when a test ends by bytes or blocks and nobody said what the longest test is.
const LONGEST: u64 = 60;

/// A test that is to be forwarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) session: SessionParams,
    /// Data streams the client will open: twice as many when both ends send.
    pub(super) streams: u32,
    /// Of those, the first so many are sent by the client.
    pub(super) up: u32,
    pub(super) udp: bool,
}

/// Exactly the session these parameters need. SCTP does not go through a tunnel of TCP connections.
pub(super) fn wanted(parameters: &Parameters, longest: Option<u64>) -> Result<Wanted, Code> {
    let protocol = match parameters.transport {
        Transport::Tcp => Protocol::Tcp,
        Transport::Udp => Protocol::Udp,
        Transport::Sctp => return Err(Code::Protocol),
    };
    let parallel = parameters.parallel;
    let duration_sec = match u64::from(parameters.time) {
        0 => longest.unwrap_or(LONGEST),
        time => time + u64::from(parameters.omit),
    };
    let session = SessionParams {
        duration_sec,
        protocol: Some(protocol),
        streams: Some(parallel),
        reverse: Some(parameters.reverse && !parameters.bidirectional),
        mode: Some(Mode::Tunneled),
    };
    let (streams, up) = match (parameters.bidirectional, parameters.reverse) {
        (true, _) => (parallel.saturating_mul(2), parallel),
        (false, true) => (parallel, 0),
        (false, false) => (parallel, parallel),
    };
    Ok(Wanted { session, streams, up, udp: protocol == Protocol::Udp })
}

/// The last words to an iperf3 client whose session was not granted.
pub(super) fn refusal(error: &LinkError) -> Vec<u8> {
    let code = match error {
        LinkError::Denied { reason: DenyReason::Busy | DenyReason::ResourceExhausted, .. } => {
            return vec![State::AccessDenied.byte()];
        }
        LinkError::Denied { reason: DenyReason::QuotaExceeded, .. } => Code::Rate,
        LinkError::Denied { reason: DenyReason::InvalidParams, message, .. }
            if message.contains("duration_sec") =>
        {
            Code::MaxTime
        }
        _ => Code::Authorisation,
    };
    code.to_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(change: impl FnOnce(&mut Parameters)) -> Wanted {
        let mut parameters = Parameters::default();
        change(&mut parameters);
        wanted(&parameters, Some(45)).unwrap()
    }

    /// E9
    #[test]
    fn a_session_is_asked_for_exactly_what_the_parameters_say() {
        let plain = of(|p| (p.time, p.omit, p.parallel) = (7, 2, 3));
        let session = SessionParams {
            duration_sec: 9,
            protocol: Some(Protocol::Tcp),
            streams: Some(3),
            reverse: Some(false),
            mode: Some(Mode::Tunneled),
        };
        assert_eq!(plain, Wanted { session, streams: 3, up: 3, udp: false });
        let down = of(|p| (p.reverse, p.parallel) = (true, 4));
        assert_eq!((down.session.reverse, down.streams, down.up), (Some(true), 4, 0));
        let both = of(|p| (p.bidirectional, p.parallel) = (true, 4));
        assert_eq!((both.session.reverse, both.session.streams), (Some(false), Some(4)));
        assert_eq!((both.streams, both.up), (8, 4));
        let udp = of(|p| p.transport = Transport::Udp);
        assert!(udp.udp && udp.session.protocol == Some(Protocol::Udp));
        let bytes = of(|p| (p.time, p.bytes) = (0, 1_000_000));
        assert_eq!(bytes.session.duration_sec, 45, "as long as it may take");
        let sctp = Parameters { transport: Transport::Sctp, ..Parameters::default() };
        assert_eq!(wanted(&sctp, None), Err(Code::Protocol));
    }

    /// E9
    #[test]
    fn a_refusal_is_said_in_words_of_iperf3() {
        let denied = |reason, message: &str| LinkError::Denied {
            reason,
            message: message.to_owned(),
            retry_after_sec: None,
        };
        let code = |error: &LinkError| match refusal(error).as_slice() {
            [0xff] => -1,
            [0xfe, a, b, c, d, 0, 0, 0, 0] => i32::from_be_bytes([*a, *b, *c, *d]),
            other => panic!("{other:?}"),
        };
        assert_eq!(code(&denied(DenyReason::Busy, "")), -1);
        assert_eq!(code(&denied(DenyReason::ResourceExhausted, "")), -1);
        assert_eq!(code(&denied(DenyReason::QuotaExceeded, "")), 27);
        assert_eq!(code(&denied(DenyReason::InvalidParams, "duration_sec must be at least 1")), 37);
        assert_eq!(code(&denied(DenyReason::InvalidParams, "streams must be at most 8")), 142);
        assert_eq!(code(&denied(DenyReason::RateLimited, "")), 142);
        assert_eq!(code(&denied(DenyReason::Unauthorized, "")), 142);
        assert_eq!(code(&LinkError::Closed { during: "x" }), 142);
    }
}
