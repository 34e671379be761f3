//! The parameters of a test, as the client sends them.
//!
//! Read leniently: nothing is required, unknown keys and wrong types are as if they were not there. Numbers are not:
//! one that stock iperf3 could not have sent has the code iperf3 has for it.

use serde_json::{Map, Value};

use super::code::Code;
use super::json;

/// Longest parameters, as from 3.18 (test `parameters_have_a_limit`).
pub const MAX_BYTES: usize = 8192;

/// What is kept of a title or extra data: they only go into the result.
pub const MAX_TEXT: usize = 256;

/// Names of congestion controls; the kernel takes 15 characters.
const MAX_NAME: usize = 15;

/// Our own key: the client throws away what it receives, so the source may be the kind that is cheap to discard only.
const DISCARDS: &str = "pp_discards";

/// TCP block of every version.
const TCP_LENGTH: u32 = 131_072;

/// UDP block when none is named: what fits an Ethernet frame. Stock clients always name one.
const UDP_LENGTH: u32 = 1448;

/// Largest count that every version can write: they print doubles.
const MAX_COUNT: u64 = 1 << 53;

/// How a stream is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP, which we do not serve.
    Sctp,
}

/// What a client asks for. Every number is inside stock iperf3's range.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the wire")]
pub struct Parameters {
    /// What carries the streams.
    pub transport: Transport,
    /// Seconds, without `omit`; 0: until bytes or blocks are used up, or for ever.
    pub time: u32,
    /// Seconds at the start that do not count.
    pub omit: u32,
    /// Bytes in all streams together; 0: no such end.
    pub bytes: u64,
    /// Blocks in all streams together; 0: no such end.
    pub blocks: u64,
    /// Streams per direction.
    pub parallel: u32,
    /// The server sends.
    pub reverse: bool,
    /// Both send, on streams of their own.
    pub bidirectional: bool,
    /// Block size.
    pub length: u32,
    /// Bits a second and stream; 0: unlimited.
    pub bandwidth: u64,
    /// The same for the kernel's pacing; 0: none.
    pub fair_queue_rate: u64,
    /// Blocks sent at once when paced; 0: as many as fit.
    pub burst: u32,
    /// Microseconds between paced sends.
    pub pacing_timer: u32,
    /// Socket buffer; 0: the kernel's.
    pub window: u32,
    /// Segment size; 0: the kernel's.
    pub mss: u32,
    /// Type of service byte.
    pub tos: u8,
    /// No Nagle.
    pub no_delay: bool,
    /// Congestion control by name.
    pub congestion: Option<String>,
    /// The sender uses sendfile.
    pub zerocopy: bool,
    /// 64-bit sequence numbers.
    pub wide_counters: bool,
    /// Payload may repeat.
    pub repeating_payload: bool,
    /// UDP with the don't-fragment bit.
    pub dont_fragment: bool,
    /// The client wants text from the server with the results.
    pub wants_server_output: bool,
    /// For the result.
    pub title: Option<String>,
    /// For the result.
    pub extra_data: Option<String>,
    /// Version the client says it is.
    pub client_version: Option<String>,
    /// Ours: the client discards what it receives without copying it.
    pub discards: bool,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            transport: Transport::Tcp,
            time: 10,
            omit: 0,
            bytes: 0,
            blocks: 0,
            parallel: 1,
            reverse: false,
            bidirectional: false,
            length: TCP_LENGTH,
            bandwidth: 0,
            fair_queue_rate: 0,
            burst: 0,
            pacing_timer: 1000,
            window: 0,
            mss: 0,
            tos: 0,
            no_delay: false,
            congestion: None,
            zerocopy: false,
            wide_counters: false,
            repeating_payload: false,
            dont_fragment: false,
            wants_server_output: false,
            title: None,
            extra_data: None,
            client_version: None,
            discards: false,
        }
    }
}

/// Why parameters are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParametersError {
    /// No JSON object, too long or too deep.
    #[error("read the parameters of a test")]
    Unreadable,
    /// A number stock iperf3 cannot send.
    #[error("`{key}` of the parameters is out of range")]
    OutOfRange {
        /// The key.
        key: &'static str,
        /// iperf3's code for it.
        code: Code,
    },
}

impl ParametersError {
    /// What the client is told.
    pub const fn code(self) -> Code {
        match self {
            Self::Unreadable => Code::Parameters,
            Self::OutOfRange { code, .. } => code,
        }
    }
}

impl Parameters {
    /// Reads what a client sent.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParametersError> {
        if bytes.len() > MAX_BYTES {
            return Err(ParametersError::Unreadable);
        }
        let object = json::object(bytes).ok_or(ParametersError::Unreadable)?;
        let keys = Keys(&object);
        // The order of stock servers: the last flag wins.
        let transport = if json::is_true(&object, "sctp") {
            Transport::Sctp
        } else if json::is_true(&object, "udp") {
            Transport::Udp
        } else {
            Transport::Tcp
        };
        let default = Self::default();
        Ok(Self {
            transport,
            time: keys.small("time", 86_400, Code::Time)?.unwrap_or(default.time),
            omit: keys.small("omit", 600, Code::Omit)?.unwrap_or(0),
            bytes: keys.large("num", MAX_COUNT, Code::Parameters)?.unwrap_or(0),
            blocks: keys.large("blockcount", MAX_COUNT, Code::Parameters)?.unwrap_or(0),
            parallel: keys.parallel()?.unwrap_or(default.parallel),
            reverse: json::is_true(&object, "reverse"),
            bidirectional: json::is_true(&object, "bidirectional"),
            length: keys.length(transport)?,
            bandwidth: keys.large("bandwidth", MAX_COUNT, Code::Rate)?.unwrap_or(0),
            fair_queue_rate: keys.large("fqrate", MAX_COUNT, Code::Rate)?.unwrap_or(0),
            burst: keys.small("burst", 1000, Code::Burst)?.unwrap_or(0),
            pacing_timer: keys
                .small("pacing_timer", 1_000_000, Code::Parameters)?
                .unwrap_or(default.pacing_timer),
            window: keys.small("window", 512 << 20, Code::Window)?.unwrap_or(0),
            mss: keys.small("MSS", 32_767, Code::Mss)?.unwrap_or(0),
            tos: u8::try_from(keys.small("TOS", 255, Code::Tos)?.unwrap_or(0)).unwrap_or(0),
            no_delay: json::is_true(&object, "nodelay"),
            congestion: json::text(&object, "congestion", MAX_NAME),
            zerocopy: json::is_set(&object, "zerocopy"),
            wide_counters: json::is_set(&object, "udp_counters_64bit"),
            repeating_payload: json::is_set(&object, "repeating_payload"),
            dont_fragment: json::is_set(&object, "dont_fragment"),
            wants_server_output: json::is_set(&object, "get_server_output"),
            title: json::text(&object, "title", MAX_TEXT),
            extra_data: json::text(&object, "extra_data", MAX_TEXT),
            client_version: json::text(&object, "client_version", MAX_TEXT),
            discards: json::is_true(&object, DISCARDS),
        })
    }

    /// What the client role sends. Ends and flags that are off are left out, as before 3.12.
    pub fn to_json(&self) -> Vec<u8> {
        let mut object = Map::new();
        let transport = match self.transport {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
            Transport::Sctp => "sctp",
        };
        let numbers = [
            ("omit", u64::from(self.omit)),
            ("time", u64::from(self.time)),
            ("num", self.bytes),
            ("blockcount", self.blocks),
            ("parallel", u64::from(self.parallel)),
            ("len", u64::from(self.length)),
            ("bandwidth", self.bandwidth),
            ("fqrate", self.fair_queue_rate),
            ("burst", u64::from(self.burst)),
            ("pacing_timer", u64::from(self.pacing_timer)),
            ("window", u64::from(self.window)),
            ("MSS", u64::from(self.mss)),
            ("TOS", u64::from(self.tos)),
            ("zerocopy", u64::from(self.zerocopy)),
            ("udp_counters_64bit", u64::from(self.wide_counters)),
            ("repeating_payload", u64::from(self.repeating_payload)),
            ("dont_fragment", u64::from(self.dont_fragment)),
            ("get_server_output", u64::from(self.wants_server_output)),
        ];
        let flags = [
            (transport, true),
            ("reverse", self.reverse),
            ("bidirectional", self.bidirectional),
            ("nodelay", self.no_delay),
            (DISCARDS, self.discards),
        ];
        let texts = [
            ("congestion", &self.congestion),
            ("title", &self.title),
            ("extra_data", &self.extra_data),
            ("client_version", &self.client_version),
        ];
        for (key, _) in flags.into_iter().filter(|(_, on)| *on) {
            object.insert(key.to_owned(), Value::Bool(true));
        }
        for (key, number) in numbers {
            // 0 is the default of every key but these.
            if number > 0 || matches!(key, "time" | "omit" | "pacing_timer") {
                object.insert(key.to_owned(), number.into());
            }
        }
        for (key, text) in texts {
            if let Some(text) = text {
                object.insert(key.to_owned(), text.as_str().into());
            }
        }
        Value::Object(object).to_string().into_bytes()
    }

    /// Streams in all.
    pub const fn streams(&self) -> u32 {
        if self.bidirectional { self.parallel.saturating_mul(2) } else { self.parallel }
    }
}

/// Numbers of a JSON object, with the code of each.
struct Keys<'a>(&'a Map<String, Value>);

impl Keys<'_> {
    fn large(&self, key: &'static str, most: u64, code: Code) -> Result<Option<u64>, ParametersError> {
        let Some(number) = json::number(self.0, key) else { return Ok(None) };
        json::whole(number, most).map(Some).ok_or(ParametersError::OutOfRange { key, code })
    }

    fn small(&self, key: &'static str, most: u32, code: Code) -> Result<Option<u32>, ParametersError> {
        let number = self.large(key, u64::from(most), code)?;
        Ok(number.and_then(|number| u32::try_from(number).ok()))
    }

    fn parallel(&self) -> Result<Option<u32>, ParametersError> {
        match self.small("parallel", 128, Code::Streams)? {
            Some(0) => Err(ParametersError::OutOfRange { key: "parallel", code: Code::Streams }),
            other => Ok(other),
        }
    }

    /// 0 is what a client sends that leaves the choice to us.
    fn length(&self, transport: Transport) -> Result<u32, ParametersError> {
        let key = "len";
        if transport == Transport::Udp {
            return match self.small(key, 65_507, Code::UdpLength)?.unwrap_or(0) {
                0 => Ok(UDP_LENGTH),
                1..16 => Err(ParametersError::OutOfRange { key, code: Code::UdpLength }),
                length => Ok(length),
            };
        }
        Ok(self.small(key, 1 << 20, Code::Length)?.filter(|length| *length > 0).unwrap_or(TCP_LENGTH))
    }
}

#[cfg(test)]
mod tests;
