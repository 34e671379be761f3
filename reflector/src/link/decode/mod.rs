//! From a payload to a message, or to an error that can be answered.
//!
//! Three steps: find `request_id` and `payload` (kept even when what follows is broken), read the `type`, then read
//! exactly that message. No step builds a tree of foreign JSON, so a mebibyte of brackets costs its own bytes and no
//! stack. `session_request` is read value by value, because its bad values are denied rather than answered 400.

mod head;
mod messages;
mod request;
#[cfg(test)]
mod tests;

use super::message::Envelope;

/// Longest `request_id` answered, in bytes. Appliances use about ten; answers repeat it and audit lines carry it, so
/// a stranger must not choose their size (test `a_request_id_of_256_bytes_is_the_longest`).
pub const MAX_REQUEST_ID: usize = 256;

/// Most names read from `hello.features`. Both sides know eight; a mebibyte of empty names would take eight times
/// its size (test `a_hello_with_too_many_features_is_refused`).
pub const MAX_FEATURES: usize = 64;

/// Longest piece of foreign text an error repeats, in characters.
const MAX_ECHO: usize = 80;

/// Why a payload is not a message. Displayed as the text the peer reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct DecodeError {
    /// Whom to answer, when it could be read.
    pub request_id: Option<String>,
    /// What is wrong.
    pub kind: DecodeErrorKind,
}

/// What is wrong with a payload. All but [`Self::BadRequest`] are bad frames, answered `error` 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeErrorKind {
    /// Not UTF-8.
    #[error("the payload is not UTF-8: send JSON text")]
    NotUtf8,
    /// Not JSON, or not an envelope.
    #[error(
        "the payload is not a JSON envelope {{\"request_id\": …, \"payload\": {{\"type\": …}}}}: {detail}"
    )]
    BadJson {
        /// The parser's words, bounded.
        detail: String,
    },
    /// The `request_id` is no text or too long; it is not repeated.
    #[error("request_id must be a string of at most {MAX_REQUEST_ID} bytes")]
    BadRequestId,
    /// A message nobody here knows.
    #[error("unknown message type \"{given}\"")]
    UnknownType {
        /// The type as sent, bounded and escaped.
        given: String,
    },
    /// A known message whose fields are missing or of the wrong type.
    #[error("bad {message}: {detail}")]
    BadFields {
        /// The wire name of the message.
        message: &'static str,
        /// The parser's words, bounded.
        detail: String,
    },
    /// A `session_request` with a value that never becomes valid by waiting: `session_deny invalid_params`.
    #[error("{field} must be {allowed}; got {given}")]
    BadRequest {
        /// Path of the field, as on the wire.
        field: &'static str,
        /// The limit or the allowed values.
        allowed: &'static str,
        /// The value as sent, bounded and escaped.
        given: String,
    },
}

/// Reads one payload. Used by server and client alike.
pub fn decode(payload: &[u8]) -> Result<Envelope, DecodeError> {
    let (text, utf8) = match std::str::from_utf8(payload) {
        Ok(text) => (text, true),
        // What is readable may still hold the request_id.
        Err(error) => {
            let valid = payload.get(..error.valid_up_to()).unwrap_or_default();
            (std::str::from_utf8(valid).unwrap_or_default(), false)
        }
    };
    let mut head = head::Head::default();
    let read = head.read(text);
    let (request_id, id_is_bad) = match head.request_id.map(head::text_of_request_id) {
        None => (None, false),
        Some(Some(id)) => (Some(id), false),
        Some(None) => (None, true),
    };
    let fail = |request_id, kind| Err(DecodeError { request_id, kind });
    if !utf8 {
        return fail(request_id, DecodeErrorKind::NotUtf8);
    }
    if id_is_bad {
        return fail(None, DecodeErrorKind::BadRequestId);
    }
    if let Err(error) = read {
        return fail(request_id, bad_json(&error));
    }
    let (Some(request_id), Some(payload)) = (request_id.clone(), head.payload) else {
        let missing = if request_id.is_none() { "request_id" } else { "payload" };
        return fail(request_id, DecodeErrorKind::BadJson { detail: format!("missing field `{missing}`") });
    };
    match messages::read(payload.get()) {
        Ok(payload) => Ok(Envelope { request_id, payload }),
        Err(kind) => fail(Some(request_id), kind),
    }
}

fn bad_json(error: &serde_json::Error) -> DecodeErrorKind {
    DecodeErrorKind::BadJson { detail: echo(&error.to_string()) }
}

/// Foreign text as errors, audit lines and logs may carry it: escaped and bounded.
fn echo(text: &str) -> String {
    let mut out = String::new();
    for symbol in text.chars().take(MAX_ECHO) {
        match symbol {
            // Harmless, and doubled backslashes make an error hard to read.
            '"' | '\'' | '\\' => out.push(symbol),
            other => out.extend(other.escape_debug()),
        }
    }
    if text.chars().nth(MAX_ECHO).is_some() {
        out.push('…');
    }
    out
}
