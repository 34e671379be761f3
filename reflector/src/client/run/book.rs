//! The result while it grows: what each run adds to it, and what is known at its end.

use std::time::Duration;

use jiff::Timestamp;

use super::super::assemble::Run;
use super::super::echo::Found;
use super::super::plan::{Phase, Plan, Route};
use super::super::result::{Local, PhaseMode, Remote, RemoteKind, SCHEMA, TestResult, Usage, responsiveness};
use super::super::session::Session;
use super::super::tax::tunnel_tax;
use super::super::throughput::Outcome;
use super::{Measured, RunError, Server};
use crate::engine::echo::drops::Cause;
use crate::engine::evidence::clock::ClockState;
use crate::engine::evidence::limit::Granted;
use crate::engine::evidence::{Evidence, Real, float};
use crate::engine::measured::Measured as SessionMeasured;
use crate::link::message::Mode;
use crate::reason::EndReason;
use crate::selftest;

/// Said where delays of one direction are missing.
const ONE_WAY_WHY: &str = "the clocks of both ends have to be kept in step (NTP or PTP)";

/// A run that came to an end.
pub(super) enum Done {
    Session(Box<Session>),
    Stock(Box<Outcome>),
}

/// The result while it grows.
pub(super) struct Book {
    pub(super) result: TestResult,
    pub(super) complete: bool,
    remaining: Option<u64>,
    /// Direct and tunneled runs are to be compared.
    compares: bool,
}

impl Book {
    pub(super) async fn open(server: &mut Server<'_>, plan: &Plan, now: Timestamp) -> Self {
        let (local, reflector, remaining) = match server {
            Server::Reflector(link, us) => {
                let local = Local {
                    endpoint_id: Some(us.identity.id().to_string()),
                    address: Some(link.local().ip().to_string()),
                    ..Local::default()
                };
                // Facts are worth having and no reason to fail.
                let meta = link.path_meta().await.ok();
                let remote = Remote {
                    target: link.address().at.to_string(),
                    kind: RemoteKind::Reflector,
                    address: Some(link.remote().ip().to_string()),
                    endpoint_id: Some(link.address().endpoint_id.to_string()),
                    version: meta.as_ref().map(|meta| meta.build_version.clone()),
                    network_position: link.hello().network_position.clone(),
                    mtu_bytes: meta.as_ref().and_then(|meta| meta.mtu),
                    cpu_load: meta.as_ref().and_then(|meta| Real::of(meta.cpu_load)),
                    ..Remote::default()
                };
                (local, remote, link.hello().bytes_remaining)
            }
            Server::Iperf3(at) => {
                let target = at.to_string();
                (Local::default(), Remote { target, kind: RemoteKind::Iperf3, ..Remote::default() }, None)
            }
        };
        let result = TestResult {
            schema: SCHEMA.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: now,
            local,
            reflector,
            phases: Vec::new(),
            responsiveness: None,
            tunnel_tax: None,
            usage: Usage::default(),
            not_measured: Vec::new(),
            warnings: plan.notes.clone(),
        };
        let has = |route| plan.phases.iter().any(|phase| phase.route == route);
        let compares = has(Route::Direct) && has(Route::Tunneled);
        Self { result, complete: true, remaining, compares }
    }

    pub(super) fn enter(&mut self, phase: &Phase, done: &Done) {
        let nothing = SessionMeasured::default();
        let (outcome, session) = match done {
            Done::Session(session) => (&session.outcome, Some(&**session)),
            Done::Stock(outcome) => (&**outcome, None),
        };
        let result = session.and_then(|session| session.result.as_ref());
        let seen = result.map_or(&nothing, |result| &result.measured);
        let limits = [Cause::Rate.as_str(), Cause::Quota.as_str()];
        let held_back = seen.echo_dropped.iter().filter(|(cause, _)| limits.contains(&cause.as_str()));
        let limited = held_back.map(|(_, count)| *count).fold(0, u64::saturating_add);
        // Whoever is cut answers no more, and the path has lost nothing.
        let cut = result.is_some_and(|result| result.end_reason != EndReason::Completed);
        let clocks_us = apart(outcome.evidence.clock.as_ref(), seen.evidence.clock.as_ref());
        let told = |found: Option<&Found>, limited, cut| {
            found.cloned().map(|found| found.told(limited, cut, clocks_us))
        };
        let idle = told(session.and_then(|session| session.idle.as_ref()), 0, false);
        let loaded = told(session.and_then(|session| session.loaded.as_ref()), limited, cut);
        let run = Run {
            phase,
            mode: match session.map(|session| session.grant.mode) {
                Some(Mode::Tunneled) => PhaseMode::Tunneled,
                _ => PhaseMode::Direct,
            },
            test_id: session.map(|session| session.grant.test_id),
            outcome,
            result,
            remote: &seen.evidence,
            granted: self.granted(phase, session),
            datagram_bytes: outcome.block,
            echo_idle: idle.as_ref(),
            echo_loaded: loaded.as_ref(),
        };
        let phases = run.phases();
        self.complete &= run.end_reason() == EndReason::Completed;
        let moved = phases.iter().map(|phase| phase.bytes).fold(0, u64::saturating_add);
        self.count(moved, result.map(|result| result.bytes), session.is_some());
        self.result.phases.extend(phases);
        if let Some(problem) = &outcome.problem {
            self.complete = false;
            self.result.warnings.push(format!("{}: {problem}", phase.name));
        }
        self.describe_local(&outcome.evidence);
        self.describe_reflector(&seen.evidence);
    }

    fn granted(&self, phase: &Phase, session: Option<&Session>) -> Granted {
        let Some(session) = session else { return Granted::default() };
        let seconds = session.grant.duration_sec.filter(|granted| *granted < phase.seconds);
        let duration_s = seconds.map(|seconds| Duration::from_secs(seconds).as_secs_f64());
        let mbps = session.grant.max_rate.map(|bits| float(bits) / 1e6);
        Granted { duration_s, bytes: self.remaining, mbps }
    }

    fn count(&mut self, moved: u64, charged: Option<u64>, is_session: bool) {
        let usage = &mut self.result.usage;
        usage.tests += u32::from(is_session);
        usage.bytes = usage.bytes.saturating_add(moved);
        if let Some(charged) = charged {
            usage.charged_bytes = Some(usage.charged_bytes.unwrap_or(0).saturating_add(charged));
        }
        self.remaining = self.remaining.map(|left| left.saturating_sub(charged.unwrap_or(moved)));
    }

    fn describe_local(&mut self, evidence: &Evidence) {
        let local = &mut self.result.local;
        if let Some(nic) = &evidence.nic {
            local.interface.clone_from(&nic.interface);
            local.link_mbps = nic.speed_mbps;
            local.mtu_bytes = nic.mtu_bytes;
        }
        local.cores = evidence.cpu.as_ref().and_then(|cpu| cpu.cores);
        local.clock.clone_from(&evidence.clock);
    }

    fn describe_reflector(&mut self, evidence: &Evidence) {
        let reflector = &mut self.result.reflector;
        if let Some(nic) = &evidence.nic {
            reflector.link_mbps = nic.speed_mbps;
        }
        reflector.clock.clone_from(&evidence.clock);
    }

    /// The rest of the plan is not run.
    pub(super) fn give_up(&mut self, phase: &Phase, error: &RunError) {
        self.complete = false;
        self.result.warnings.push(format!("{} was not run: {error}", phase.name));
    }

    pub(super) fn close(mut self) -> Measured {
        self.result.usage.remaining_bytes = self.remaining;
        self.result.local.kernel = Some(rustix::system::uname().release().to_string_lossy().into_owned());
        self.result.tunnel_tax = tunnel_tax(&self.result.phases).filter(|_| self.compares);
        self.result.local.cpu_model = selftest::cpu_model();
        self.result.responsiveness = responsiveness(&self.result.phases);
        self.result.list_missing(|what| what.ends_with(".one_way").then(|| ONE_WAY_WHY.to_owned()));
        Measured { result: self.result, complete: self.complete }
    }
}

/// How far two clocks can be apart. `None`: one of them is not kept in step, or does not say how well.
fn apart(ours: Option<&ClockState>, theirs: Option<&ClockState>) -> Option<u64> {
    let bound = |clock: Option<&ClockState>| clock.filter(|clock| clock.synced)?.error_bound_us;
    Some(bound(ours)?.saturating_add(bound(theirs)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_can_be_compared_when_both_are_kept_in_step() {
        let clock = |synced, error_bound_us| ClockState { synced, error_bound_us, source: None };
        let good = clock(true, Some(900));
        assert_eq!(apart(Some(&good), Some(&clock(true, Some(50)))), Some(950));
        for bad in [None, Some(&clock(false, Some(50))), Some(&clock(true, None))] {
            assert_eq!((apart(Some(&good), bad), apart(bad, Some(&good))), (None, None));
        }
    }
}
