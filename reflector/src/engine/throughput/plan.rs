//! What one accepted test is going to do (pure).

use std::time::Duration;

use crate::engine::iperf::{Parameters, Transport};

/// Who sends on a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// The client does.
    Receive,
    /// We do.
    Send,
}

/// How a test comes to its end, counted from the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The client ends it; if it has not by then, we do.
    ByClient { within: Duration },
    /// It asked for more than was granted: we end it, and it reads a shorter valid test.
    Freeze { after: Duration },
}

impl End {
    /// When we act.
    pub(super) fn at(self) -> Duration {
        match self {
            Self::ByClient { within } => within,
            Self::Freeze { after } => after,
        }
    }
}

/// A number that was asked for and not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clamp {
    pub(super) key: &'static str,
    pub(super) asked: u64,
    pub(super) granted: u64,
}

impl std::fmt::Display for Clamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} became {}", self.key, self.asked, self.granted)
    }
}

/// An accepted test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    /// One per stream, in the order they are opened.
    pub(super) directions: Vec<Direction>,
    /// At the start, not part of the result.
    pub(super) omit: Duration,
    pub(super) end: End,
    /// Bits per second and stream that we send.
    pub(super) send_rate: Option<u64>,
    /// Bits per second that all streams together may bring.
    pub(super) receive_limit: Option<u64>,
    /// Blocks are sent as long as asked; otherwise as long as is fastest.
    pub(super) exact_length: bool,
    /// Socket buffer; 0: the kernel's.
    pub(super) window: u32,
    /// What sockets may receive before they are open, if the day has not much left.
    pub(super) first_buffer: Option<u32>,
    pub(super) clamped: Vec<Clamp>,
    /// As the client sent them.
    pub(super) parameters: Parameters,
}

impl Plan {
    pub(super) fn is_udp(&self) -> bool {
        self.parameters.transport == Transport::Udp
    }

    pub(super) fn sends(&self) -> bool {
        self.directions.contains(&Direction::Send)
    }

    pub(super) fn receives(&self) -> bool {
        self.directions.contains(&Direction::Receive)
    }

    /// Bounds what the streams may receive before anybody can lease for it.
    pub(super) fn bound_first(&mut self, most: Option<u32>) {
        let Some(most) = most.filter(|_| self.receives() && !self.is_udp()) else { return };
        if self.window > most {
            self.clamped.push(Clamp { key: "window", asked: self.window.into(), granted: most.into() });
            self.window = most;
        }
        self.first_buffer = Some(most);
    }

    /// How long a stream may take for two blocks at the slowest rate asked for; zero when nothing is paced.
    pub(super) fn two_blocks(&self) -> Duration {
        let rates = [Some(self.parameters.bandwidth), Some(self.parameters.fair_queue_rate), self.send_rate];
        let slowest = rates.into_iter().flatten().filter(|rate| *rate > 0).min();
        let bits = u64::from(self.parameters.length).saturating_mul(2 * 8 * 1000);
        slowest.map_or(Duration::ZERO, |slowest| Duration::from_millis(bits / slowest))
    }
}
