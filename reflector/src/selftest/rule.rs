//! From ten checks to one word. The rule:
//!
//! | any check | verdict |
//! |---|---|
//! | `fail` | NOT READY: tests do not run, or nothing can be recorded |
//! | else `warn` of memory, iperf3 engine, disk, clock or file descriptors | DEGRADED: tests run, a promise is broken |
//! | else `warn` of any other, or `unknown` | READY (limited): below a gigabit, or a gigabit is not shown |
//! | else | READY |
//!
//! The estimate is nine tenths of the slower of loopback and link, when both are known: headers and the other
//! direction's acknowledgements take the rest. So a gigabit host is READY, with an estimate of 900.

use super::host::{Error, Host};
use super::judge;
use super::report::{Capability, Check, Component, Report, Status, Verdict};

/// Tenths of the slower of loopback and link that a test may reach.
const EFFICIENCY: f64 = 0.9;

/// The schema of the report; a key may be added, none changes.
const SCHEMA: &str = "reflector.selftest/1";

/// Judges everything that was measured.
pub(super) fn conclude(host: &Host) -> Report {
    let checks = vec![
        judge::cpu(&host.cpu),
        judge::features(&host.features),
        judge::memory(&host.memory),
        judge::nic(&host.interfaces),
        judge::engine(host.engine.as_ref()),
        judge::loopback(&host.loopback_mbps),
        judge::disk(&host.disk),
        judge::ed25519(&host.signatures_per_sec),
        judge::clock(&host.clock_synced),
        judge::descriptors(&host.limits),
    ];
    let (verdict, mut limited_by) = verdict(&checks);
    let estimate = estimate(host);
    if verdict == Verdict::Ready {
        limited_by.extend(estimate.map(|(_, by)| by));
    }
    Report {
        schema: SCHEMA,
        verdict,
        estimated_max_mbps: estimate.map(|(mbps, _)| mbps),
        tunnel_tax: tunnel_tax(host),
        limited_by,
        capabilities: capabilities(host, &checks),
        checks,
        internal_error: broken(host),
    }
}

/// The word, and the checks that earned it.
pub(super) fn verdict(checks: &[Check]) -> (Verdict, Vec<Component>) {
    let failed = |check: &&Check| check.status == Status::Fail;
    let promise = |check: &&Check| check.status == Status::Warn && is_promise(check.component);
    let short = |check: &&Check| check.status != Status::Pass;
    for (verdict, because) in [
        (Verdict::NotReady, &failed as &dyn Fn(&&Check) -> bool),
        (Verdict::Degraded, &promise),
        (Verdict::ReadyLimited, &short),
    ] {
        let culprits: Vec<_> =
            checks.iter().filter(|check| because(check)).map(|check| check.component).collect();
        if !culprits.is_empty() {
            return (verdict, culprits);
        }
    }
    (Verdict::Ready, Vec::new())
}

/// What a warning of this component costs is not speed but something a reflector promises: tests of every type, exact
/// days and times, a complete record, room for every peer.
fn is_promise(component: Component) -> bool {
    match component {
        Component::Memory
        | Component::Engine
        | Component::Disk
        | Component::Clock
        | Component::Descriptors => true,
        Component::Cpu
        | Component::CpuFeatures
        | Component::Nic
        | Component::Loopback
        | Component::Ed25519 => false,
    }
}

/// Mbit/s and what sets them; `None` unless both sides are known.
fn estimate(host: &Host) -> Option<(u64, Component)> {
    let loopback = *host.loopback_mbps.as_ref().ok()?;
    #[expect(clippy::cast_precision_loss, reason = "link speeds are far below 2^53 Mbit/s")]
    let nic = judge::nic_mbps(&host.interfaces)? as f64;
    let (least, by) = if loopback < nic { (loopback, Component::Loopback) } else { (nic, Component::Nic) };
    Some((judge::whole(least * EFFICIENCY), by))
}

/// Two digits: the next one differs from run to run. A tunnel is never faster; where it seems so, noise is.
fn tunnel_tax(host: &Host) -> Option<f64> {
    let direct = *host.loopback_mbps.as_ref().ok()?;
    let tunneled = *host.tunneled_mbps.as_ref()?.as_ref().ok()?;
    let ratio = tunneled / direct;
    ratio.is_finite().then(|| (ratio * 100.0).round().clamp(0.0, 100.0) / 100.0)
}

fn capabilities(host: &Host, checks: &[Check]) -> Vec<Capability> {
    let works = |component: Component| {
        let status = checks.iter().find(|check| check.component == component)?.status;
        (status != Status::Unknown).then_some(status != Status::Fail)
    };
    // No link at all is an answer too.
    let gigabit_link = judge::nic_mbps(&host.interfaces)
        .map(|mbps| mbps >= judge::GIGABIT)
        .or(works(Component::Nic).filter(|up| !up));
    let fast_enough = host.loopback_mbps.as_ref().ok().map(|mbps| *mbps >= judge::LOOPBACK);
    let gigabit = all([Some(matches!(host.engine, Some(Ok(())))), gigabit_link, fast_enough]);
    let synced = host.clock_synced.as_ref().ok().copied().flatten();
    [
        ("1 Gbps Throughput", gigabit),
        ("1G NIC", gigabit_link),
        ("mTLS", works(Component::Ed25519)),
        ("Audit Log", works(Component::Disk)),
        ("Timestamps", synced),
    ]
    .map(|(name, available)| Capability { name, available })
    .into()
}

/// One "no" decides; otherwise one "unknown" does.
fn all(parts: [Option<bool>; 3]) -> Option<bool> {
    if parts.contains(&Some(false)) {
        Some(false)
    } else {
        parts.into_iter().collect::<Option<Vec<_>>>().map(|_| true)
    }
}

/// Whether a check panicked.
fn broken(host: &Host) -> bool {
    let errors = [
        host.cpu.as_ref().err(),
        host.features.as_ref().err(),
        host.memory.as_ref().err(),
        host.interfaces.as_ref().err(),
        host.loopback_mbps.as_ref().err(),
        host.disk.as_ref().err(),
        host.signatures_per_sec.as_ref().err(),
        host.clock_synced.as_ref().err(),
        host.limits.as_ref().err(),
    ];
    errors.into_iter().flatten().any(|error| matches!(error, Error::Internal))
}
