//! Processor time that others used while a round ran.
//!
//! Ours are this process and all its descendants; kernel threads work for whoever runs and count for nobody. A process
//! that begins and ends within a round is seen in the times of its parent.

use std::collections::HashMap;
use std::fs;
use std::time::Instant;

/// More than this part of the machine makes a round worthless.
const TOLERATED: f64 = 0.05;

/// A look at all processes.
pub(crate) struct Before {
    ticks: HashMap<u32, u64>,
    at: Instant,
}

struct Stat {
    parent: u32,
    ticks: u64,
}

/// The beginning of a round.
pub(crate) fn look() -> Before {
    let ticks = all().into_iter().map(|(pid, stat)| (pid, stat.ticks)).collect();
    Before { ticks, at: Instant::now() }
}

impl Before {
    /// The part of the machine that others used since, from 0 to 1.
    pub(crate) fn foreign(&self) -> f64 {
        let now = all();
        let ours = std::process::id();
        let is_ours = |mut pid: u32| {
            // A table that is read while it changes could hold a circle.
            for _ in 0..64 {
                match (pid == ours, now.get(&pid)) {
                    (true, _) => return true,
                    (false, Some(stat)) => pid = stat.parent,
                    (false, None) => return false,
                }
            }
            false
        };
        let others = now.iter().filter(|(pid, stat)| **pid > 2 && stat.parent != 2 && !is_ours(**pid));
        let ticks: u64 = others
            .map(|(pid, stat)| stat.ticks.saturating_sub(self.ticks.get(pid).copied().unwrap_or(0)))
            .sum();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        ticks as f64 / 100.0 / (self.at.elapsed().as_secs_f64() * cores as f64)
    }

    /// Whether the round since can be used.
    pub(crate) fn was_calm(&self) -> bool {
        self.foreign() <= TOLERATED
    }
}

fn all() -> HashMap<u32, Stat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid: u32| Some((pid, stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?)))
        .collect()
}

/// Parent, and user and system time with that of children that were waited for.
fn stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = fields.get(11..15)?.iter().filter_map(|field| field.parse::<u64>().ok()).sum();
    Some(Stat { parent: fields.get(1)?.parse().ok()?, ticks })
}
