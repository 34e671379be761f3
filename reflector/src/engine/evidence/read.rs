//! Reads what the kernel shows of this host. Decides nothing: texts go to `cpu`, `nic` and `thermal`.

use std::fs;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::engine::{path, sys};
use crate::selftest;

use super::clock::ClockState;
use super::nic::NicUse;
use super::thermal::Felt;
use super::{cpu, nic, thermal};

/// No file we read is longer, but `/proc/stat` on hosts with a thousand cores: then the first of them are looked at.
const MAX_TEXT: u64 = 256 * 1024;
/// More cores than this are not asked for their throttle counts: two small files each.
const MAX_CORES: usize = 256;

/// Where the kernel's files are, and which interface to look at.
#[derive(Debug)]
pub(super) struct Host {
    root: PathBuf,
    interface: Option<String>,
}

/// Every counter at one moment.
#[derive(Debug, Default)]
pub(super) struct Moment {
    pub(super) cpu: cpu::Counted,
    pub(super) nic: nic::Counted,
    pub(super) thermal: Felt,
}

impl Host {
    /// This host; the test's connections leave from `local_addr`.
    pub(super) fn of(local_addr: Option<IpAddr>) -> Self {
        Self { root: PathBuf::from("/"), interface: local_addr.and_then(path::interface_of) }
    }

    /// Reads all counters.
    pub(super) fn now(&self) -> Moment {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        let process =
            Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0));
        let folders = cpu::cgroup_folders(&self.text("proc/self/cgroup"));
        let throttled = folders.iter().filter_map(|folder| {
            cpu::throttled_periods(&self.text(Path::new("sys/fs/cgroup").join(folder).join("cpu.stat")))
        });
        let texts = nic::Texts {
            dev: self.text("proc/net/dev"),
            snmp: self.text("proc/net/snmp"),
            snmp6: self.text("proc/net/snmp6"),
            netstat: self.text("proc/net/netstat"),
        };
        Moment {
            cpu: cpu::Counted {
                cores: cpu::cores(&self.text("proc/stat")),
                process,
                throttled_periods: throttled.reduce(u64::saturating_add),
            },
            nic: nic::counted(self.interface.as_deref(), &texts),
            thermal: self.felt(),
        }
    }

    /// The sensors alone: a flag may be up for a second only.
    pub(super) fn felt(&self) -> Felt {
        let firmware = self.folders("sys/devices/platform", "soc").into_iter().find_map(|soc| {
            let inside = self.folders(&soc, "").into_iter();
            inside
                .chain([soc.clone()])
                .find_map(|folder| thermal::firmware(&self.text(folder.join("get_throttled"))))
        });
        let cores = self.folders("sys/devices/system/cpu", "cpu");
        let counts = cores.iter().take(MAX_CORES).flat_map(|core| {
            ["core_throttle_count", "package_throttle_count"]
                .map(|name| self.text(core.join("thermal_throttle").join(name)).trim().parse::<u64>().ok())
        });
        Felt { firmware, events: counts.flatten().reduce(u64::saturating_add) }
    }

    /// What does not change during a run.
    pub(super) fn nic(&self) -> Option<NicUse> {
        let interface = self.interface.clone()?;
        let folder = self.root.join("sys/class/net").join(&interface);
        Some(NicUse {
            speed_mbps: selftest::wire_speed_mbps(&folder),
            mtu_bytes: self.text(folder.join("mtu")).trim().parse().ok(),
            interface: Some(interface),
            ..NicUse::default()
        })
    }

    /// The wall clock.
    pub(super) fn clock(&self) -> Option<ClockState> {
        let source = self.text("sys/devices/system/clocksource/clocksource0/current_clocksource");
        let kernel = sys::kernel_clock().ok()?;
        Some(ClockState {
            synced: kernel.synchronised,
            error_bound_us: kernel
                .synchronised
                .then(|| u64::try_from(kernel.max_error.as_micros()).unwrap_or(u64::MAX)),
            source: Some(source.trim().to_owned()).filter(|name| !name.is_empty()),
        })
    }

    /// Empty when there is nothing to read, which the parsers take for "not known".
    fn text(&self, path: impl AsRef<Path>) -> String {
        let mut bytes = Vec::new();
        // An absolute path stays what it is.
        match fs::File::open(self.root.join(path))
            .and_then(|file| file.take(MAX_TEXT).read_to_end(&mut bytes))
        {
            Ok(_) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(_) => String::new(),
        }
    }

    fn folders(&self, path: impl AsRef<Path>, prefix: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.root.join(path)).into_iter().flatten().flatten();
        let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
        named.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(files: &[(&str, &str)]) -> (tempfile::TempDir, Host) {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let host = Host { root: root.path().to_owned(), interface: Some("eth0".to_owned()) };
        (root, host)
    }

    /// H7
    #[test]
    fn a_raspberry_pi_is_read_where_its_kernel_writes() {
        let (_root, host) = host(&[
            ("sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled", "50005\n"),
            ("sys/devices/platform/serial/get_throttled", "1\n"),
            ("proc/stat", "cpu  1 1 1 1 1 1 1 1\ncpu0 1 2 3 4 5 6 7 8 9 9\n"),
            ("proc/self/cgroup", "0::/kubepods/pod1\n"),
            ("sys/fs/cgroup/kubepods/pod1/cpu.stat", "nr_periods 9\nnr_throttled 30\n"),
            ("sys/fs/cgroup/kubepods/cpu.stat", "nr_throttled 400\n"),
            ("proc/net/dev", "eth0: 1 1 0 5 0 0 0 0 1 1 0 6 0 0 0 0\n"),
            ("sys/class/net/eth0/mtu", "1500\n"),
        ]);
        let moment = host.now();
        assert_eq!(moment.thermal, Felt { firmware: Some(0x5_0005), events: None });
        assert_eq!((moment.cpu.cores.len(), moment.cpu.throttled_periods), (1, Some(430)));
        assert_eq!((moment.nic.receive_drops, moment.nic.send_drops), (Some(5), Some(6)));
        assert_eq!(host.nic().unwrap().mtu_bytes, Some(1500));
    }

    /// Version 1 has a hierarchy per controller; x86 counts per core.
    #[test]
    fn an_x86_host_with_cgroups_of_version_1_is_read_too() {
        let (_root, host) = host(&[
            ("proc/self/cgroup", "3:cpuset:/c\n2:cpu,cpuacct:/box\n"),
            ("sys/fs/cgroup/cpu/box/cpu.stat", "nr_throttled 7\n"),
            ("sys/fs/cgroup/cpuset/c/cpu.stat", "nr_throttled 1000\n"),
            ("sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", "1\n"),
            ("sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count", "20\n"),
            ("sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count", "300\n"),
            ("sys/devices/system/cpu/cpuidle/current_driver", "none\n"),
        ]);
        let moment = host.now();
        assert_eq!(moment.cpu.throttled_periods, Some(7));
        assert_eq!(moment.thermal, Felt { firmware: None, events: Some(321) });
    }

    /// A veth says 10000 whatever it runs on; a wire behind a device is believed.
    #[test]
    fn only_a_device_has_a_link_speed() {
        let (root, host) = host(&[
            ("sys/class/net/eth0/type", "1\n"),
            ("sys/class/net/eth0/speed", "10000\n"),
            ("sys/class/net/eth0/operstate", "up\n"),
        ]);
        assert_eq!(host.nic().unwrap().speed_mbps, None);
        fs::create_dir(root.path().join("sys/class/net/eth0/device")).unwrap();
        assert_eq!(host.nic().unwrap().speed_mbps, Some(10_000));
        std::os::unix::fs::symlink(
            "/x/drivers/virtio_net",
            root.path().join("sys/class/net/eth0/device/driver"),
        )
        .unwrap();
        assert_eq!(host.nic().unwrap().speed_mbps, None);
    }

    #[test]
    fn a_sandbox_that_hides_everything_is_no_error() {
        let (_root, host) = host(&[]);
        let moment = host.now();
        assert_eq!((moment.cpu.cores.len(), moment.cpu.throttled_periods), (0, None));
        assert_eq!((moment.nic, moment.thermal), (nic::Counted::default(), Felt::default()));
    }

    /// E10: clock state comes from the kernel, and a bound only while it is kept in step.
    #[test]
    fn the_clock_of_this_host_is_what_its_kernel_says() {
        let clock = Host::of(None).clock().unwrap();
        assert_eq!(clock.synced, sys::clock_is_synchronised().unwrap());
        assert_eq!(clock.error_bound_us.is_some(), clock.synced);
    }
}
