//! One reader per message type. Unknown fields are skipped, `?` fields may be null or missing.
//!
//! Not serde's tagged enum: that keeps every field of a stranger's object in a tree, sixteen times its size, before
//! looking at the tag.

use std::borrow::Cow;
use std::fmt;

use crds::EndpointId;
use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use uuid::Uuid;

use super::{DecodeErrorKind, MAX_FEATURES, echo, request};
use crate::link::message::Message;
use crate::reason::DenyReason;

/// Reads the value of `payload`.
pub(super) fn read(json: &str) -> Result<Message, DecodeErrorKind> {
    let tag: Tag<'_> = object(json, "payload")?;
    Ok(match &*tag.name {
        "hello" => {
            let Hello { version, features } = object(json, "hello")?;
            Message::Hello { version, features }
        }
        "server_hello" => Message::ServerHello(object(json, "server_hello")?),
        "session_request" => {
            let (test_type, params) = request::read(json)?;
            Message::SessionRequest { test_type, params }
        }
        "session_grant" => Message::SessionGrant(object(json, "session_grant")?),
        "session_deny" => {
            let SessionDeny { reason, message, retry_after_sec } = object(json, "session_deny")?;
            Message::SessionDeny { reason, message, retry_after_sec }
        }
        "session_close" => {
            let SessionClose { test_id } = object(json, "session_close")?;
            Message::SessionClose { test_id }
        }
        "get_status" => Message::GetStatus,
        "status_snapshot" => Message::StatusSnapshot(object(json, "status_snapshot")?),
        "get_path_meta" => Message::GetPathMeta,
        "path_meta" => Message::PathMeta(object(json, "path_meta")?),
        "pair_request" => {
            let PairRequest { token } = object(json, "pair_request")?;
            Message::PairRequest { token }
        }
        "pair_response" => {
            let PairResponse { success, message, endpoint_id } = object(json, "pair_response")?;
            Message::PairResponse { success, message, endpoint_id }
        }
        "ok" => Message::Ok,
        "error" => {
            let ErrorMessage { code, message } = object(json, "error")?;
            Message::Error { code, message }
        }
        "session_result" => Message::SessionResult(Box::new(object(json, "session_result")?)),
        other => return Err(DecodeErrorKind::UnknownType { given: echo(other) }),
    })
}

/// Parses an object. Serde would also take an array of the fields in order; the wire has no such form.
pub(super) fn object<'a, T: Deserialize<'a>>(
    json: &'a str,
    message: &'static str,
) -> Result<T, DecodeErrorKind> {
    let bad = |detail| DecodeErrorKind::BadFields { message, detail };
    if !json.starts_with('{') {
        return Err(bad("must be an object".to_owned()));
    }
    serde_json::from_str(json).map_err(|error| bad(echo(&error.to_string())))
}

#[derive(Deserialize)]
struct Tag<'a> {
    #[serde(rename = "type", borrow)]
    name: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Hello {
    version: String,
    #[serde(deserialize_with = "few")]
    features: Vec<String>,
}

#[derive(Deserialize)]
struct SessionDeny {
    reason: DenyReason,
    message: String,
    retry_after_sec: Option<u64>,
}

#[derive(Deserialize)]
struct SessionClose {
    test_id: Uuid,
}

#[derive(Deserialize)]
struct PairRequest {
    token: String,
}

#[derive(Deserialize)]
struct PairResponse {
    success: bool,
    message: String,
    endpoint_id: Option<EndpointId>,
}

#[derive(Deserialize)]
struct ErrorMessage {
    code: u32,
    message: String,
}

/// A list of at most [`MAX_FEATURES`].
fn few<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    deserializer.deserialize_seq(Few)
}

struct Few;

impl<'de> Visitor<'de> for Few {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MAX_FEATURES}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<String>, A::Error> {
        let mut out = Vec::new();
        while let Some(item) = seq.next_element()? {
            if out.len() == MAX_FEATURES {
                return Err(A::Error::invalid_length(MAX_FEATURES + 1, &self));
            }
            out.push(item);
        }
        Ok(out)
    }
}
