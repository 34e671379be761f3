//! What a run measured besides its rate: echoes, datagrams, processor time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::phase::PhaseMode;
use crate::engine::evidence::Real;

/// Echoes of one part of a run. Times are round trips without the time the reflector held the packet. An echo that
/// did not come back within two seconds is lost, so no time is longer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Echo {
    /// How they were asked for.
    pub method: EchoMethod,
    /// Asked.
    pub sent: u64,
    /// Answered, each once.
    pub n: u64,
    /// The quickest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_us: Option<Real>,
    /// Half of them were at most this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_us: Option<Real>,
    /// 90 % of them were at most this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p90_us: Option<Real>,
    /// 95 % of them were at most this. The grade is made of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95_us: Option<Real>,
    /// 99 % of them were at most this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_us: Option<Real>,
    /// 99.9 % of them were at most this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_9_us: Option<Real>,
    /// The slowest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_us: Option<Real>,
    /// Mean without the slowest 5 %. The responsiveness is made of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trimmed_mean_us: Option<Real>,
    /// Lost on the way there. Only with keyed echo, whose answers say how many arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_up: Option<u64>,
    /// Lost on the way back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_down: Option<u64>,
    /// Where.
    #[serde(default)]
    pub lost_in: LostIn,
    /// Answers that came again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate: Option<u64>,
    /// Answers that came after a later one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reordered: Option<u64>,
    /// Not answered because the reflector's limit was reached: no loss of the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limited: Option<u64>,
    /// Who took the reflector's time stamps: `user`, `kernel` or `nic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamps: Option<String>,
    /// Delays of each direction. Only when both ends keep their clocks in step, and of the path: a tunnel's are its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_way: Option<OneWay>,
    /// How many took how long, quickest first; empty bins are left out. Of a long run, of echoes evenly picked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub histogram: Vec<Bin>,
}

/// Delays of each direction, by the clocks of both ends.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OneWay {
    /// From here to the reflector.
    pub up: Delay,
    /// From the reflector to here.
    pub down: Delay,
    /// The most by which the clocks can be apart: each delay is right within this, and may come out below zero.
    pub error_bound_us: u64,
}

/// How long one direction took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Delay {
    /// The quickest.
    pub min_us: Real,
    /// Half of them were at most this.
    pub p50_us: Real,
    /// 95 % of them were at most this.
    pub p95_us: Real,
}

/// Echoes that took about as long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bin {
    /// From this.
    pub from_us: Real,
    /// To less than this.
    pub to_us: Real,
    /// How many.
    pub n: u64,
}

/// How echoes are asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EchoMethod {
    /// UDP with a key from the TLS session.
    #[default]
    Keyed,
    /// UDP that comes back as it is.
    Legacy,
    /// Keyed, inside a TLS connection: the tunnel's time, not the path's.
    Tunneled,
}

/// Where that is which did not arrive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LostIn {
    /// Between the two programs: on the path, or in a socket of either host.
    #[default]
    Path,
    /// In a tunnel, which is TCP: a queue of either end had no room, or an answer came too late. No network lost it.
    Tunnel,
}

impl LostIn {
    /// Of what travelled like this.
    pub const fn of(mode: PhaseMode) -> Self {
        match mode {
            PhaseMode::Direct => Self::Path,
            PhaseMode::Tunneled => Self::Tunnel,
        }
    }
}

/// Datagrams of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Udp {
    /// Payload of one datagram.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datagram_bytes: Option<u32>,
    /// The rate that was asked for, of all streams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_mbps: Option<Real>,
    /// Sent, as far as the receiver can tell.
    pub packets: u64,
    /// Never arrived.
    pub lost: u64,
    /// The same in per cent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_percent: Option<Real>,
    /// Where.
    #[serde(default)]
    pub lost_in: LostIn,
    /// Variation of the transit time, smoothed as RFC 3550 does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter_us: Option<Real>,
    /// Arrived after a later one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reordered: Option<u64>,
    /// Arrived again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicates: Option<u64>,
}

/// Processor time of both ends for one GB (10^9 bytes) of payload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CpuCost {
    /// This process, user and system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_s_per_gb: Option<Real>,
    /// The other end's process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_s_per_gb: Option<Real>,
}

/// Bins between the quickest and the slowest echo: a plot has no room for more.
const MOST_BINS: u32 = 48;

/// Sorts round trips into bins of which each is as much wider than the one before.
pub fn histogram(rtts_us: impl Iterator<Item = f64> + Clone) -> Vec<Bin> {
    let known = rtts_us.filter(|us| us.is_finite() && *us > 0.0);
    let (low, high) =
        known.clone().fold((f64::INFINITY, 0.0f64), |(low, high), us| (low.min(us), high.max(us)));
    if low > high {
        return Vec::new();
    }
    // One value is a bin too.
    let width = ((high / low).ln() / f64::from(MOST_BINS)).max(0.01);
    let edge = |index: u32| Real::of(low * (f64::from(index) * width).exp()).unwrap_or_default();
    let mut counts = [0u64; MOST_BINS as usize];
    for us in known {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at least 0, and capped below"
        )]
        let index = ((us / low).ln() / width) as usize;
        if let Some(count) = counts.get_mut(index.min(MOST_BINS as usize - 1)) {
            *count += 1;
        }
    }
    let bins = (0..).zip(counts).filter(|(_, n)| *n > 0);
    bins.map(|(index, n)| Bin { from_us: edge(index), to_us: edge(index + 1), n }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_echo_is_in_the_bin_that_holds_its_time() {
        let rtts: Vec<f64> = (0..1000u32).map(|i| 200.0 + f64::from(i * 7919 % 100_003)).collect();
        let bins = histogram(rtts.iter().copied());
        assert_eq!(bins.iter().map(|bin| bin.n).sum::<u64>(), 1000);
        assert!(bins.len() <= MOST_BINS as usize && bins.len() > 10, "{}", bins.len());
        for pair in bins.windows(2) {
            assert!(pair[0].to_us <= pair[1].from_us, "{pair:?}");
        }
        for bin in &bins {
            // Edges are rounded to a thousandth of a microsecond.
            let (from, to) = (bin.from_us.value() - 0.01, bin.to_us.value() + 0.01);
            let inside = rtts.iter().filter(|us| **us >= from && **us <= to).count() as u64;
            assert!(inside >= bin.n, "{bin:?}");
        }
        // The slowest is in the last one, not beyond.
        assert!(bins.last().unwrap().to_us.value() >= rtts.iter().copied().fold(0.0, f64::max) - 0.01);
    }

    #[test]
    fn one_time_is_one_bin_and_no_time_is_none() {
        let one = histogram([42.0; 5].into_iter());
        assert_eq!(one.iter().map(|bin| bin.n).collect::<Vec<_>>(), [5]);
        assert!(one[0].to_us > one[0].from_us);
        assert_eq!(histogram([f64::NAN, 0.0, -1.0].into_iter()), []);
    }
}
