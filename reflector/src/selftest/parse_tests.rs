//! Texts as real machines write them.

use proptest::prelude::*;

use super::*;

const N100: &str = "processor\t: 0\nmodel name\t: Intel(R) N100\ncpu MHz\t\t: 2904.123\nflags\t\t: fpu sse2 aes avx2\n\n\
    processor\t: 1\nmodel name\t: another\n";
const PI5: &str = "processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm aes pmull sha1\n\n\
    Revision\t: d04170\nModel\t\t: Raspberry Pi 5 Model B Rev 1.0\n";
const PI4: &str = "processor\t: 0\nFeatures\t: fp asimd evtstrm crc32 cpuid\n\n\
    Model\t\t: Raspberry Pi 4 Model B Rev 1.4\n";

#[test]
fn cpuinfo_of_both_architectures_is_understood() {
    assert_eq!(model(N100).as_deref(), Some("Intel(R) N100"));
    assert_eq!(current_mhz(N100), Some(2904));
    assert_eq!(features(N100).unwrap(), Features::X86 { aes: true, avx2: true });
    assert_eq!(model(PI5).as_deref(), Some("Raspberry Pi 5 Model B Rev 1.0"));
    assert_eq!(current_mhz(PI5), None);
    assert_eq!(features(PI5).unwrap(), Features::Arm { aes: true, neon: true });
    assert_eq!(features(PI4).unwrap(), Features::Arm { aes: false, neon: true });
    assert!(features("processor : 0\n").is_err());
    assert_eq!(max_mhz("3400000\n"), Some(3400));
}

/// `aes` inside another flag's name (`vaes`) is not AES.
#[test]
fn a_flag_is_a_whole_word() {
    assert_eq!(features("flags : vaes avx2x\n").unwrap(), Features::X86 { aes: false, avx2: false });
}

#[test]
fn unlimited_cgroups_are_no_limit_in_either_version() {
    assert_eq!(cgroup_bytes("max\n"), None);
    assert_eq!(cgroup_bytes("9223372036854771712\n"), None);
    assert_eq!(cgroup_bytes("268435456\n"), Some(268_435_456));
    assert_eq!(meminfo("MemTotal:  1000 kB\nMemAvailable: 7 kB\n", "MemAvailable"), Some(7168));
    assert_eq!(inactive_file("anon 1\ninactive_file 30\n"), 30);
    assert_eq!(inactive_file("inactive_file 30\ntotal_inactive_file 40\n"), 40);
}

#[test]
fn every_cgroup_above_us_is_looked_at() {
    let paths = |text| cgroup_folders(text).into_iter().map(|f| f.path.join(f.limit)).collect::<Vec<_>>();
    assert_eq!(
        paths("0::/system.slice/reflector.service\n"),
        ["system.slice/reflector.service/memory.max", "system.slice/memory.max", "memory.max"]
            .map(PathBuf::from)
    );
    assert_eq!(
        paths("5:cpu:/a\n4:memory:/pod\n"),
        ["memory/pod/memory.limit_in_bytes", "memory/memory.limit_in_bytes"].map(PathBuf::from)
    );
    assert_eq!(paths("0::/../../x\n"), [PathBuf::from("memory.max")]);
}

fn raw(driver: Option<&str>, speed: &str) -> Interface {
    interface(&RawInterface {
        name: "eth0".into(),
        hardware: "1\n".into(),
        operstate: "up\n".into(),
        device: driver.is_some(),
        driver: driver.map(str::to_owned),
        speed: Some(speed.into()),
    })
}

/// S4
#[test]
fn only_a_device_with_a_link_of_its_own_is_physical() {
    assert_eq!(raw(Some("igc"), "1000\n").kind, Kind::Physical);
    assert_eq!(raw(Some("virtio_net"), "10000\n").kind, Kind::Paravirtual("virtio_net".into()));
    assert_eq!(raw(None, "10000\n").kind, Kind::Virtual);
    let lo =
        RawInterface { hardware: "772\n".into(), operstate: "unknown\n".into(), ..RawInterface::default() };
    assert_eq!(interface(&lo).kind, Kind::Loopback);
}

#[test]
fn the_spellings_of_an_unknown_speed_are_no_speed() {
    assert_eq!(raw(Some("igc"), "1000\n").speed_mbps, Some(1000));
    for text in ["-1\n", "0\n", "65535\n", "4294967295\n", "", "fast"] {
        assert_eq!(raw(Some("igc"), text).speed_mbps, None, "{text:?}");
    }
}

proptest! {
    /// Whatever a hypervisor writes, nothing panics and no cgroup path climbs.
    #[test]
    fn any_text_is_survived(text in "[ -~\n\t:/.]{0,200}") {
        let _ = (model(&text), current_mhz(&text), features(&text), cgroup_bytes(&text), inactive_file(&text));
        for folder in cgroup_folders(&text) {
            prop_assert!(folder.path.is_relative());
            prop_assert!(!folder.path.components().any(|part| part == std::path::Component::ParentDir));
        }
    }

    #[test]
    fn names_are_short_and_printable(name in "\\PC*|\u{1b}\\[31m.*") {
        let shown = interface(&RawInterface { name, ..RawInterface::default() }).name;
        prop_assert!(shown.chars().count() <= NAME_CHARS && !shown.chars().any(char::is_control));
    }
}
