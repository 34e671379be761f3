//! Waits until the process is at rest, and counts what it does while it should do nothing.

use std::time::Duration;

use anyhow::{Result, bail};
use e2e::vitals::Vitals;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often the process is looked at. Looking costs it nothing.
const LOOK: Duration = Duration::from_secs(1);
/// At rest is who was quiet for so many looks: longer than tokio keeps an unused thread for blocking work (10 s).
const QUIET_LOOKS: u32 = 12;
/// Who is not quiet by then is measured as it is.
const SETTLE: Duration = Duration::from_secs(60);
/// How long wake-ups are counted.
pub(super) const WINDOW: Duration = Duration::from_secs(20);
/// How long a count of descriptors may take to become what it should be: longer than the reflector waits for the first
/// byte of a handshake.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often descriptors are counted meanwhile.
const COUNT: Duration = Duration::from_millis(20);

/// What a process did while it should do nothing.
pub(super) struct Idle {
    /// Voluntary context switches of all threads, a second.
    pub(super) wake_ups: f64,
    /// CPU time.
    pub(super) cpu: Duration,
}

/// Waits until the process is at rest: no thread comes or goes and hardly anything wakes.
pub(super) async fn settled(vitals: Vitals) -> Result<()> {
    let deadline = Instant::now() + SETTLE;
    let mut look = ticks(LOOK);
    look.tick().await;
    let (mut quiet, mut before) = (0, (vitals.threads()?, vitals.voluntary_ctxt_switches()?));
    while quiet < QUIET_LOOKS && Instant::now() < deadline {
        look.tick().await;
        let now = (vitals.threads()?, vitals.voluntary_ctxt_switches()?);
        let is_quiet = now.0 == before.0 && now.1.saturating_sub(before.1) <= 1;
        quiet = if is_quiet { quiet + 1 } else { 0 };
        before = now;
    }
    Ok(())
}

/// Counts for a while. A thread that ends takes its count along, so a window in which one did is repeated.
pub(super) async fn idle(vitals: Vitals) -> Result<Idle> {
    for _ in 0..3 {
        let threads = vitals.threads()?;
        let (switches, cpu, began) = (vitals.voluntary_ctxt_switches()?, vitals.cpu_time()?, Instant::now());
        let mut look = ticks(WINDOW);
        look.tick().await;
        look.tick().await;
        let switches = vitals.voluntary_ctxt_switches()?.saturating_sub(switches);
        let cpu = vitals.cpu_time()?.saturating_sub(cpu);
        if vitals.threads()? == threads {
            let switches = f64::from(u32::try_from(switches)?);
            return Ok(Idle { wake_ups: switches / began.elapsed().as_secs_f64(), cpu });
        }
    }
    bail!("threads come and go while the reflector is idle")
}

/// Waits until the process has so many descriptors; returns how many it has in the end.
pub(super) async fn descriptors(vitals: Vitals, awaited: usize) -> Result<usize> {
    let deadline = Instant::now() + PATIENCE;
    let mut look = ticks(COUNT);
    loop {
        look.tick().await;
        let now = vitals.open_fds()?;
        if now == awaited || Instant::now() >= deadline {
            return Ok(now);
        }
    }
}

fn ticks(period: Duration) -> tokio::time::Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
