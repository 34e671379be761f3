//! Whole hosts through the pure rule, and the real thing once.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use super::host::{Cpu, Disk, Features, Interface, Kind, Memory};
use super::*;

const MIB: u64 = 1024 * 1024;

/// An Intel N100 box with a gigabit port: what most people have.
fn n100() -> Host {
    Host {
        cpu: Ok(Cpu { cores: 4, max_mhz: Some(3400), model: Some("Intel(R) N100".into()) }),
        features: Ok(Features::X86 { aes: true, avx2: true }),
        memory: Ok(Memory { total: 15_800 * MIB, available: 12_300 * MIB, limited_by_cgroup: false }),
        interfaces: Ok(vec![
            nic("enp1s0", Kind::Physical, Some(1000)),
            nic("lo", Kind::Loopback, None),
            nic("veth12", Kind::Virtual, Some(10_000)),
        ]),
        engine: Some(Ok(())),
        loopback_mbps: Ok(24_017.4),
        tunneled_mbps: None,
        disk: Ok(Disk {
            folder: "/var/lib/reflector".into(),
            exists: true,
            mb_per_sec: 182.26,
            free: 91_000 * MIB,
        }),
        signatures_per_sec: Ok(14_250.0),
        clock_synced: Ok(Some(true)),
        limits: Ok(Limits { soft: 1024, hard: 524_288 }),
    }
}

fn pi5() -> Host {
    Host {
        cpu: Ok(Cpu { cores: 4, max_mhz: Some(2400), model: Some("Raspberry Pi 5 Model B Rev 1.0".into()) }),
        features: Ok(Features::Arm { aes: true, neon: true }),
        interfaces: Ok(vec![nic("eth0", Kind::Physical, Some(1000)), nic("lo", Kind::Loopback, None)]),
        loopback_mbps: Ok(9800.0),
        disk: Ok(Disk { folder: "/data".into(), exists: true, mb_per_sec: 21.0, free: 20_000 * MIB }),
        signatures_per_sec: Ok(5100.0),
        ..n100()
    }
}

fn virtio_vm() -> Host {
    Host {
        cpu: Ok(Cpu { cores: 2, max_mhz: None, model: Some("QEMU Virtual CPU".into()) }),
        interfaces: Ok(vec![nic("eth0", Kind::Paravirtual("virtio_net".into()), Some(10_000))]),
        ..n100()
    }
}

fn pod_with_veth() -> Host {
    Host {
        memory: Ok(Memory { total: 256 * MIB, available: 231 * MIB, limited_by_cgroup: true }),
        interfaces: Ok(vec![nic("eth0", Kind::Virtual, Some(10_000)), nic("lo", Kind::Loopback, None)]),
        ..n100()
    }
}

fn small_vps() -> Host {
    Host {
        cpu: Ok(Cpu { cores: 1, max_mhz: None, model: None }),
        memory: Ok(Memory { total: 461 * MIB, available: 240 * MIB, limited_by_cgroup: false }),
        ..virtio_vm()
    }
}

fn broken_host() -> Host {
    Host {
        memory: Ok(Memory { total: 48 * MIB, available: 9 * MIB, limited_by_cgroup: false }),
        interfaces: Ok(vec![nic("lo", Kind::Loopback, None)]),
        disk: Err(Error::Disk {
            action: "create a test file",
            folder: "/var/lib/reflector".into(),
            source: io::ErrorKind::PermissionDenied.into(),
        }),
        clock_synced: Ok(Some(false)),
        limits: Ok(Limits { soft: 256, hard: 512 }),
        ..n100()
    }
}

fn nic(name: &str, kind: Kind, speed_mbps: Option<u64>) -> Interface {
    Interface { name: name.into(), up: true, kind, speed_mbps }
}

fn status(report: &Report, component: Component) -> Status {
    report.checks.iter().find(|check| check.component == component).unwrap().status
}

fn able(report: &Report, name: &str) -> Option<bool> {
    report.capabilities.iter().find(|each| each.name == name).unwrap().available
}

/// S2. Red when the estimate, not the link, has to reach a gigabit.
#[test]
fn a_gigabit_host_is_ready() {
    for host in [n100(), pi5()] {
        let report = rule::conclude(&host);
        assert_eq!(report.verdict, Verdict::Ready, "{report:#?}");
        assert_eq!(report.estimated_max_mbps, Some(900));
        assert_eq!(report.limited_by, [Component::Nic]);
        assert!(report.capabilities.iter().all(|each| each.available == Some(true)), "{report:#?}");
        assert_eq!(report.exit_code(), 0);
    }
}

/// X8: what a tunnel costs is a number of its own, and never the fault of a host.
#[test]
fn the_tunnel_tax_is_tunneled_over_direct_and_no_check() {
    let with = |direct: Measured<f64>, tunneled: Option<Measured<f64>>| {
        rule::conclude(&Host { loopback_mbps: direct, tunneled_mbps: tunneled, ..n100() })
    };
    let dead = || Error::Engine("it hangs".into());
    for (direct, tunneled, tax) in [
        (Ok(20_000.0), Some(Ok(6_240.0)), Some(0.31)),
        (Ok(20_000.0), Some(Ok(20_400.0)), Some(1.0)),
        (Ok(0.0), Some(Ok(1.0)), None),
        (Ok(20_000.0), Some(Err(dead())), None),
        (Err(dead()), Some(Ok(6_240.0)), None),
        (Ok(20_000.0), None, None),
    ] {
        let report = with(direct, tunneled);
        assert_eq!(report.tunnel_tax, tax);
        assert_eq!(report.checks.len(), 10);
    }
    let report = with(Ok(20_000.0), Some(Ok(6_240.0)));
    assert_eq!(report.verdict, Verdict::Ready, "the tax is no limit");
    assert!(render(&report, false).contains("\nIn a tunnel        31 % of loopback\n"));
}

/// S4. Red when a veth's or virtio's 10000 counts, or when not knowing counts as a failure.
#[test]
fn a_virtual_link_is_unknown_neither_good_nor_bad() {
    for host in [virtio_vm(), pod_with_veth()] {
        let report = rule::conclude(&host);
        assert_eq!(status(&report, Component::Nic), Status::Unknown);
        assert_eq!(report.verdict, Verdict::ReadyLimited);
        assert_eq!(report.limited_by, [Component::Nic]);
        assert_eq!(report.estimated_max_mbps, None);
        assert_eq!((able(&report, "1G NIC"), able(&report, "1 Gbps Throughput")), (None, None));
        assert_eq!(report.exit_code(), 0);
        assert!(render(&report, false).ends_with("\nREADY (limited): because of NIC speed (unknown)\n"));
    }
}

#[test]
fn a_small_vps_serves_with_limits() {
    let report = rule::conclude(&small_vps());
    assert_eq!(report.verdict, Verdict::ReadyLimited);
    assert_eq!(report.limited_by, [Component::Cpu, Component::Nic]);
    assert_eq!(status(&report, Component::Memory), Status::Pass);
}

/// S1
#[test]
fn a_broken_host_is_not_ready_and_exits_2() {
    let report = rule::conclude(&broken_host());
    assert_eq!(report.verdict, Verdict::NotReady);
    let culprits = [Component::Memory, Component::Nic, Component::Disk, Component::Descriptors];
    assert_eq!(report.limited_by, culprits);
    assert_eq!(report.exit_code(), 2);
    assert_eq!((able(&report, "Audit Log"), able(&report, "1G NIC")), (Some(false), Some(false)));
}

/// S1
#[test]
fn a_missing_promise_degrades_and_still_exits_0() {
    for (host, culprit) in [
        (Host { engine: None, ..n100() }, Component::Engine),
        (Host { clock_synced: Ok(Some(false)), ..n100() }, Component::Clock),
        (Host { limits: Ok(Limits { soft: 1024, hard: 2048 }), ..n100() }, Component::Descriptors),
        (
            Host {
                memory: Ok(Memory { total: 200 * MIB, available: 99 * MIB, limited_by_cgroup: true }),
                ..n100()
            },
            Component::Memory,
        ),
    ] {
        let report = rule::conclude(&host);
        assert_eq!((report.verdict, report.exit_code()), (Verdict::Degraded, 0));
        assert_eq!(report.limited_by, [culprit]);
    }
}

/// A 100 Mbit/s link, a processor without AES (Pi 4) and a slow host cost speed, nothing else.
#[test]
fn what_only_costs_speed_limits() {
    let slow_link = Ok(vec![nic("eth0", Kind::Physical, Some(100))]);
    for (host, culprit, estimate) in [
        (Host { interfaces: slow_link, ..n100() }, Component::Nic, 90),
        (
            Host { features: Ok(Features::Arm { aes: false, neon: true }), ..n100() },
            Component::CpuFeatures,
            900,
        ),
        (Host { loopback_mbps: Ok(400.0), ..n100() }, Component::Loopback, 360),
        (Host { signatures_per_sec: Ok(20.0), ..n100() }, Component::Ed25519, 900),
    ] {
        let report = rule::conclude(&host);
        assert_eq!(report.verdict, Verdict::ReadyLimited);
        assert_eq!(
            (report.limited_by.as_slice(), report.estimated_max_mbps),
            ([culprit].as_slice(), Some(estimate))
        );
    }
}

#[test]
fn a_missing_avx2_is_no_defect() {
    let report = rule::conclude(&Host { features: Ok(Features::X86 { aes: true, avx2: false }), ..n100() });
    assert_eq!(report.verdict, Verdict::Ready);
}

#[test]
fn links_that_are_down_do_not_count() {
    let mut fast_but_down = nic("eth1", Kind::Physical, Some(10_000));
    fast_but_down.up = false;
    let interfaces = Ok(vec![nic("eth0", Kind::Physical, Some(2500)), fast_but_down]);
    assert_eq!(rule::conclude(&Host { interfaces, ..n100() }).estimated_max_mbps, Some(2250));
    assert_eq!(rule::conclude(&Host { interfaces: Ok(vec![]), ..n100() }).verdict, Verdict::ReadyLimited);
}

/// S1. Red when one broken check hides another, or a bug of ours passes for the host's fault.
#[test]
fn a_check_that_breaks_exits_1_and_the_others_go_on() {
    fn breaks() -> Option<bool> {
        panic!("as a bug would")
    }
    let folder = tempfile::tempdir().unwrap();
    let report = run(&Options { clock_synced: breaks, ..quick(folder.path()) }, &mut |_| ());
    assert_eq!(report.exit_code(), EXIT_INTERNAL);
    assert_eq!(status(&report, Component::Clock), Status::Unknown);
    assert_eq!((report.checks.len(), able(&report, "Audit Log")), (10, Some(true)), "{report:#?}");
}

/// Every status but `pass` comes with something to do, and `pass` with nothing.
#[test]
fn whoever_is_told_of_a_problem_is_told_what_to_do() {
    let dead = || Error::Missing { file: "/proc/x", what: "anything" };
    let blind = Host {
        cpu: Err(dead()),
        features: Err(dead()),
        memory: Err(dead()),
        interfaces: Err(dead()),
        engine: Some(Err(dead())),
        loopback_mbps: Err(dead()),
        tunneled_mbps: Some(Err(dead())),
        disk: Err(dead()),
        signatures_per_sec: Err(dead()),
        clock_synced: Ok(None),
        limits: Err(Error::Internal),
    };
    for host in [n100(), pi5(), virtio_vm(), pod_with_veth(), small_vps(), broken_host(), blind] {
        for check in rule::conclude(&host).checks {
            assert_eq!(check.remediation.is_empty(), check.status == Status::Pass, "{check:?}");
            assert!(!check.details.is_empty(), "{check:?}");
        }
    }
}

fn quick(state_dir: &Path) -> Options {
    Options { state_dir: state_dir.into(), quick: true, throughput_engine: true, clock_synced: || Some(true) }
}

/// S1
#[test]
#[expect(clippy::disallowed_methods, reason = "measures how long the self-test takes")]
fn a_quick_run_checks_ten_things_in_order_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (mut seen, start) = (Vec::new(), Instant::now());
    let report = run(&quick(folder.path()), &mut |name| seen.push(name.to_owned()));
    let order: Vec<_> = report.checks.iter().map(|check| check.component.as_str()).collect();
    assert_eq!(seen, order);
    assert_eq!(
        order,
        [
            "CPU",
            "CPU features",
            "Memory",
            "NIC speed",
            "iperf3 engine",
            "Loopback throughput",
            "Disk",
            "Ed25519",
            "Clock",
            "File descriptors"
        ]
    );
    assert!(!report.internal_error && start.elapsed() < Duration::from_secs(30), "{report:#?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// S1. Red when a JSON name, value or order changes.
#[test]
fn the_json_is_stable() {
    golden("n100.json", &(serde_json::to_string_pretty(&rule::conclude(&n100())).unwrap() + "\n"));
    golden("broken.json", &(serde_json::to_string_pretty(&rule::conclude(&broken_host())).unwrap() + "\n"));
}

#[test]
fn the_table_is_aligned_and_ends_with_the_verdict() {
    let ready = render(&rule::conclude(&n100()), false);
    assert_eq!(ready.lines().last(), Some("READY: the limit is NIC speed"));
    let broken = render(&rule::conclude(&broken_host()), false);
    assert_eq!(
        broken.lines().last(),
        Some("NOT READY: because of Memory, NIC speed, Disk, File descriptors")
    );
    golden("n100.txt", &ready);
    golden("broken.txt", &broken);
}

/// Red when escape sequences reach a file, or move the columns.
#[test]
fn colours_only_add_escape_sequences() {
    for host in [n100(), broken_host()] {
        let report = rule::conclude(&host);
        let (plain, coloured) = (render(&report, false), render(&report, true));
        assert!(!plain.contains('\u{1b}') && coloured.contains('\u{1b}'));
        assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
    }
}

/// Red when a check is added or renamed without its row, or a threshold differs from the page.
#[test]
fn the_reference_page_names_every_check_and_threshold() {
    let page = include_str!("../../../docs/reference/self-test.md");
    let (_, table) = page.split_once("\n| Check |").unwrap();
    let rows: Vec<_> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    let names: Vec<_> = rows.iter().filter_map(|row| row.split('|').nth(1)).map(str::trim).collect();
    let checks = rule::conclude(&n100()).checks;
    assert_eq!(names, checks.iter().map(|check| check.component.as_str()).collect::<Vec<_>>());
    for (row, limit) in [(2, judge::MEMORY / MIB), (3, judge::GIGABIT), (9, DESCRIPTORS_NEEDED)] {
        assert!(rows[row].contains(&limit.to_string()), "{}", rows[row]);
    }
    for (row, limit) in [(5, judge::LOOPBACK), (6, judge::DISK_MB_PER_SEC), (7, judge::SIGNATURES_PER_SEC)] {
        assert!(rows[row].contains(&limit.to_string()), "{}", rows[row]);
    }
}

#[expect(clippy::disallowed_methods, reason = "asks whether golden files are to be written")]
fn golden(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/selftest/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, actual).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(actual, expected, "if meant: UPDATE_GOLDEN=1 cargo test -p reflector --lib selftest::");
}
