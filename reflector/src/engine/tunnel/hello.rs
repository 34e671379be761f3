//! The first frame of a data connection and its answer (pure): which stream of which session this is.
//!
//! A u32 length and a JSON object of at most 1 KiB each way; raw bytes follow. The token alone would let whoever reads
//! it from a log open streams, so the frame also proves that its sender holds a key of the control connection.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::reason::RefuseReason;

use super::proof::Proof;

/// Largest payload of the first frame and of its answer. A frame of ours has about 230 bytes.
/// Test: `a_frame_of_one_kibibyte_is_the_longest`.
pub const MAX_HELLO: usize = 1024;

/// Bytes of the length in front.
pub const HEADER: usize = 4;

/// Longest reason of a refusal that is kept, in characters: it is foreign text.
const MAX_REASON: usize = 64;

/// What flows after the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Bytes: iperf3 control (stream 0) and TCP streams.
    Tcp,
    /// Datagrams of an iperf3 UDP stream, each behind a u16 length.
    Udp,
    /// Datagrams of keyed echo, each behind a u16 length.
    Echo,
}

/// Asks for a place in a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The session.
    pub test_id: Uuid,
    /// The bearer token of its grant.
    pub token: Uuid,
    /// 0 is iperf3 control; others are numbered in the order they are opened.
    pub stream: u32,
    /// What will flow.
    pub kind: Kind,
    /// Made with the key of the control connection.
    pub proof: Proof,
}

/// Why bytes are not a first frame, or not an answer to one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// More than anybody needs.
    #[error("a first frame of {announced} bytes is too large: send at most {MAX_HELLO}")]
    Oversized {
        /// The peer's claim.
        announced: u32,
    },
    /// Not the JSON it should be.
    #[error("read the first frame of a data connection: {0}")]
    Malformed(String),
}

/// What the other side said to a [`Hello`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Raw bytes may follow.
    Ok,
    /// The connection is closed. The reason is foreign text, cut and without control characters.
    Refused(String),
}

#[derive(Serialize, Deserialize)]
struct AnswerFrame {
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ok: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// The payload length that a header announces.
pub fn length(header: [u8; HEADER]) -> Result<usize, HelloError> {
    let announced = u32::from_be_bytes(header);
    match usize::try_from(announced) {
        Ok(length) if length <= MAX_HELLO => Ok(length),
        _ => Err(HelloError::Oversized { announced }),
    }
}

impl Hello {
    /// Reads a payload. Unknown fields are ignored.
    pub fn read(payload: &[u8]) -> Result<Self, HelloError> {
        serde_json::from_slice(payload).map_err(malformed)
    }

    /// The whole frame.
    pub fn frame(&self) -> Result<Vec<u8>, HelloError> {
        frame(self)
    }
}

impl Answer {
    /// Reads a payload.
    pub fn read(payload: &[u8]) -> Result<Self, HelloError> {
        match serde_json::from_slice(payload).map_err(malformed)? {
            AnswerFrame { ok: true, error: None } => Ok(Self::Ok),
            AnswerFrame { error: Some(reason), .. } => Ok(Self::Refused(plain(&reason))),
            AnswerFrame { .. } => Err(HelloError::Malformed("neither ok nor an error".to_owned())),
        }
    }

    /// The frame that lets a stream in.
    pub fn welcome() -> Result<Vec<u8>, HelloError> {
        frame(&AnswerFrame { ok: true, error: None })
    }

    /// The frame that turns a stream away.
    pub fn refusal(reason: RefuseReason) -> Result<Vec<u8>, HelloError> {
        frame(&AnswerFrame { ok: false, error: Some(reason.as_str().to_owned()) })
    }
}

fn frame(value: &impl Serialize) -> Result<Vec<u8>, HelloError> {
    let payload = serde_json::to_vec(value).map_err(malformed)?;
    let announced = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    length(announced.to_be_bytes())?;
    Ok([&announced.to_be_bytes()[..], &payload].concat())
}

/// serde quotes what it read: cut and without control characters, because logs and audit lines carry it.
fn malformed(error: impl std::fmt::Display) -> HelloError {
    HelloError::Malformed(plain(&error.to_string()))
}

fn plain(text: &str) -> String {
    text.chars().take(MAX_REASON).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kinds() -> impl Strategy<Value = Kind> {
        prop_oneof![Just(Kind::Tcp), Just(Kind::Udp), Just(Kind::Echo)]
    }

    /// Written down once, so that both ends of other versions agree.
    #[test]
    fn a_first_frame_is_these_bytes() {
        let hello = Hello {
            test_id: "00010203-0405-4607-8809-0a0b0c0d0e0f".parse().unwrap(),
            token: "f0f1f2f3-f4f5-46f7-88f9-fafbfcfdfeff".parse().unwrap(),
            stream: 3,
            kind: Kind::Udp,
            proof: Proof::from_bytes(std::array::from_fn(|i| u8::try_from(i * 8).unwrap())),
        };
        let json = concat!(
            r#"{"test_id":"00010203-0405-4607-8809-0a0b0c0d0e0f","token":"f0f1f2f3-f4f5-46f7-88f9-fafbfcfdfeff","#,
            r#""stream":3,"kind":"udp","proof":"0008101820283038404850586068707880889098a0a8b0b8c0c8d0d8e0e8f0f8"}"#
        );
        let frame = hello.frame().unwrap();
        assert_eq!(std::str::from_utf8(&frame[HEADER..]).unwrap(), json);
        assert_eq!(frame[..HEADER], u32::try_from(json.len()).unwrap().to_be_bytes());
        assert_eq!(Hello::read(json.as_bytes()), Ok(hello));
        let later = json.replace("\"kind\"", "\"window\":[1,{}],\"kind\"");
        assert!(Hello::read(later.as_bytes()).is_ok(), "what a later version adds is ignored");
    }

    #[test]
    fn answers_are_these_bytes() {
        assert_eq!(Answer::welcome().unwrap(), b"\0\0\0\x0b{\"ok\":true}");
        let refused = Answer::refusal(RefuseReason::WrongProof).unwrap();
        assert_eq!(refused, b"\0\0\0\x17{\"error\":\"wrong_proof\"}");
        assert_eq!(Answer::read(b"{\"ok\":true}"), Ok(Answer::Ok));
        assert_eq!(Answer::read(&refused[HEADER..]), Ok(Answer::Refused("wrong_proof".to_owned())));
        let long = format!("{{\"error\":\"\\u001b[2J{}\"}}", "x".repeat(900));
        let Ok(Answer::Refused(reason)) = Answer::read(long.as_bytes()) else { panic!("{long}") };
        assert_eq!(reason.chars().count(), MAX_REASON);
        assert!(!reason.contains('\u{1b}'), "{reason}");
        for neither in ["{}", "{\"ok\":false}", "[]", "true", ""] {
            assert!(Answer::read(neither.as_bytes()).is_err(), "{neither}");
        }
    }

    #[test]
    fn a_frame_of_one_kibibyte_is_the_longest() {
        assert_eq!(length([0, 0, 4, 0]), Ok(1024));
        assert_eq!(length([0, 0, 4, 1]), Err(HelloError::Oversized { announced: 1025 }));
        assert_eq!(length([0xff; 4]), Err(HelloError::Oversized { announced: u32::MAX }));
    }

    #[test]
    fn what_is_not_a_first_frame_is_refused_and_not_repeated_at_length() {
        let good = r#"{"test_id":"00010203-0405-4607-8809-0a0b0c0d0e0f","token":"f0f1f2f3-f4f5-46f7-88f9-fafbfcfdfeff","stream":1,"kind":"tcp","proof":"0008101820283038404850586068707880889098a0a8b0b8c0c8d0d8e0e8f0f8"}"#;
        assert!(Hello::read(good.as_bytes()).is_ok());
        for (from, to) in [
            ("\"stream\":1", "\"stream\":-1"),
            ("\"stream\":1", "\"stream\":1.5"),
            ("\"stream\":1", "\"stream\":4294967296"),
            ("tcp", "sctp"),
            ("0008", "00g8"),
            ("0008", "+008"),
            ("0008", "08"),
            ("00010203-", "zz010203-"),
            ("\"token\"", "\"toke\""),
            ("}", ""),
        ] {
            let Err(error) = Hello::read(good.replacen(from, to, 1).as_bytes()) else { panic!("{to}") };
            assert!(error.to_string().len() < 400, "{error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            ids in any::<[[u8; 16]; 2]>(), stream in any::<u32>(), kind in kinds(), proof in any::<[u8; 32]>(),
        ) {
            let hello = Hello {
                test_id: Uuid::from_bytes(ids[0]),
                token: Uuid::from_bytes(ids[1]),
                stream,
                kind,
                proof: Proof::from_bytes(proof),
            };
            let frame = hello.frame().unwrap();
            let (header, payload) = frame.split_first_chunk::<HEADER>().unwrap();
            prop_assert_eq!(length(*header), Ok(payload.len()));
            prop_assert_eq!(Hello::read(payload), Ok(hello));
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..MAX_HELLO)) {
            let _ = (Hello::read(&bytes), Answer::read(&bytes));
        }
    }
}
