//! What a phase of echo found, as it is written to results.

use serde::{Deserialize, Serialize};

use super::OneWay;
use crate::engine::echo::histogram::Summary;

/// One round trip of a plot.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When its request was sent, from the start of the phase.
    pub at_ms: f64,
    /// How long it took.
    pub rtt_us: f64,
}

/// What one phase found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Requests sent.
    pub sent: u64,
    /// Round trips; absent when there was none.
    #[serde(flatten)]
    pub rtt: Option<Summary>,
    /// Requests that never reached the server. Absent without keys: then nobody can tell the direction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_up: Option<u64>,
    /// Replies that never reached us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_down: Option<u64>,
    /// Lost in a direction that nobody can tell.
    pub lost_unknown: u64,
    /// Replies that came again.
    pub duplicate: u64,
    /// Replies that came behind a later one.
    pub reordered: u64,
    /// Of those lost, replies that came after two seconds.
    pub late: u64,
    /// Which clock of the server said when a request arrived: the least exact one that did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_stamp: Option<String>,
    /// Which clock of ours said when a reply arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_stamp: Option<String>,
    /// Delays of each direction by two clocks, which differ. Absent without keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_way: Option<OneWay>,
    /// For a plot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<Sample>,
}

impl Report {
    /// All that was lost.
    pub fn lost(&self) -> u64 {
        self.lost_up.unwrap_or(0) + self.lost_down.unwrap_or(0) + self.lost_unknown
    }

    /// Takes back what the server dropped because of its own limit (`echo_dropped` of its result): no loss of the path.
    pub fn excuse(&mut self, dropped_by_limit: u64) {
        if let Some(up) = &mut self.lost_up {
            *up = up.saturating_sub(dropped_by_limit);
        }
    }
}
