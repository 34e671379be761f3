//! Answers the link itself knows how to give: errors, and denials in words the asking peer understands.

use super::decode::{DecodeError, DecodeErrorKind};
use super::features::{Feature, Features};
use super::frame::FrameError;
use super::message::{Envelope, Message};
use crate::reason::DenyReason;

/// The frame or message makes no sense here.
pub const BAD_REQUEST: u32 = 400;
/// Not yours to ask: pair first, or a foreign session.
pub const FORBIDDEN: u32 = 403;
/// Part of the words to a stranger, and to nobody else: pairing would help. Our client then says how.
pub const PAIRING_HELPS: &str = "ask its owner for a pairing code";
/// Our fault.
pub const INTERNAL: u32 = 500;

/// An `error` message.
pub fn error(request_id: impl Into<String>, code: u32, message: impl Into<String>) -> Envelope {
    Envelope { request_id: request_id.into(), payload: Message::Error { code, message: message.into() } }
}

/// A `session_deny` in the words this peer knows: `resource_exhausted` only when it negotiated that feature. A wait is
/// at least one second, because zero would say "ask again at once".
pub fn deny(
    request_id: impl Into<String>,
    features: Features,
    reason: DenyReason,
    message: impl Into<String>,
    retry_after_sec: Option<u64>,
) -> Envelope {
    let reason = match reason {
        DenyReason::ResourceExhausted if !features.has(Feature::ResourceExhausted) => DenyReason::Busy,
        other => other,
    };
    let retry_after_sec = retry_after_sec.map(|wait| wait.max(1));
    let payload = Message::SessionDeny { reason, message: message.into(), retry_after_sec };
    Envelope { request_id: request_id.into(), payload }
}

impl DecodeError {
    /// What the peer hears: a denial for a request whose values are bad, else `error` 400.
    pub fn answer(&self) -> Envelope {
        let request_id = self.request_id.clone().unwrap_or_default();
        if self.is_bad_frame() {
            error(request_id, BAD_REQUEST, self.to_string())
        } else {
            deny(request_id, Features::NONE, DenyReason::InvalidParams, self.to_string(), None)
        }
    }

    /// Whether it counts towards the bad frames that close a connection.
    pub const fn is_bad_frame(&self) -> bool {
        !matches!(self.kind, DecodeErrorKind::BadRequest { .. })
    }
}

impl FrameError {
    /// What the peer hears before the connection closes; nobody's `request_id` can be known.
    pub fn answer(&self) -> Envelope {
        error("", BAD_REQUEST, self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::{FrameDecoder, decode, encode};

    fn denied(features: Features, reason: DenyReason, wait: Option<u64>) -> (DenyReason, Option<u64>) {
        match deny("r", features, reason, "m", wait).payload {
            Message::SessionDeny { reason, retry_after_sec, .. } => (reason, retry_after_sec),
            other => panic!("{other:?}"),
        }
    }

    /// P8
    #[test]
    fn resource_exhausted_is_said_only_to_peers_that_know_it() {
        let knows = Features::of(&[Feature::ResourceExhausted]);
        let others = Features::of(&[Feature::Queue, Feature::Results]);
        for reason in DenyReason::ALL.iter().copied() {
            assert_eq!(denied(knows, reason, None).0, reason);
            let plain = denied(others, reason, None).0;
            assert_eq!(
                plain,
                if reason == DenyReason::ResourceExhausted { DenyReason::Busy } else { reason }
            );
        }
    }

    /// P8
    #[test]
    fn a_wait_is_exact_and_never_zero() {
        for (given, said) in [(None, None), (Some(0), Some(1)), (Some(1), Some(1)), (Some(3599), Some(3599))]
        {
            assert_eq!(denied(Features::NONE, DenyReason::Busy, given).1, said);
        }
    }

    /// P7
    #[test]
    fn bad_values_are_denied_and_bad_frames_get_an_error() {
        let request = |duration: &str| {
            format!(
                r#"{{"request_id":"q","payload":{{"type":"session_request","test_type":"throughput","params":{{"duration_sec":{duration}}}}}}}"#
            )
        };
        let values = decode(request("-5").as_bytes()).unwrap_err();
        assert!(!values.is_bad_frame());
        let Message::SessionDeny { reason, message, retry_after_sec: None } = values.answer().payload else {
            panic!("{values:?}")
        };
        assert_eq!((reason, values.answer().request_id.as_str()), (DenyReason::InvalidParams, "q"));
        assert!(message.contains("params.duration_sec") && message.contains("from 1 to"), "{message}");

        let frame = decode(request("").as_bytes()).unwrap_err();
        assert!(frame.is_bad_frame());
        assert!(matches!(frame.answer().payload, Message::Error { code: BAD_REQUEST, .. }));
        assert_eq!(frame.answer().request_id, "q");
    }

    /// P1
    #[test]
    fn an_oversized_frame_is_answered_with_an_error_frame() {
        let answer = FrameError::Oversized { announced: 1_048_577, limit: 1_048_576 }.answer();
        let mut decoder = FrameDecoder::new();
        decoder.push(&encode(&answer).unwrap());
        let payload = decoder.pull().unwrap().unwrap();
        assert_eq!(decode(payload), Ok(answer.clone()));
        assert_eq!(answer.request_id, "");
        assert!(matches!(answer.payload, Message::Error { code: BAD_REQUEST, .. }));
    }
}
