//! What everybody holds and uses while nothing happens: the operator, reflectors in their pods, and beside them a controller
//! written in Go, looked at in turn in the same minutes.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::vitals::Vitals;
use serde_json::json;
use tokio::time::{Instant, interval};

use super::scene::{Scene, operator, pods};
use super::spread::Row;

const REFLECTORS: u16 = 3;
/// Starting leaves work behind for so long.
const SETTLING: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_secs(1);
/// Of memory; processor time is told a minute at a time.
const LOOKS: usize = 60;

pub(super) async fn measure(scene: &Scene, minutes: u16) -> Result<Vec<Row>> {
    for number in 0..REFLECTORS {
        scene.serve(number, &json!({})).await?;
    }
    let pods = pods()?;
    ensure!(pods.len() == usize::from(REFLECTORS), "{} reflectors run", pods.len());
    let mut all = vec![
        Watched::new("operator, 3 reflectors".to_owned(), operator()?),
        Watched::new("local-path-provisioner (Go)".to_owned(), scene.local_path()?),
    ];
    let pods = pods.into_iter().zip(1..);
    all.extend(pods.map(|(pod, number)| Watched::new(format!("reflector's pod {number} of 3"), pod)));
    let mut settling = interval(SETTLING);
    settling.tick().await;
    settling.tick().await;
    let mut tick = interval(LOOK);
    tick.tick().await;
    all.iter_mut().try_for_each(Watched::begin)?;
    for minute in 1..=minutes {
        for look in 0..LOOKS {
            tick.tick().await;
            // Nobody is always the first.
            let first = look % all.len();
            let (last, first) = all.split_at_mut(first);
            first.iter_mut().chain(last).try_for_each(Watched::look)?;
        }
        all.iter_mut().try_for_each(Watched::end_minute)?;
        anstream::eprintln!("{minute} of {minutes} minutes");
    }
    Ok(all.into_iter().flat_map(Watched::rows).collect())
}

/// A process, and what was seen of it.
struct Watched {
    what: String,
    process: Vitals,
    resident: Vec<u64>,
    private: Vec<u64>,
    percent: Vec<f64>,
    /// When, and how much processor time it had used.
    since: (Instant, Duration),
}

impl Watched {
    fn new(what: String, process: Vitals) -> Self {
        let since = (Instant::now(), Duration::ZERO);
        Self { what, process, resident: Vec::new(), private: Vec::new(), percent: Vec::new(), since }
    }

    fn begin(&mut self) -> Result<()> {
        self.since = self.used()?;
        Ok(())
    }

    fn look(&mut self) -> Result<()> {
        self.resident
            .push(self.process.rss_kib().with_context(|| format!("read the memory of {}", self.what))?);
        self.private
            .push(self.process.private_kib().with_context(|| format!("read the memory of {}", self.what))?);
        Ok(())
    }

    fn end_minute(&mut self) -> Result<()> {
        let now = self.used()?;
        self.percent.push(percent(now.0 - self.since.0, now.1.saturating_sub(self.since.1)));
        self.since = now;
        Ok(())
    }

    fn used(&self) -> Result<(Instant, Duration)> {
        let used = self.process.cpu_time().with_context(|| format!("read what {} used", self.what))?;
        Ok((Instant::now(), used))
    }

    fn rows(self) -> [Row; 3] {
        let what = self.what;
        [
            Row::memory(format!("{what}: resident"), &self.resident),
            Row::memory(format!("{what}: of it private"), &self.private),
            Row::new(format!("{what}: of one processor, by the minute"), "%", self.percent),
        ]
    }
}

/// Of one processor.
fn percent(time: Duration, used: Duration) -> f64 {
    100.0 * used.as_secs_f64() / time.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn use_is_of_one_processor() {
        assert!((percent(Duration::from_secs(60), Duration::from_millis(60)) - 0.1).abs() < 1e-9);
        assert!((percent(Duration::from_secs(1), Duration::from_secs(2)) - 200.0).abs() < 1e-9);
    }

    #[test]
    fn a_process_is_seen_three_ways() {
        let mut one = Watched::new("this".into(), Vitals::of(std::process::id()));
        one.begin().unwrap();
        one.look().unwrap();
        one.end_minute().unwrap();
        assert!(one.resident[0] > one.private[0] && one.percent[0] >= 0.0);
        let rows = one.rows().map(|row| row.to_string());
        assert!(rows[2].starts_with("| this: of one processor, by the minute | % | 1 |"), "{}", rows[2]);
        let mut gone = Watched::new("gone".into(), Vitals::of(u32::MAX));
        assert_eq!(gone.look().unwrap_err().to_string(), "read the memory of gone");
    }
}
