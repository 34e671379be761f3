//! Processor time of this host, of this process and of its streams during a run. Pure; the texts come from `read`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Real, float};

/// Use of the processor during one run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CpuUse {
    /// Cores that are switched on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<u32>,
    /// Processor time of this process, user and system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process_s: Option<Real>,
    /// The stream whose thread used most of a core.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busiest_thread_percent: Option<Real>,
    /// The busiest core, whoever used it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busiest_core_percent: Option<Real>,
    /// The stream whose thread ran, or was ready and waited for a core, for most of the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanting_thread_percent: Option<Real>,
    /// The core that spent most of its time on the kernel's packet work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busiest_softirq_percent: Option<Real>,
    /// Time that a hypervisor gave to others, of all cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steal_percent: Option<Real>,
    /// Periods in which our cgroup, or one above it, had used up its processor time. Absent without such a counter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup_throttled_periods: Option<u64>,
}

/// Counters at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Counted {
    pub(super) cores: Vec<Core>,
    pub(super) process: Duration,
    pub(super) throttled_periods: Option<u64>,
}

/// One core since boot, in ticks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Core {
    number: u32,
    all: u64,
    idle: u64,
    softirq: u64,
    steal: u64,
}

/// The cores of `/proc/stat`. The first line sums them up and is left out.
pub(super) fn cores(stat: &str) -> Vec<Core> {
    stat.lines().filter_map(core).collect()
}

fn core(line: &str) -> Option<Core> {
    let mut fields = line.strip_prefix("cpu")?.split_ascii_whitespace();
    let number = fields.next().filter(|_| !line.starts_with("cpu "))?.parse().ok()?;
    // Two more columns count guests, who are in the first two already.
    let ticks: Vec<u64> = fields.take(8).map_while(|field| field.parse().ok()).collect();
    let &[_user, _nice, _system, idle, iowait, _irq, softirq, steal] = ticks.as_slice() else { return None };
    Some(Core { number, all: ticks.iter().sum(), idle: idle + iowait, softirq, steal })
}

/// What a stream's thread did during a run.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Thread {
    pub(super) ran: Duration,
    /// Ready, with no core to run on.
    pub(super) waited: Duration,
}

/// What happened between two moments. `threads` is what each stream's thread did meanwhile.
pub(super) fn between(begin: &Counted, end: &Counted, elapsed: Duration, threads: &[Thread]) -> CpuUse {
    let pairs: Vec<(Core, Core)> = end
        .cores
        .iter()
        .filter_map(|after| {
            let before = begin.cores.iter().find(|before| before.number == after.number)?;
            // Nobody runs for less than a tick; a core that was switched off and on again starts anew.
            (after.all > before.all).then_some((*before, *after))
        })
        .collect();
    let share = |(before, after): &(Core, Core), ticks: fn(&Core) -> u64| {
        let used = ticks(after).saturating_sub(ticks(before));
        Real::percent(float(used), float(after.all - before.all))
    };
    let highest = |ticks: fn(&Core) -> u64| {
        pairs.iter().filter_map(|pair| share(pair, ticks)).max_by(|a, b| a.value().total_cmp(&b.value()))
    };
    let sum = |of: fn(&(Core, Core)) -> u64| float(pairs.iter().map(of).sum());
    let of_run = |time: Option<Duration>| {
        time.and_then(|time| Real::percent(time.as_secs_f64(), elapsed.as_secs_f64()))
    };
    CpuUse {
        cores: u32::try_from(end.cores.len()).ok().filter(|count| *count > 0),
        process_s: Real::of(end.process.saturating_sub(begin.process).as_secs_f64()),
        busiest_thread_percent: of_run(threads.iter().map(|thread| thread.ran).max()),
        wanting_thread_percent: of_run(threads.iter().map(|thread| thread.ran + thread.waited).max()),
        busiest_core_percent: highest(|core| core.all.saturating_sub(core.idle)),
        busiest_softirq_percent: highest(|core| core.softirq),
        steal_percent: Real::percent(
            sum(|(before, after)| after.steal.saturating_sub(before.steal)),
            sum(|(before, after)| after.all - before.all),
        ),
        cgroup_throttled_periods: end
            .throttled_periods
            .zip(begin.throttled_periods)
            .map(|(end, begin)| end.saturating_sub(begin)),
    }
}

/// Folders below `/sys/fs/cgroup` whose `cpu.stat` counts when we were held back, from `/proc/self/cgroup`: our own group
/// and all above it, as a pod's limit is above its container's. A path out of the container's view is cut at the top.
pub(super) fn cgroup_folders(text: &str) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for line in text.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        // Version 1 may have the two controllers in one hierarchy; there is a link for each alone.
        let mount = match controllers {
            "" => "",
            names if names.split(',').any(|name| name == "cpu") => "cpu",
            _ => continue,
        };
        let inside = if path.split('/').any(|part| part == "..") { "" } else { path.trim_matches('/') };
        folders.extend(Path::new(inside).ancestors().map(|group| Path::new(mount).join(group)));
    }
    folders
}

/// Of `cpu.stat`: how often a group had used up its time.
pub(super) fn throttled_periods(cpu_stat: &str) -> Option<u64> {
    cpu_stat.lines().find_map(|line| line.strip_prefix("nr_throttled ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Raspberry Pi 5 receiving a gigabit on core 0.
    const PI5_BEFORE: &str = "\
cpu  10374 122 8817 2561734 912 0 1423 0 0 0
cpu0 2811 30 2410 638755 301 0 1339 0 0 0
cpu1 2501 31 2210 640904 200 0 40 0 0 0
cpu2 2611 30 2100 640911 210 0 24 0 0 0
cpu3 2451 31 2097 641164 201 0 20 0 0 0
intr 1786344 0 2 3
ctxt 3311240
";
    const PI5_AFTER: &str = "\
cpu  10424 122 9517 2564274 912 0 2203 0 0 0
cpu0 2821 30 2430 638765 301 0 2299 0 0 0
cpu1 2511 31 2210 641894 200 0 40 0 0 0
cpu2 2621 30 2540 641461 210 0 24 0 0 0
cpu3 2471 31 2337 641894 201 0 30 0 0 0
";
    /// A small virtual machine whose neighbours take a quarter of it.
    const VIRTIO_BEFORE: &str = "cpu  1 1 1 1 1 1 1 1 0 0\ncpu0 100 0 100 100 0 0 0 50 7 0\n";
    const VIRTIO_AFTER: &str = "cpu  1 1 1 1 1 1 1 1 0 0\ncpu0 400 0 300 200 0 50 100 300 7 0\n";

    fn counted(stat: &str, throttled_periods: Option<u64>) -> Counted {
        Counted { cores: cores(stat), process: Duration::from_millis(1234), throttled_periods }
    }

    /// H7
    #[test]
    fn the_core_that_only_handles_packets_is_found() {
        let (before, after) = (counted(PI5_BEFORE, None), counted(PI5_AFTER, None));
        let thread =
            |ran, waited| Thread { ran: Duration::from_millis(ran), waited: Duration::from_millis(waited) };
        let threads = [thread(4100, 5700), thread(9300, 100)];
        let used = between(&before, &after, Duration::from_secs(10), &threads);
        assert_eq!(
            used,
            CpuUse {
                cores: Some(4),
                process_s: Real::of(0.0),
                busiest_thread_percent: Real::of(93.0),
                wanting_thread_percent: Real::of(98.0),
                busiest_core_percent: Real::of(99.0),
                busiest_softirq_percent: Real::of(96.0),
                steal_percent: Real::of(0.0),
                cgroup_throttled_periods: None,
            }
        );
    }

    #[test]
    fn stolen_time_is_told_and_guests_are_not_counted_twice() {
        let mut after = counted(VIRTIO_AFTER, Some(9));
        after.process += Duration::from_millis(2500);
        let used = between(&counted(VIRTIO_BEFORE, Some(2)), &after, Duration::from_secs(10), &[]);
        assert_eq!(used.steal_percent, Real::of(25.0));
        assert_eq!(used.busiest_core_percent, Real::of(90.0));
        assert_eq!((used.process_s, used.busiest_thread_percent), (Real::of(2.5), None));
        assert_eq!(used.cgroup_throttled_periods, Some(7));
    }

    #[test]
    fn what_cannot_be_read_is_absent() {
        for hidden in ["", "cpu  1 2 3\n", "cpu0 1 2 3\n", "cpux 1 2 3 4 5 6 7 8\n", "cpu0 a b c d e f g h\n"]
        {
            assert_eq!(cores(hidden), [], "{hidden:?}");
        }
        let nothing = between(&Counted::default(), &Counted::default(), Duration::ZERO, &[Thread::default()]);
        assert_eq!(nothing, CpuUse { process_s: Real::of(0.0), ..CpuUse::default() });
        // No tick passed, or the core was away.
        let same = counted(PI5_BEFORE, None);
        assert_eq!(between(&same, &same, Duration::from_secs(1), &[]).busiest_core_percent, None);
    }

    /// H7
    #[test]
    fn the_counter_of_every_group_above_us_is_looked_at_in_both_versions() {
        let paths = |text| -> Vec<String> {
            cgroup_folders(text).iter().map(|path| path.to_string_lossy().into_owned()).collect()
        };
        assert_eq!(paths("0::/kubepods/pod1/box\n"), ["kubepods/pod1/box", "kubepods/pod1", "kubepods", ""]);
        assert_eq!(paths("0::/../..\n"), [""]);
        let version_1 = "4:memory:/a\n3:cpuset:/c\n2:cpu,cpuacct:/box\n1:name=systemd:/d\n";
        assert_eq!(paths(version_1), ["cpu/box", "cpu/"]);
        assert_eq!(paths("nonsense\n1:cpuacct:/\n"), [""; 0]);

        let version_2 = "usage_usec 5\nnr_periods 40\nnr_throttled 12\nthrottled_usec 9\n";
        assert_eq!(throttled_periods(version_2), Some(12));
        assert_eq!(throttled_periods("nr_periods 0\nnr_throttled 0\nthrottled_time 0\n"), Some(0));
        assert_eq!(throttled_periods("usage_usec 5\n"), None);
    }
}
