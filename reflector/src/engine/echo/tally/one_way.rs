//! Delays of one direction: the difference of two clocks, ours and the server's. Whether they may be compared is for
//! whoever knows both to say.

use serde::{Deserialize, Serialize};

use super::MAX_SAMPLES;

/// Both directions of the round trips that were picked.
#[derive(Debug, Clone, Default)]
pub(super) struct Ways {
    up: Vec<i64>,
    down: Vec<i64>,
}

/// Delays by the two clocks. May be below zero: the clocks differ.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OneWay {
    /// From us to the server.
    pub up: Spread,
    /// From the server to us.
    pub down: Spread,
}

/// Microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub struct Spread {
    pub min_us: f64,
    pub p50_us: f64,
    pub p95_us: f64,
}

impl Ways {
    /// Four moments of one round trip, nanoseconds of the wall clocks: sent, received there, sent there, received.
    pub(super) fn note(&mut self, [t1, t2, t3, t4]: [u64; 4]) {
        if self.up.len() < MAX_SAMPLES {
            self.up.push(difference(t2, t1));
            self.down.push(difference(t4, t3));
        }
    }

    /// Every second one goes, as with the samples of a plot.
    pub(super) fn halve(&mut self) {
        for way in [&mut self.up, &mut self.down] {
            let mut keep = false;
            way.retain(|_| {
                keep = !keep;
                keep
            });
        }
    }

    pub(super) fn report(&self) -> Option<OneWay> {
        Some(OneWay { up: spread(&self.up)?, down: spread(&self.down)? })
    }
}

fn difference(later: u64, earlier: u64) -> i64 {
    let far = |nanos: u64| i64::try_from(nanos).unwrap_or(i64::MAX);
    if later >= earlier { far(later - earlier) } else { -far(earlier - later) }
}

fn spread(delays: &[i64]) -> Option<Spread> {
    let mut sorted = delays.to_vec();
    sorted.sort_unstable();
    let last = sorted.len().checked_sub(1)?;
    #[expect(
        clippy::cast_precision_loss,
        reason = "delays are far below 2^53 ns, or the clocks tell nonsense anyway"
    )]
    let at = |percent: usize| sorted.get(last * percent / 100).map(|nanos| *nanos as f64 / 1000.0);
    Some(Spread { min_us: at(0)?, p50_us: at(50)?, p95_us: at(95)? })
}
