//! Processor time that others used while a round ran.
//!
//! All that the processors did, less what this process and its descendants did, and less kernel threads, which work for
//! whoever runs. Per-process times of others would not do: a short-lived one is gone before it is looked at.

use std::collections::HashMap;
use std::fs;
use std::time::Instant;

/// More than this part of the machine makes a round worthless.
const TOLERATED: f64 = 0.05;

/// A look at the machine.
pub(crate) struct Before {
    busy: u64,
    known: u64,
    at: Instant,
}

struct Stat {
    parent: u32,
    /// Of itself.
    own: u64,
    /// Of children that were waited for.
    children: u64,
}

/// The beginning of a round.
pub(crate) fn look() -> Before {
    Before { busy: busy(), known: known(), at: Instant::now() }
}

impl Before {
    /// The part of the machine that others used since, from 0 to 1.
    pub(crate) fn foreign(&self) -> f64 {
        let ours = known().saturating_sub(self.known);
        let others = busy().saturating_sub(self.busy).saturating_sub(ours);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        others as f64 / 100.0 / (self.at.elapsed().as_secs_f64() * cores as f64)
    }

    /// Whether so much was tolerable.
    pub(crate) const fn is_calm(foreign: f64) -> bool {
        foreign <= TOLERATED
    }
}

/// Ticks of all processors: user, nice, system, irq, softirq.
fn busy() -> u64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let fields: Vec<u64> = line.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
    [0, 1, 2, 5, 6].iter().filter_map(|index| fields.get(*index)).sum()
}

/// Ticks of this process, its descendants dead or alive, and kernel threads.
fn known() -> u64 {
    let all = all();
    let us = std::process::id();
    let is_ours = |mut pid: u32| {
        // A table that is read while it changes could hold a circle.
        for _ in 0..64 {
            match all.get(&pid) {
                _ if pid == us => return true,
                Some(stat) => pid = stat.parent,
                None => return false,
            }
        }
        false
    };
    let ticks = |(pid, stat): (&u32, &Stat)| match *pid {
        pid if is_ours(pid) => stat.own + stat.children,
        2 => stat.own,
        _ if stat.parent == 2 => stat.own,
        _ => 0,
    };
    all.iter().map(ticks).sum()
}

fn all() -> HashMap<u32, Stat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid: u32| Some((pid, stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?)))
        .collect()
}

fn stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let sum = |from: usize| -> Option<u64> {
        Some(fields.get(from)?.parse::<u64>().ok()? + fields.get(from + 1)?.parse::<u64>().ok()?)
    };
    Some(Stat { parent: fields.get(1)?.parse().ok()?, own: sum(11)?, children: sum(13)? })
}
