//! Numbers that others keep while nobody looks: read when the metrics are, and only then.

use std::sync::{Mutex, PoisonError};

use crate::engine::door::Doors;
use crate::engine::tunnel::Tunnels;
use crate::metrics::Metrics;

/// How many connections and datagrams on data ports were refused since the start.
pub(super) type Refused = Box<dyn Fn() -> u64 + Send + Sync>;

/// What was told to the metrics before.
#[derive(Debug, Default, Clone, Copy)]
struct Told {
    refused: u64,
    /// As the kernel counts: from 0 again after 2^32.
    unheard: u32,
    fruitless: u64,
}

/// Reads the counts of engines and kernel.
pub(super) struct Tallies {
    refused: Refused,
    doors: Doors,
    tunnels: Tunnels,
    told: Mutex<Told>,
}

impl Tallies {
    pub(super) fn new(refused: Refused, doors: Doors, tunnels: Tunnels) -> Self {
        Self { refused, doors, tunnels, told: Mutex::default() }
    }

    /// Adds what came since the last time.
    pub(super) fn publish(&self, metrics: &Metrics) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Told {
            refused: (self.refused)(),
            unheard: self.doors.unheard().unwrap_or(told.unheard),
            fruitless: self.tunnels.fruitless(),
        };
        metrics.data_refused(now.refused.saturating_sub(told.refused));
        metrics.stray_datagrams(now.unheard.wrapping_sub(told.unheard).into());
        metrics.tunnel_fruitless(now.fruitless.saturating_sub(told.fruitless));
        *told = now;
    }
}
