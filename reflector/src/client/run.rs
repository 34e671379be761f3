//! A whole run: the phases of a plan one after the other, and the result they add up to.

use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::assemble::Run;
use super::dial;
use super::echo::Found;
use super::error::LinkError;
use super::link::Link;
use super::plan::{Phase, Plan, PlanError, Route};
use super::result::{Local, PhaseMode, Remote, RemoteKind, SCHEMA, TestResult, Usage, responsiveness};
use super::session::{self, Session};
use super::target::HostPort;
use super::tax::tunnel_tax;
use super::throughput::{self, Direct, Ending, Outcome, ThroughputError, Tick};
use crate::engine::echo::drops::Cause;
use crate::engine::evidence::limit::Granted;
use crate::engine::evidence::{Evidence, Real, float};
use crate::engine::measured::Measured as SessionMeasured;
use crate::identity::Current;
use crate::link::message::Mode;
use crate::reason::{DenyReason, EndReason};
use crate::selftest;

/// What happens, for whoever shows it.
pub enum Event<'a> {
    /// Our own cooldown has to pass first.
    Waits {
        /// How long.
        seconds: u64,
    },
    /// Direct data does not get through; the tunnel is tried.
    FellBack {
        /// Why not.
        why: String,
    },
    /// A phase was granted.
    Begins {
        /// Which.
        phase: &'a Phase,
        /// How its data travels.
        mode: Mode,
    },
    /// Ten times a second.
    Tick {
        /// Of this phase.
        phase: &'a Phase,
        /// What is known.
        tick: Tick<'a>,
    },
}

/// Told of everything; must not block.
pub type Show<'a> = dyn FnMut(Event<'_>) + Send + 'a;

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The control connection, or a denial on it.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// Nothing can be run here.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The test itself.
    #[error(transparent)]
    Throughput(#[from] ThroughputError),
    /// It ended before data could flow.
    #[error("{}", .0.said())]
    Refused(Ending),
    /// We were told to stop before anything was measured.
    #[error("interrupted before anything was measured")]
    Interrupted,
}

impl RunError {
    /// The other end answered, and the answer is no.
    pub const fn is_denial(&self) -> bool {
        match self {
            Self::Link(error) => error.is_denial(),
            Self::Plan(_) | Self::Refused(Ending::Busy) => true,
            _ => false,
        }
    }

    /// Why direct data does not get through; `None`: that is not what went wrong.
    pub(super) fn blocked(&self) -> Option<String> {
        match self {
            Self::Throughput(
                error @ (ThroughputError::Unreachable(cause) | ThroughputError::Stream(cause)),
            ) => Some(format!("{error}: {cause}")),
            Self::Throughput(error @ ThroughputError::Silent { .. }) => Some(error.to_string()),
            Self::Refused(Ending::Vanished) => Some("its port closes our connections".to_owned()),
            // Plain data is switched off there; the words say what the owner would have to open.
            Self::Link(LinkError::Denied { reason: DenyReason::InvalidParams, message, .. }) => {
                Some(message.clone())
            }
            _ => None,
        }
    }
}

/// A result, and whether it is all that was asked for.
#[derive(Debug)]
pub struct Measured {
    /// What was measured.
    pub result: TestResult,
    /// Every phase ran to its end.
    pub complete: bool,
}

/// What is measured against.
pub enum Server<'a> {
    /// A reflector, and who we are.
    Reflector(&'a mut Link, &'a Current),
    /// A stock iperf3 server.
    Iperf3(&'a HostPort),
}

/// Runs a plan. What was measured before something went wrong is a result too.
pub async fn run(
    server: &mut Server<'_>,
    plan: &Plan,
    now: Timestamp,
    stop: &CancellationToken,
    show: &mut Show<'_>,
) -> Result<Measured, RunError> {
    let mut book = Book::open(server, plan, now).await;
    for phase in &plan.phases {
        let done = match server {
            Server::Reflector(link, us) => session::run(link, us, phase, stop, show)
                .await
                .map(|session| Done::Session(Box::new(session))),
            Server::Iperf3(at) => {
                stock(at, phase, stop, show).await.map(|outcome| Done::Stock(Box::new(outcome)))
            }
        };
        match done {
            Ok(done) => book.enter(phase, &done),
            Err(error) if book.result.phases.is_empty() => return Err(error),
            Err(error) => book.give_up(phase, &error),
        }
        if !book.complete || stop.is_cancelled() {
            book.complete = false;
            break;
        }
    }
    Ok(book.close())
}

async fn stock(
    at: &HostPort,
    phase: &Phase,
    stop: &CancellationToken,
    show: &mut Show<'_>,
) -> Result<Outcome, RunError> {
    let to = dial::resolve(at).await?;
    show(Event::Begins { phase, mode: Mode::DirectEphemeral });
    let setup = session::setup(phase, to.ip(), false);
    let mut tick = |tick: Tick<'_>| show(Event::Tick { phase, tick });
    let outcome = throughput::run(&setup, &Direct { to, from: None }, stop, &mut tick).await?;
    if outcome.flows.is_empty() {
        return Err(if stop.is_cancelled() {
            RunError::Interrupted
        } else {
            RunError::Refused(outcome.ending)
        });
    }
    Ok(outcome)
}

enum Done {
    Session(Box<Session>),
    Stock(Box<Outcome>),
}

/// The result while it grows.
struct Book {
    result: TestResult,
    complete: bool,
    remaining: Option<u64>,
    /// Direct and tunneled runs are to be compared.
    compares: bool,
}

impl Book {
    async fn open(server: &mut Server<'_>, plan: &Plan, now: Timestamp) -> Self {
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

    fn enter(&mut self, phase: &Phase, done: &Done) {
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
        let told = |found: Option<&Found>, limited, cut| found.cloned().map(|found| found.told(limited, cut));
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
    fn give_up(&mut self, phase: &Phase, error: &RunError) {
        self.complete = false;
        self.result.warnings.push(format!("{} was not run: {error}", phase.name));
    }

    fn close(mut self) -> Measured {
        self.result.usage.remaining_bytes = self.remaining;
        self.result.local.kernel = Some(rustix::system::uname().release().to_string_lossy().into_owned());
        self.result.tunnel_tax = tunnel_tax(&self.result.phases).filter(|_| self.compares);
        self.result.local.cpu_model = selftest::cpu_model();
        self.result.responsiveness = responsiveness(&self.result.phases);
        self.result.list_missing(|_| None);
        Measured { result: self.result, complete: self.complete }
    }
}
