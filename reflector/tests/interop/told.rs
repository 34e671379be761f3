//! What an iperf3 client told in its JSON, read into numbers.
//!
//! In: standard output of `iperf3 -J`. Out: bytes of each direction by sender and receiver, or why it is no result.
//! Numbers come from `end.streams`, as 3.9 writes the same key twice into the sums of a bidirectional test.

use serde_json::Value;

/// One direction, as the client knows it: its own count, and the server's from the exchange of results.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Flow {
    pub(crate) streams: usize,
    pub(crate) sent: u64,
    pub(crate) received: u64,
    /// UDP only.
    pub(crate) packets: u64,
    /// UDP only.
    pub(crate) lost: u64,
    /// UDP only: the largest of the streams.
    pub(crate) jitter_ms: f64,
}

/// A complete result.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    /// The client sends.
    pub(crate) up: Flow,
    /// The server sends.
    pub(crate) down: Flow,
    /// Seconds, by the client's clock, without what was omitted.
    pub(crate) seconds: f64,
    /// The server's output, when it was asked for.
    pub(crate) server_output: Option<String>,
    /// For what a test asks beyond bytes.
    pub(crate) json: Value,
}

/// Reads a result. 3.11 to 3.13 exit 0 on an error and 3.9 writes no `error`, so a result is only one that has no
/// error *and* what the receiver counted.
pub(crate) fn read(stdout: &str) -> Result<Told, String> {
    let json: Value = serde_json::from_str(stdout.trim()).map_err(|error| format!("no JSON: {error}"))?;
    if let Some(error) = json.get("error") {
        return Err(format!("iperf3 says {error}"));
    }
    let end = &json["end"];
    let streams = end["streams"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_udp = streams.iter().any(|stream| stream.get("udp").is_some());
    // To 3.10 the sum of a UDP test is called `sum` alone.
    let complete = end.get("sum_received").is_some() || (is_udp && end.get("sum").is_some());
    if !complete || streams.is_empty() {
        return Err("no end.sum_received: the results were not exchanged".to_owned());
    }
    let length = json["start"]["test_start"]["blksize"].as_u64().unwrap_or_default();
    let (mut up, mut down) = (Flow::default(), Flow::default());
    for stream in streams {
        let (sends, flow) = if is_udp { udp(&stream["udp"], length) } else { tcp(stream) }
            .ok_or("a stream without numbers")?;
        let sum = if sends { &mut up } else { &mut down };
        sum.add(&flow);
    }
    let first = &streams[0];
    let seconds = ["receiver", "sender", "udp"].iter().find_map(|side| first[side]["seconds"].as_f64());
    let server_output = json.get("server_output_text").and_then(Value::as_str).map(str::to_owned);
    let seconds = seconds.ok_or("no seconds")?;
    Ok(Told { up, down, seconds, server_output, json })
}

fn tcp(stream: &Value) -> Option<(bool, Flow)> {
    let bytes = |side: &str| stream[side]["bytes"].as_u64();
    let flow = Flow { streams: 1, sent: bytes("sender")?, received: bytes("receiver")?, ..Flow::default() };
    Some((stream["sender"]["sender"].as_bool()?, flow))
}

/// `bytes` are the sender's, whoever that is; what arrived is known in packets.
fn udp(stream: &Value, length: u64) -> Option<(bool, Flow)> {
    let (packets, lost) = (stream["packets"].as_u64()?, stream["lost_packets"].as_u64()?);
    let flow = Flow {
        streams: 1,
        sent: stream["bytes"].as_u64()?,
        received: packets.checked_sub(lost)? * length,
        packets,
        lost,
        jitter_ms: stream["jitter_ms"].as_f64()?,
    };
    Some((stream["sender"].as_bool()?, flow))
}

impl Flow {
    fn add(&mut self, other: &Self) {
        self.streams += other.streams;
        self.sent += other.sent;
        self.received += other.received;
        self.packets += other.packets;
        self.lost += other.lost;
        self.jitter_ms = self.jitter_ms.max(other.jitter_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn stream(client_sends: bool, sent: u64, received: u64) -> Value {
        json!({
            "sender": {"bytes": sent, "seconds": 1.5, "sender": client_sends},
            "receiver": {"bytes": received, "seconds": 1.25, "sender": client_sends},
        })
    }

    #[test]
    fn an_error_or_half_an_exchange_is_no_result() {
        let streams = json!([stream(true, 10, 9)]);
        let whole = json!({"end": {"streams": streams, "sum_received": {}}});
        assert_eq!(read(&whole.to_string()).unwrap().up.received, 9);
        let error = json!({"end": {"streams": streams, "sum_received": {}}, "error": "busy"});
        assert_eq!(read(&error.to_string()), Err("iperf3 says \"busy\"".into()));
        let half = json!({"end": {"streams": streams, "sum_sent": {}}});
        assert!(read(&half.to_string()).unwrap_err().contains("sum_received"));
        assert!(read("iperf3: error").unwrap_err().starts_with("no JSON"));
    }

    #[test]
    fn directions_are_told_apart_and_streams_summed() {
        let streams = json!([stream(true, 10, 9), stream(true, 20, 18), stream(false, 7, 5)]);
        let told = read(&json!({"end": {"streams": streams, "sum_received": {}}}).to_string()).unwrap();
        assert_eq!((told.up.streams, told.up.sent, told.up.received), (2, 30, 27));
        assert_eq!((told.down.streams, told.down.sent, told.down.received), (1, 7, 5));
    }

    #[test]
    fn what_arrived_of_a_udp_stream_is_packets_less_lost() {
        let udp = json!({"udp": {"bytes": 500, "seconds": 1, "packets": 5, "lost_packets": 2, "jitter_ms": 0.5,
            "sender": false}});
        let old = json!({"start": {"test_start": {"blksize": 100}}, "end": {"streams": [udp], "sum": {}}});
        let told = read(&old.to_string()).unwrap();
        assert_eq!((told.down.sent, told.down.received, told.down.lost), (500, 300, 2));
    }
}
