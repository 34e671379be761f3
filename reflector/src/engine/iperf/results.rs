//! The results each side sends to the other at the end, server's and client's alike.

use serde_json::{Map, Value};

use super::code::Code;
use super::json;

/// Longest results: 256 streams of a few hundred bytes (test `results_have_a_limit`).
pub const MAX_BYTES: usize = 64 * 1024;

/// Streams a result can be about: 128 in each direction.
const MAX_STREAMS: usize = 256;

/// What is kept of texts.
const MAX_TEXT: usize = 256;

/// Whether the numbers of retransmits of a side mean anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Retransmits {
    /// This side only received.
    #[default]
    OnlyReceiving,
    /// This side sent, and does not know.
    Unknown,
    /// This side sent, and knows.
    Known,
}

/// One side's numbers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Results {
    /// CPU of the process, percent of one core.
    pub cpu_total: f64,
    /// Its part in user space.
    pub cpu_user: f64,
    /// Its part in the kernel.
    pub cpu_system: f64,
    /// What `retransmits` of the streams is worth.
    pub retransmits: Retransmits,
    /// Congestion control that was used, by a side that sent TCP.
    pub congestion_used: Option<String>,
    /// Text for a client that asked for it.
    pub server_output: Option<String>,
    /// In the order they were opened.
    pub streams: Vec<StreamResult>,
}

/// One stream, as one side saw it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StreamResult {
    /// 1, 3, 4, 5 …
    pub id: u32,
    /// Payload after the omitted time.
    pub bytes: u64,
    /// Segments sent again; `None`: not known.
    pub retransmits: Option<u64>,
    /// UDP receiver: seconds.
    pub jitter: f64,
    /// UDP receiver: lost, from the first packet on.
    pub errors: u64,
    /// UDP: highest sequence number; TCP: 0.
    pub packets: u64,
    /// UDP with omitted time: errors and packets in it.
    pub omitted: Option<(u64, u64)>,
    /// Seconds after the omitted time. The peer computes our rate with it.
    pub end_time: f64,
}

/// Results that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("read the results of a test")]
pub struct ResultsError;

impl ResultsError {
    /// What the peer is told.
    pub const fn code(self) -> Code {
        Code::Results
    }
}

impl Results {
    /// Reads the other side's. A required number that is missing makes them unreadable, as in stock iperf3.
    pub fn parse(bytes: &[u8]) -> Result<Self, ResultsError> {
        if bytes.len() > MAX_BYTES {
            return Err(ResultsError);
        }
        let object = json::object(bytes).ok_or(ResultsError)?;
        let listed = object.get("streams").and_then(Value::as_array).ok_or(ResultsError)?;
        if listed.len() > MAX_STREAMS {
            return Err(ResultsError);
        }
        let streams = listed.iter().map(stream).collect::<Result<_, _>>()?;
        let known = required(&object, "sender_has_retransmits")?;
        Ok(Self {
            cpu_total: required(&object, "cpu_util_total")?,
            cpu_user: required(&object, "cpu_util_user")?,
            cpu_system: required(&object, "cpu_util_system")?,
            retransmits: if known < 0.0 {
                Retransmits::OnlyReceiving
            } else if known > 0.0 {
                Retransmits::Known
            } else {
                Retransmits::Unknown
            },
            congestion_used: json::text(&object, "congestion_used", MAX_TEXT),
            server_output: json::text(&object, "server_output_text", MAX_BYTES),
            streams,
        })
    }

    /// What is sent.
    pub fn to_json(&self) -> Vec<u8> {
        let mut object = Map::new();
        let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
        put("cpu_util_total", finite(self.cpu_total));
        put("cpu_util_user", finite(self.cpu_user));
        put("cpu_util_system", finite(self.cpu_system));
        let known = match self.retransmits {
            Retransmits::OnlyReceiving => -1,
            Retransmits::Unknown => 0,
            Retransmits::Known => 1,
        };
        put("sender_has_retransmits", known.into());
        if let Some(name) = &self.congestion_used {
            put("congestion_used", name.as_str().into());
        }
        if let Some(text) = &self.server_output {
            put("server_output_text", text.as_str().into());
        }
        put("streams", self.streams.iter().map(StreamResult::to_value).collect());
        Value::Object(object).to_string().into_bytes()
    }
}

impl StreamResult {
    fn to_value(&self) -> Value {
        let mut object = Map::new();
        let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
        put("id", self.id.into());
        put("bytes", self.bytes.into());
        put("retransmits", self.retransmits.map_or_else(|| (-1).into(), Value::from));
        put("jitter", finite(self.jitter));
        put("errors", self.errors.into());
        // Both or neither: with one of them newer versions call the results broken.
        if let Some((errors, packets)) = self.omitted {
            put("omitted_errors", errors.into());
            put("omitted_packets", packets.into());
        }
        put("packets", self.packets.into());
        put("start_time", 0.into());
        put("end_time", finite(self.end_time));
        Value::Object(object)
    }
}

fn stream(value: &Value) -> Result<StreamResult, ResultsError> {
    let object = value.as_object().ok_or(ResultsError)?;
    let count = |key| required(object, key).and_then(|number| json::clamped(number).ok_or(ResultsError));
    let id = json::whole(required(object, "id")?, u64::from(u32::MAX)).ok_or(ResultsError)?;
    let retransmits = required(object, "retransmits")?;
    let omitted = match (json::number(object, "omitted_errors"), json::number(object, "omitted_packets")) {
        (Some(errors), Some(packets)) => json::clamped(errors).zip(json::clamped(packets)),
        _ => None,
    };
    Ok(StreamResult {
        id: u32::try_from(id).map_err(|_| ResultsError)?,
        bytes: count("bytes")?,
        retransmits: if retransmits < 0.0 { None } else { json::clamped(retransmits) },
        jitter: required(object, "jitter")?.max(0.0),
        errors: count("errors")?,
        packets: count("packets")?,
        omitted,
        end_time: json::number(object, "end_time").unwrap_or(0.0).max(0.0),
    })
}

fn required(object: &Map<String, Value>, key: &str) -> Result<f64, ResultsError> {
    match object.get(key) {
        // A C program that divided by zero wrote NaN, which its JSON library turned into this.
        Some(Value::Null) => Ok(0.0),
        _ => json::number(object, key).ok_or(ResultsError),
    }
}

/// JSON has no NaN, and stock clients refuse null where a number is to be.
fn finite(number: f64) -> Value {
    if number.is_finite() { number.into() } else { 0.into() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// From a client of 3.12 that only received.
    const STOCK: &str = r#"{"cpu_util_total":1.5,"cpu_util_user":0.5,"cpu_util_system":1,"sender_has_retransmits":18446744073709551615,
        "streams":[{"id":1,"bytes":1000,"retransmits":18446744073709551615,"jitter":0,"errors":0,"packets":0,"start_time":0,"end_time":3.0007,"new":[1]},
        {"id":3,"bytes":2000,"retransmits":-1,"jitter":null,"errors":0,"packets":0}]}"#;

    #[test]
    fn results_of_a_stock_client_are_read() {
        let results = Results::parse(STOCK.as_bytes()).unwrap();
        assert_eq!(results.retransmits, Retransmits::OnlyReceiving);
        let ids: Vec<_> = results.streams.iter().map(|s| (s.id, s.bytes, s.retransmits)).collect();
        assert_eq!(ids, [(1, 1000, None), (3, 2000, None)]);
        assert!((results.streams[0].end_time - 3.0007).abs() < 1e-9);
    }

    #[test]
    fn each_required_number_is_required() {
        for key in [
            "cpu_util_total",
            "sender_has_retransmits",
            "\"streams",
            "\"id",
            "\"bytes",
            "retransmits\":-1",
            "jitter\":null",
            "errors",
            "packets",
        ] {
            let broken = STOCK.replacen(key, &format!("{}x", key.get(..2).unwrap()), 1);
            assert_ne!(broken, STOCK);
            assert_eq!(Results::parse(broken.as_bytes()), Err(ResultsError), "{key}");
        }
    }

    #[test]
    fn results_have_a_limit() {
        let long = format!(r#"{{"x":"{}"}}"#, "a".repeat(MAX_BYTES));
        assert_eq!(Results::parse(long.as_bytes()).unwrap_err().code(), Code::Results);
        let crowd = Results { streams: vec![StreamResult::default(); MAX_STREAMS + 1], ..Results::default() };
        let crowd = String::from_utf8(crowd.to_json()).unwrap().replace("\"start_time\":0,", "");
        assert!(crowd.len() < MAX_BYTES);
        assert!(Results::parse(crowd.as_bytes()).is_err());
    }

    prop_compose! {
        fn stream()(
            id in any::<u32>(), bytes in 0..=1_u64 << 53, retransmits in proptest::option::of(0..1_u64 << 40),
            loss in (0..1_u64 << 40, 0..1_u64 << 40), omitted in proptest::option::of((0..1_u64 << 40, 0..1_u64 << 40)),
            jitter in 0_u32..1000, end in 0_u32..1000,
        ) -> StreamResult {
            StreamResult {
                id, bytes, retransmits, omitted, errors: loss.0, packets: loss.1,
                jitter: f64::from(jitter) / 8.0, end_time: f64::from(end) / 8.0,
            }
        }
    }

    proptest! {
        #[test]
        fn what_one_side_writes_the_other_reads(
            streams in proptest::collection::vec(stream(), 0..10),
            text in proptest::option::of("[a-z\"]{0,40}"),
        ) {
            let results = Results {
                cpu_total: 1.5, cpu_user: 0.5, cpu_system: 1.0, retransmits: Retransmits::Known,
                congestion_used: text.clone(), server_output: text, streams,
            };
            prop_assert_eq!(Results::parse(&results.to_json()), Ok(results));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Results::parse(&bytes);
        }
    }
}
