//! Everything a decision is made from: one run in one direction, as far as it is known.

use crate::engine::evidence::float;
use crate::engine::evidence::tcp::TcpSummary;
use crate::engine::evidence::{Evidence, NOTHING, Real};
use crate::link::message::Mode;
use crate::reason::EndReason;

use super::{By, Side};

/// Which way the data of a run flows. A test of both directions is two runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the reflector.
    Up,
    /// From the reflector to the client.
    Down,
}

/// One run in one direction. `None` and empty evidence is what this end does not know.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// Which way the data flowed.
    pub direction: Direction,
    /// How the data travelled. What a tunnel drops or delays is no network's doing.
    pub mode: Mode,
    /// How the reflector says it ended.
    pub end_reason: Option<EndReason>,
    /// How long data flowed.
    pub run_s: f64,
    /// Bytes of payload that were charged.
    pub bytes: u64,
    /// Payload per second, by the receiver's count.
    pub mbps: Option<Real>,
    /// The rate that was asked for (`-b` times streams).
    pub asked_mbps: Option<f64>,
    /// What the owner of the reflector allowed.
    pub granted: Granted,
    /// Datagrams that were sent and got lost, for UDP.
    pub udp: Option<UdpFacts>,
    /// Median round-trip time of echoes while the streams ran.
    pub loaded_echo_us: Option<f64>,
    /// The smallest round-trip time of echoes before the streams ran.
    pub idle_echo_us: Option<f64>,
    /// What the client's host saw.
    pub local: &'a Evidence,
    /// What the reflector's host saw.
    pub reflector: &'a Evidence,
}

/// Limits of a grant, where there are any.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Granted {
    /// The longest run.
    pub duration_s: Option<f64>,
    /// Bytes that were left when the run began.
    pub bytes: Option<u64>,
    /// The highest rate.
    pub mbps: Option<f64>,
}

/// Datagrams of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UdpFacts {
    /// Sent, as far as the receiver can tell.
    pub packets: u64,
    /// Never arrived.
    pub lost: u64,
}

/// One end of a run.
pub(super) struct End<'a> {
    pub(super) side: Side,
    /// What it is called when it is too slow.
    pub(super) by: By,
    pub(super) evidence: &'a Evidence,
}

impl<'a> Facts<'a> {
    /// What a reflector knows by itself, for the session it tells of; of both directions, the one it sent in.
    pub fn of_reflector(direction: Direction, run_s: f64, bytes: u64, seen: &'a Evidence) -> Self {
        Self {
            direction,
            mode: Mode::DirectEphemeral,
            end_reason: None,
            run_s,
            bytes,
            mbps: Real::mbps(bytes, run_s),
            asked_mbps: None,
            granted: Granted::default(),
            udp: None,
            loaded_echo_us: None,
            idle_echo_us: None,
            local: &NOTHING,
            reflector: seen,
        }
    }

    /// Datagrams, where the path carried them as such. TCP carries those of a tunnel: whatever is missing then found no
    /// room in a queue of either end.
    pub(super) fn udp_on_path(&self) -> Option<UdpFacts> {
        self.udp.filter(|_| self.mode == Mode::DirectEphemeral)
    }

    /// Median while the streams ran, and the smallest before, of echoes that travelled as datagrams.
    pub(super) fn echo_on_path(&self) -> (Option<f64>, Option<f64>) {
        match self.mode {
            Mode::DirectEphemeral => (self.loaded_echo_us, self.idle_echo_us),
            Mode::Tunneled => (None, None),
        }
    }

    pub(super) fn sender(&self) -> End<'a> {
        match self.direction {
            Direction::Up => self.client(),
            Direction::Down => self.server(),
        }
    }

    pub(super) fn receiver(&self) -> End<'a> {
        match self.direction {
            Direction::Up => self.server(),
            Direction::Down => self.client(),
        }
    }

    /// The client's host first.
    pub(super) fn ends(&self) -> [End<'a>; 2] {
        [self.client(), self.server()]
    }

    fn client(&self) -> End<'a> {
        let by = match self.direction {
            Direction::Up => By::Sender,
            Direction::Down => By::Receiver,
        };
        End { side: Side::Local, by, evidence: self.local }
    }

    fn server(&self) -> End<'a> {
        End { side: Side::Reflector, by: By::ReflectorHost, evidence: self.reflector }
    }
}

/// The sender's TCP streams taken together.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Streams {
    /// The stream that had something to send for the longest time.
    pub(super) busiest_s: Option<f64>,
    /// Shares of the time with something to send.
    pub(super) rwnd_limited_percent: Option<f64>,
    pub(super) sndbuf_limited_percent: Option<f64>,
    pub(super) retransmits: Option<u64>,
    pub(super) retransmit_percent: Option<f64>,
    pub(super) pmtu_bytes: Option<u32>,
    pub(super) rtt_us: Option<f64>,
    pub(super) min_rtt_us: Option<f64>,
}

impl Streams {
    pub(super) fn of(evidence: &Evidence) -> Self {
        let all = || evidence.tcp_info.iter().map(|stream| &stream.summary);
        // One stream that does not know makes the sum unknown.
        let sum = |field: fn(&TcpSummary) -> Option<u64>| {
            let mut known = all().map(field).peekable();
            known.peek()?;
            known.sum::<Option<u64>>().map(float)
        };
        let share = |part: Option<f64>, whole: Option<f64>| match (part, whole) {
            (Some(part), Some(whole)) if whole > 0.0 => Some(part / whole * 100.0),
            _ => None,
        };
        let busy = sum(|stream| stream.busy_ms);
        let rtts: Vec<f64> = all().filter_map(|stream| stream.rtt_us).map(Real::value).collect();
        Self {
            busiest_s: all().filter_map(|stream| stream.busy_ms).max().map(|ms| float(ms) / 1000.0),
            rwnd_limited_percent: share(sum(|stream| stream.rwnd_limited_ms), busy),
            sndbuf_limited_percent: share(sum(|stream| stream.sndbuf_limited_ms), busy),
            retransmits: all().filter_map(|stream| stream.retransmits).reduce(u64::saturating_add),
            retransmit_percent: share(sum(|stream| stream.retransmits), sum(|stream| stream.segments)),
            pmtu_bytes: all().filter_map(|stream| stream.pmtu_bytes).min(),
            rtt_us: (!rtts.is_empty()).then(|| rtts.iter().sum::<f64>() / float(rtts.len() as u64)),
            min_rtt_us: all().filter_map(|stream| stream.min_rtt_us).min().map(f64::from),
        }
    }
}
