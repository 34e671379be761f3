//! One measurement in, one check out. Pure: every threshold is a constant here, with its reason.
//!
//! `fail` is kept for what stops tests or their record; what only costs speed is `warn`; what could not be read is
//! `unknown` and blames nobody.

use serde_json::json;

use super::host::{
    Cpu, DESCRIPTORS_NEEDED, Disk, Error, Features, Interface, Kind, Limits, Measured, Memory, raise_to,
};
use super::report::{Check, Component, Status};

/// One core for the streams of a test, one for everything else.
const CORES: usize = 2;
/// The shipped pod's own limit: a test with eight streams and their socket buffers fits.
pub(super) const MEMORY: u64 = 256 * MIB;
/// The daemon (25), hashing of a pairing code (19) and one small test.
const MEMORY_LEAST: u64 = 64 * MIB;
/// What one test's socket buffers and the hash may take on top of the daemon that runs already.
const MEMORY_FREE: u64 = 64 * MIB;
/// A gigabit link.
pub(super) const GIGABIT: u64 = 1000;
/// Loopback must exceed a gigabit by the 0.9 that is left of it in the estimate, or the host is the bottleneck.
pub(super) const LOOPBACK: f64 = 1112.0;
/// Below Fast Ethernet a test measures this host, not a network.
const LOOPBACK_LEAST: f64 = 100.0;
/// Ledger and audit write a few kilobytes a second; a tenth of this still keeps up, but syncs then take a second.
pub(super) const DISK_MB_PER_SEC: f64 = 5.0;
/// Some 100 000 audit lines, and room for the ledger to compact.
const DISK_FREE: u64 = 64 * MIB;
/// 512 connections that all come back after a restart are through their handshakes in a few seconds.
pub(super) const SIGNATURES_PER_SEC: f64 = 200.0;
/// The 512 connections, their data streams, the files: below this the caps cannot be reached.
const DESCRIPTORS_LEAST: u64 = 1024;
/// Interfaces named in details.
const NAMED: usize = 4;

const MIB: u64 = 1024 * 1024;

/// Cores, clock and model. The clock is shown, not judged: the loopback check measures what it is worth.
pub(super) fn cpu(measured: &Measured<Cpu>) -> Check {
    let it = Component::Cpu;
    let cpu = match measured {
        Ok(cpu) => cpu,
        Err(error) => return unknown(it, error, "Make /proc readable for the reflector."),
    };
    let mut details = format!("{} usable core{}", cpu.cores, if cpu.cores == 1 { "" } else { "s" });
    for part in [cpu.max_mhz.map(|mhz| format!(", {mhz} MHz")), cpu.model.as_ref().map(|m| format!(", {m}"))]
    {
        details.push_str(&part.unwrap_or_default());
    }
    let fix = "Give the reflector two cores, or expect tests to slow each other and everything else down.";
    graded(it, cpu.cores >= CORES, Status::Warn, details, fix)
        .with(json!({ "cores": cpu.cores, "max_mhz": cpu.max_mhz, "model": cpu.model }))
}

/// AES makes TLS fast. AVX2 is shown and never needed.
pub(super) fn features(measured: &Measured<Features>) -> Check {
    let it = Component::CpuFeatures;
    let features = match measured {
        Ok(features) => features,
        Err(error) => {
            return unknown(it, error, "Nothing needs doing: the reflector detects features itself.");
        }
    };
    let word = |present| if present { "yes" } else { "no" };
    let (aes, details, numbers) = match *features {
        Features::X86 { aes, avx2 } => (
            aes,
            format!("AES {}, AVX2 {} (not needed)", word(aes), word(avx2)),
            json!({ "aes": aes, "avx2": avx2 }),
        ),
        Features::Arm { aes, neon } => {
            (aes, format!("AES {}, NEON {}", word(aes), word(neon)), json!({ "aes": aes, "neon": neon }))
        }
    };
    let fix =
        "Nothing is broken: TLS uses ChaCha20 instead. Prefer direct tests, tunnelled ones are slower here.";
    graded(it, aes, Status::Warn, details, fix).with(numbers)
}

/// What this process may use, cgroup limits included.
pub(super) fn memory(measured: &Measured<Memory>) -> Check {
    let it = Component::Memory;
    let memory = match measured {
        Ok(memory) => memory,
        Err(error) => return unknown(it, error, "Make /proc/meminfo readable for the reflector."),
    };
    let (total, available) = (memory.total / MIB, memory.available / MIB);
    let source = if memory.limited_by_cgroup { " (cgroup limit)" } else { "" };
    let details = format!("{total} MiB{source}, {available} MiB available");
    let status = if memory.total < MEMORY_LEAST { Status::Fail } else { Status::Warn };
    let fix = if memory.total < MEMORY {
        "Give the reflector 256 MiB: raise the memory limit of its container or unit, or use a larger host."
    } else {
        "Free memory: other programs leave less than 64 MiB for the buffers of a test."
    };
    graded(it, memory.total >= MEMORY && memory.available >= MEMORY_FREE, status, details, fix)
        .with(json!({ "total_mib": total, "available_mib": available, "cgroup": memory.limited_by_cgroup }))
}

/// The fastest physical link that is up. What a veth, tun or paravirtual device says is not a wire's speed.
pub(super) fn nic(measured: &Measured<Vec<Interface>>) -> Check {
    let it = Component::Nic;
    let interfaces = match measured {
        Ok(interfaces) => interfaces,
        Err(error) => return unknown(it, error, "Mount /sys, or measure from another host."),
    };
    let up: Vec<_> = interfaces.iter().filter(|each| each.up && each.kind != Kind::Loopback).collect();
    if up.is_empty() && !interfaces.is_empty() {
        let details = "no interface but loopback is up".to_owned();
        return Check::not_ok(
            it,
            Status::Fail,
            details,
            "Connect the host to a network: nobody can reach it.",
        );
    }
    let named =
        |some: &[&Interface]| some.iter().take(NAMED).map(|each| label(each)).collect::<Vec<_>>().join(", ");
    let Some((mbps, fastest)) = nic_mbps(measured).and_then(|mbps| {
        let fastest = up.iter().copied().find(|each| wire(each) == Some(mbps))?;
        Some((mbps, fastest))
    }) else {
        let details = if up.is_empty() {
            "no interface is visible".into()
        } else {
            format!("not told by {}", named(&up))
        };
        let fix = "Virtual links have no speed of their own. Measure from another host.";
        return Check::not_ok(it, Status::Unknown, details, fix);
    };
    let fix =
        "Use a gigabit port, cable and switch; a damaged pair makes a gigabit link fall back to 100 Mbit/s.";
    graded(it, mbps >= GIGABIT, Status::Warn, format!("{mbps} Mbit/s on {}", fastest.name), fix)
        .with(json!({ "mbps": mbps, "interface": fastest.name }))
}

/// The speed of the fastest physical link that is up.
pub(super) fn nic_mbps(measured: &Measured<Vec<Interface>>) -> Option<u64> {
    measured.as_ref().ok()?.iter().filter(|each| each.up).filter_map(wire).max()
}

fn wire(interface: &Interface) -> Option<u64> {
    interface.speed_mbps.filter(|_| interface.kind == Kind::Physical)
}

fn label(interface: &Interface) -> String {
    match &interface.kind {
        Kind::Paravirtual(driver) => format!("{} ({driver})", interface.name),
        Kind::Virtual => format!("{} (virtual)", interface.name),
        Kind::Physical | Kind::Loopback => interface.name.clone(),
    }
}

/// Whether this build runs throughput tests itself, and one of them went well. No external program is looked for.
pub(super) fn engine(tried: Option<&Measured<()>>) -> Check {
    match tried {
        Some(Ok(())) => return Check::pass(Component::Engine, "in process, served a test".into()),
        Some(Err(error)) => {
            let fix = "Tests would fail like this one: see whether a firewall or sandbox forbids sockets on 127.0.0.1, and \
                       report it if not.";
            return failed(Component::Engine, error, fix);
        }
        None => {}
    }
    let details = "not part of this build: throughput requests will be denied".into();
    let fix = "Install a build with the throughput engine. UDP echo does not need it.";
    Check::not_ok(Component::Engine, Status::Warn, details, fix)
}

/// Four TCP streams over 127.0.0.1.
pub(super) fn loopback(measured: &Measured<f64>) -> Check {
    let it = Component::Loopback;
    let mbps = match measured {
        Ok(mbps) => *mbps,
        Err(error) => return failed(it, error, "Bring the loopback interface up: `ip link set lo up`."),
    };
    let status = if mbps < LOOPBACK_LEAST { Status::Fail } else { Status::Warn };
    let fix = "This host is slower than a gigabit link, so tests measure the host. Stop other work, lift CPU limits \
               and power saving, or use a faster machine.";
    graded(it, mbps >= LOOPBACK, status, format!("{mbps:.0} Mbit/s with 4 TCP streams"), fix)
        .with(json!({ "mbps": whole(mbps) }))
}

/// Where key, ledger and audit log live.
pub(super) fn disk(measured: &Measured<Disk>) -> Check {
    let it = Component::Disk;
    let disk = match measured {
        Ok(disk) => disk,
        Err(error) => {
            let fix = "Make the state folder writable for the user the reflector runs as, with space left on it, or \
                       point identity.private_key_path elsewhere.";
            return failed(it, error, fix);
        }
    };
    let (folder, speed, free) = (disk.folder.display(), disk.mb_per_sec, disk.free / MIB);
    let yet = if disk.exists { "" } else { ", the nearest folder that exists" };
    let details = format!("{speed:.1} MB/s synced, {free} MiB free in {folder}{yet}");
    let fix = if disk.free < DISK_FREE {
        "Free some space: when the disk is full no audit line can be written."
    } else {
        "Put the state folder on a faster disk; a worn or cheap SD card is the usual cause."
    };
    graded(it, speed >= DISK_MB_PER_SEC && disk.free >= DISK_FREE, Status::Warn, details, fix)
        .with(json!({ "mb_per_sec": (speed * 10.0).round() / 10.0, "free_mib": free }))
}

/// Signing and verifying, once each per TLS handshake.
pub(super) fn ed25519(measured: &Measured<f64>) -> Check {
    let it = Component::Ed25519;
    let rate = match measured {
        Ok(rate) => *rate,
        Err(error) => {
            return failed(it, error, "Do not use this host: its processor or this build is broken.");
        }
    };
    let fix = "Handshakes are slow here. Stop other work or use a faster machine.";
    graded(it, rate >= SIGNATURES_PER_SEC, Status::Warn, format!("{rate:.0} sign and verify per second"), fix)
        .with(json!({ "per_sec": whole(rate) }))
}

/// The kernel's own word on its clock.
pub(super) fn clock(measured: &Measured<Option<bool>>) -> Check {
    let it = Component::Clock;
    let fix = "Run an NTP client (systemd-timesyncd or chrony): daily quotas, windows and audit times need the time.";
    match measured {
        Err(error) => unknown(it, error, fix),
        Ok(None) => Check::not_ok(
            it,
            Status::Unknown,
            "the kernel does not say whether it is synchronised".into(),
            fix,
        ),
        Ok(Some(synced)) => {
            let details = if *synced { "synchronised" } else { "not synchronised" };
            graded(it, *synced, Status::Warn, details.into(), fix).with(json!({ "synchronised": synced }))
        }
    }
}

/// Limits on open files, after we have raised ours.
pub(super) fn descriptors(measured: &Measured<Limits>) -> Check {
    let it = Component::Descriptors;
    let fix =
        "Raise the hard limit to 4096 or more: LimitNOFILE= in a unit, --ulimit nofile= for a container.";
    let limits = match measured {
        Ok(limits) => *limits,
        Err(error) => return unknown(it, error, fix),
    };
    let reach = raise_to(limits);
    let finite = |number: u64| (number != u64::MAX).then_some(number);
    let number = |limit: u64| finite(limit).map_or("unlimited".to_owned(), |limit| limit.to_string());
    let raised = if reach > limits.soft { format!(", raised to {reach} at start") } else { String::new() };
    let details = format!("soft limit {}{raised}, hard limit {}", number(limits.soft), number(limits.hard));
    let status = if reach < DESCRIPTORS_LEAST { Status::Fail } else { Status::Warn };
    graded(it, reach >= DESCRIPTORS_NEEDED, status, details, fix)
        .with(json!({ "soft": finite(limits.soft), "hard": finite(limits.hard), "raised_to": finite(reach) }))
}

/// Nobody needs the fraction of a megabit.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates; rates are positive")]
pub(super) fn whole(rate: f64) -> u64 {
    rate.round() as u64
}

/// `pass` when good, else the given status and what to do.
fn graded(component: Component, good: bool, otherwise: Status, details: String, fix: &str) -> Check {
    if good { Check::pass(component, details) } else { Check::not_ok(component, otherwise, details, fix) }
}

/// Nothing was found out, which says nothing about the host.
fn unknown(component: Component, error: &Error, fix: &str) -> Check {
    Check::not_ok(component, Status::Unknown, error.to_string(), fix)
}

/// The host could not do what a test needs. A bug of ours is not the host's failure.
fn failed(component: Component, error: &Error, fix: &str) -> Check {
    let status = if matches!(error, Error::Internal) { Status::Unknown } else { Status::Fail };
    Check::not_ok(component, status, error.to_string(), fix)
}
