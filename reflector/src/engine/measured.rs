//! What an engine saw while it ran, beyond the bytes the meter counted: goes into audit, metrics, status and the peer's
//! `session_result`. Grows with the engines; nothing here decides anything.

use serde::{Deserialize, Serialize};

use super::evidence::Evidence;
use super::evidence::limit::Limit;

/// The engine's own numbers of one session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// One entry per data stream.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub streams: Vec<StreamMeasured>,
    /// Echo datagrams that got no answer, by cause; causes that never happened are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub echo_dropped: Vec<(String, u64)>,
    /// What streams and host were seen to do: `tcp_info`, `cpu` and more.
    #[serde(flatten)]
    pub evidence: Evidence,
    /// What kept the run from being faster, as far as this side can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
}

impl Measured {
    /// Payload bytes of the streams that this side sent, and of those it received.
    pub fn by_direction(&self) -> (u64, u64) {
        let sum = |sender: bool| {
            let streams = self.streams.iter().filter(|stream| stream.sender == sender);
            streams.fold(0_u64, |sum, stream| sum.saturating_add(stream.bytes))
        };
        (sum(true), sum(false))
    }
}

/// One data stream, counted on this side.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StreamMeasured {
    /// As iperf3 numbers it: 1, 3, 4, 5 …
    pub id: u32,
    /// We sent it.
    pub sender: bool,
    /// Payload bytes.
    pub bytes: u64,
    /// Segments sent again; absent when we did not send or the kernel did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retransmits: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E13: the names of `session_result`, which peers read.
    #[test]
    fn evidence_is_told_under_its_own_names_and_survives_json() {
        let measured = Measured {
            evidence: Evidence {
                cpu: Some(crate::engine::evidence::cpu::CpuUse::default()),
                ..Evidence::default()
            },
            limit: None,
            ..Measured::default()
        };
        let text = serde_json::to_string(&measured).unwrap();
        assert_eq!(text, r#"{"cpu":{}}"#);
        assert_eq!(serde_json::from_str::<Measured>(&text).unwrap(), measured);
    }
}
