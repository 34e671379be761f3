//! What an appliance writes, byte for byte as it was captured.
//!
//! In: the values. Out: JSON values whose key order is wire order (`serde_json` keeps insertion order here; the test of the
//! captured frames turns red if that feature ever goes).

use serde_json::{Value, json};

/// What to ask for in a `session_request`. `None` is written as `null`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    /// `throughput` or `udp_echo`; anything else is for abuse tests.
    pub test_type: String,
    /// How long, in seconds.
    pub duration_sec: u64,
    /// `tcp` or `udp`.
    pub protocol: Option<String>,
    /// Parallel streams.
    pub streams: Option<u32>,
    /// `true`: the server sends.
    pub reverse: Option<bool>,
}

impl Test {
    /// An upload as appliances ask for it: TCP, 4 streams.
    pub fn throughput(duration_sec: u64) -> Self {
        Self {
            test_type: "throughput".into(),
            duration_sec,
            protocol: Some("tcp".into()),
            streams: Some(4),
            reverse: Some(false),
        }
    }

    /// A UDP echo test: a duration and nothing else.
    pub fn echo(duration_sec: u64) -> Self {
        Self { test_type: "udp_echo".into(), duration_sec, protocol: None, streams: None, reverse: None }
    }

    /// The other direction: the server sends.
    #[must_use]
    pub fn download(mut self) -> Self {
        self.reverse = Some(true);
        self
    }

    /// Another number of streams.
    #[must_use]
    pub fn streams(mut self, streams: u32) -> Self {
        self.streams = Some(streams);
        self
    }

    /// Another protocol.
    #[must_use]
    pub fn protocol(mut self, protocol: &str) -> Self {
        self.protocol = Some(protocol.into());
        self
    }

    pub(crate) fn params(&self) -> Value {
        json!({
            "duration_sec": self.duration_sec,
            "protocol": self.protocol,
            "streams": self.streams,
            "reverse": self.reverse,
        })
    }
}

/// A payload with its request id, as the bytes that go into one frame.
pub fn envelope(request_id: &str, payload: &Value) -> Vec<u8> {
    json!({ "request_id": request_id, "payload": payload }).to_string().into_bytes()
}

pub(crate) fn hello(features: &[&str]) -> Value {
    json!({ "type": "hello", "version": "1.0", "features": features })
}

pub(crate) fn session_request(test_type: &str, params: &Value) -> Value {
    json!({ "type": "session_request", "test_type": test_type, "params": params })
}

pub(crate) fn session_close(test_id: &str) -> Value {
    json!({ "type": "session_close", "test_id": test_id })
}

pub(crate) fn pair_request(code: &str) -> Value {
    json!({ "type": "pair_request", "token": code })
}

/// A request that is nothing but its type.
pub(crate) fn bare(kind: &str) -> Value {
    json!({ "type": kind })
}

#[cfg(test)]
mod tests {
    use super::super::frame;
    use super::*;

    fn captured(length: &str, payload: &str) -> Vec<u8> {
        let length = u32::from_str_radix(length, 16).unwrap();
        [length.to_be_bytes().as_slice(), payload.as_bytes()].concat()
    }

    #[test]
    fn the_captured_hello_is_reproduced() {
        let written = frame::encode(&envelope("init-0", &hello(&["throughput", "udp_echo"])));
        let expected = captured(
            "00000067",
            r#"{"request_id":"init-0","payload":{"type":"hello","version":"1.0","features":["throughput","udp_echo"]}}"#,
        );
        assert_eq!(written, expected);
    }

    #[test]
    fn the_captured_session_request_is_reproduced() {
        let test = Test::throughput(30);
        let written = frame::encode(&envelope("req-1", &session_request(&test.test_type, &test.params())));
        let expected = captured(
            "0000009e",
            r#"{"request_id":"req-1","payload":{"type":"session_request","test_type":"throughput","params":{"duration_sec":30,"protocol":"tcp","streams":4,"reverse":false}}}"#,
        );
        assert_eq!(written, expected);
    }

    #[test]
    fn the_captured_pair_request_is_reproduced() {
        let written = frame::encode(&envelope("req-1", &pair_request("abCD2345")));
        let expected = captured(
            "0000004b",
            r#"{"request_id":"req-1","payload":{"type":"pair_request","token":"abCD2345"}}"#,
        );
        assert_eq!(written, expected);
    }

    #[test]
    fn an_echo_request_leaves_the_rest_null() {
        assert_eq!(
            Test::echo(5).params().to_string(),
            r#"{"duration_sec":5,"protocol":null,"streams":null,"reverse":null}"#
        );
    }
}
