//! `session_request`, value by value.
//!
//! A value that can never become valid is denied with `invalid_params` and the limit by name; only a request that
//! lacks a mandatory field altogether is a bad frame. What the limits of a peer's policy say comes later, at admission.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::{DecodeErrorKind, echo, messages};
use crate::link::message::{SessionParams, TestType};

const TYPE: &str = "session_request";

// As raw text: serde_json's numbers would turn 1e400 into a syntax error and 30.0 into a float without its spelling.
#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    test_type: &'a RawValue,
    #[serde(borrow)]
    params: &'a RawValue,
}

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow)]
    duration_sec: &'a RawValue,
    #[serde(borrow)]
    protocol: Option<&'a RawValue>,
    #[serde(borrow)]
    streams: Option<&'a RawValue>,
    #[serde(borrow)]
    reverse: Option<&'a RawValue>,
    #[serde(borrow)]
    mode: Option<&'a RawValue>,
}

/// Reads `test_type` and `params` from the payload's JSON.
pub(super) fn read(json: &str) -> Result<(TestType, SessionParams), DecodeErrorKind> {
    let request: Request<'_> = messages::object(json, TYPE)?;
    let params: Params<'_> = messages::object(request.params.get(), TYPE)?;
    let test_type = one_of("test_type", request.test_type, "\"throughput\" or \"udp_echo\"")?;
    let duration_sec = whole(params.duration_sec).ok_or_else(|| {
        bad(
            "params.duration_sec",
            "a whole number of seconds from 1 to 18446744073709551615",
            params.duration_sec,
        )
    })?;
    let protocol =
        params.protocol.map(|p| one_of("params.protocol", p, "\"tcp\", \"udp\" or null")).transpose()?;
    let streams = params
        .streams
        .map(|s| {
            let count = whole(s).and_then(|n| u32::try_from(n).ok());
            count.ok_or_else(|| bad("params.streams", "a whole number from 1 to 4294967295 or null", s))
        })
        .transpose()?;
    let reverse = match params.reverse.map(|r| (r, r.get())) {
        None => None,
        Some((_, "true")) => Some(true),
        Some((_, "false")) => Some(false),
        Some((other, _)) => return Err(bad("params.reverse", "true, false or null", other)),
    };
    let mode = params
        .mode
        .map(|m| one_of("params.mode", m, "\"tunneled\", \"direct_ephemeral\" or null"))
        .transpose()?;
    Ok((test_type, SessionParams { duration_sec, protocol, streams, reverse, mode }))
}

/// `-5`, `1.5`, `3e1`, `"30"` and everything above `u64` are refused.
fn whole(raw: &RawValue) -> Option<u64> {
    raw.get().parse().ok()
}

/// A string that names a value. Serde would also take `{"tcp": null}`.
fn one_of<T: DeserializeOwned>(
    field: &'static str,
    raw: &RawValue,
    allowed: &'static str,
) -> Result<T, DecodeErrorKind> {
    let text = raw.get();
    let named = text.starts_with('"').then(|| serde_json::from_str(text).ok()).flatten();
    named.ok_or_else(|| bad(field, allowed, raw))
}

fn bad(field: &'static str, allowed: &'static str, raw: &RawValue) -> DecodeErrorKind {
    DecodeErrorKind::BadRequest { field, allowed, given: echo(raw.get()) }
}
