//! Which program the machine worked for, over some time.

use std::time::Duration;

use anyhow::{Context as _, Result};
use e2e::vitals::Vitals;
use tokio::time::Instant;

use super::scene::Scene;
use super::spread::Row;

/// Of `/proc`, on Linux: a hundredth of a second.
const TICKS: f64 = 100.0;
/// Programs that run throughout: the bed's name of each, and ours.
const PROGRAMS: [(&str, &str); 5] = [
    ("apiserver", "API server"),
    ("kine", "kine, the datastore"),
    ("controller-manager", "Kubernetes' controllers"),
    ("scheduler", "scheduler"),
    ("kwok", "kwok"),
];

/// Looked at once, to be compared with a second look.
pub(super) struct Shares {
    since: Instant,
    programs: Vec<(&'static str, Vitals, u64)>,
    machine: Machine,
}

/// Ticks of all cores since the machine started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Machine {
    idle: u64,
    all: u64,
}

impl Shares {
    /// From now on.
    pub(super) fn new(scene: &Scene) -> Result<Self> {
        let components = &scene.bed().state().components;
        let mut programs = Vec::new();
        for (component, name) in PROGRAMS {
            let Some(started) = components.get(component) else { continue };
            let vitals = Vitals::of(started.process.pid);
            programs.push((name, vitals, vitals.cpu_ticks().context("read its CPU time")?));
        }
        Ok(Self { since: Instant::now(), programs, machine: Machine::now()? })
    }

    /// CPU time until now, of each and of the operator, which began with nothing.
    pub(super) fn until_now(&self, what: &str, operator: Vitals) -> Result<Vec<Row>> {
        let machine = Machine::now()?;
        let row =
            |name: &str, ticks: u64| Row::new(format!("{what}: CPU time, {name}"), "s", vec![seconds(ticks)]);
        let mut rows = vec![row("operator", operator.cpu_ticks().context("read its CPU time")?)];
        for (name, vitals, before) in &self.programs {
            let now = vitals.cpu_ticks().context("read its CPU time")?;
            rows.push(row(name, now.saturating_sub(*before)));
        }
        let all = machine.all.saturating_sub(self.machine.all);
        rows.push(row("everybody on the machine", all.saturating_sub(machine.idle - self.machine.idle)));
        rows.push(row("nobody", machine.idle.saturating_sub(self.machine.idle)));
        Ok(rows)
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }
}

impl Machine {
    fn now() -> Result<Self> {
        let text = std::fs::read_to_string("/proc/stat").context("read the machine's CPU time")?;
        Self::of(&text).context("understand the machine's CPU time")
    }

    /// `cpu  user nice system idle iowait irq softirq steal guest guest_nice`; a guest's time is in the user's.
    fn of(stat: &str) -> Option<Self> {
        let first = stat.lines().next()?.strip_prefix("cpu ")?;
        let fields: Option<Vec<u64>> = first.split_whitespace().map(|field| field.parse().ok()).collect();
        let fields = fields?;
        Some(Self { idle: fields.get(3)? + fields.get(4)?, all: fields.iter().take(8).sum() })
    }
}

fn seconds(ticks: u64) -> f64 {
    u32::try_from(ticks).map_or(f64::MAX, f64::from) / TICKS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_waits_for_its_disk_is_idle_and_a_guests_time_counts_once() {
        let stat = "cpu  100 1 20 300 40 5 6 7 50 0\ncpu0 1 2 3\n";
        assert_eq!(Machine::of(stat), Some(Machine { idle: 340, all: 479 }));
        assert_eq!(Machine::of("intr 1"), None);
    }
}
